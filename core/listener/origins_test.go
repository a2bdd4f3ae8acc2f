package listener

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
)

func TestOrigin(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8::1": "2001:db8::", "2001:db8:0:0:ffff::": "2001:db8::",
		"2001:db8:0:1::1": "2001:db8:0:1::", "fe80::1%eth0": "fe80::",
	} {
		if got := Origin(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("Origin(%s) = %v, want %s", addr, got, want)
		}
	}
}

func TestOriginsCount(t *testing.T) {
	o := newOrigins(2)
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	first, second, third := o.take(a), o.take(a), o.take(a)
	if !first || !second || third || !o.take(b) {
		t.Error("two of each address are welcome")
	}
	o.give(a)
	if first, second = o.take(a), o.take(a); !first || second {
		t.Error("one left, one may come")
	}
	o.give(a)
	o.give(a)
	o.give(b)
	if len(o.conns) != 0 {
		t.Errorf("addresses without a connection are kept: %v", o.conns)
	}
	if !newOrigins(0).take(a) {
		t.Error("no limit refuses")
	}
}

func TestOriginsTogether(t *testing.T) {
	o := newOrigins(1 << 20)
	var g sync.WaitGroup
	for i := range 4 {
		g.Go(func() {
			for j := range 1000 {
				a := netip.MustParseAddr(fmt.Sprintf("10.%d.0.%d", i%2, j%100))
				o.take(a)
				defer o.give(a)
			}
		})
	}
	g.Wait()
	if len(o.conns) != 0 {
		t.Errorf("%d addresses are left", len(o.conns))
	}
}

// The limit holds before a byte is read, on plain and on encrypted listeners,
// and the place comes back.
func TestTooManyFromOneAddress(t *testing.T) {
	for _, cfg := range []Config{Default(TCP, "crowd"), newPKI(t).config(TLS), Default(WS, "crowd")} {
		t.Run(string(cfg.Proto), func(t *testing.T) {
			cfg.MaxConnPerAddress = 2
			p := open(t, cfg)
			a, b := p.dial(), p.dial()
			eventually(t, "two connections", func() bool { return p.Stats().Current == 2 })
			closes(t, p.dial())
			if s := p.Stats(); s.Crowded != 1 || s.Refused != 0 || s.HandedOut > 2 {
				t.Errorf("%+v", s)
			}
			_ = a.Close()
			_ = b.Close()
			eventually(t, "the places back", func() bool { return p.Stats().Current == 0 })
			if len(p.origins.conns) != 0 {
				t.Errorf("%v is left", p.origins.conns)
			}
		})
	}
}
