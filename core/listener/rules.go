package listener

import (
	"fmt"
	"net/netip"
	"strings"
)

// rule is one line of access.
type rule struct {
	allow bool
	all   bool
	net   netip.Prefix
}

// rules are a listener's access rules in order; the first that fits an address
// decides, and none: it may come (emqx4 §2.1).
type rules []rule

// parseRule reads "allow all", "deny 192.168.0.0/24" or "allow 10.0.0.1".
func parseRule(s string) (rule, error) {
	verb, whom, ok := strings.Cut(strings.TrimSpace(s), " ")
	whom = strings.TrimSpace(whom)
	if !ok || (verb != "allow" && verb != "deny") {
		return rule{}, fmt.Errorf("%q is no rule: write for example \"allow all\" or \"deny 192.168.0.0/24\"", s)
	}
	r := rule{allow: verb == "allow", all: whom == "all"}
	if r.all {
		return r, nil
	}
	p, err := netip.ParsePrefix(whom)
	if err != nil {
		a, e := netip.ParseAddr(whom)
		if e != nil || a.Zone() != "" {
			return rule{}, fmt.Errorf("%q is neither an address, a network such as 10.0.0.0/8, nor all", whom)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		return rule{}, fmt.Errorf("%q: write the IPv4 address without its ::ffff: in front", whom)
	}
	r.net = p.Masked()
	return r, nil
}

func parseRules(lines []string) (rules, error) {
	var rs rules
	for _, s := range lines {
		r, err := parseRule(s)
		if err != nil {
			return nil, err
		}
		rs = append(rs, r)
	}
	return rs, nil
}

// admit tells whether a, which is not mapped, may come.
func (rs rules) admit(a netip.Addr) bool {
	a = a.WithZone("")
	for i := range rs {
		if rs[i].all || rs[i].net.Contains(a) {
			return rs[i].allow
		}
	}
	return true
}
