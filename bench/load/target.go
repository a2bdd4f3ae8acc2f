package load

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// perSource is how many clients share one source address on loopback.
const perSource = 16_000

// target is a broker whose address is known, and whom to be towards it.
type target struct {
	Target
	addr    netip.AddrPort
	sources []netip.Addr // take turns; none: the system's choice
}

// resolve finds the broker's address once, so that what was checked is what is
// connected to.
func resolve(ctx context.Context, t Target, clients int, brief bool) (*target, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.Host)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", t.Host, err)
	}
	addr := addrs[0].Unmap()
	for _, a := range addrs {
		if !t.Own && !a.Unmap().IsLoopback() {
			return nil, fmt.Errorf("%s is %s, on another machine: bench loads only a broker on this one, unless --i-own-this-broker says that it is yours", t.Host, a.Unmap())
		}
		if a.Unmap().Is4() {
			addr = a.Unmap() // most brokers listen there
		}
	}
	r := &target{Target: t, addr: netip.AddrPortFrom(addr, uint16(t.Port)), sources: t.Bind}
	if r.sources == nil && addr.Is4() && addr.IsLoopback() {
		n := clients/perSource + 1
		if brief {
			n = 1000 // connections that have ended hold their ports for a minute
		}
		for i := range n {
			r.sources = append(r.sources, netip.AddrFrom4([4]byte{127, 1, byte(i / 250), byte(1 + i%250)}))
		}
	}
	for _, s := range r.sources {
		if s.Is4() != addr.Is4() {
			return nil, fmt.Errorf("source address %s does not reach %s", s, addr)
		}
	}
	return r, nil
}

// source is the address that the n-th connection comes from; invalid: any.
func (t *target) source(n int) netip.Addr {
	if len(t.sources) == 0 {
		return netip.Addr{}
	}
	return t.sources[n%len(t.sources)]
}
