package listener

import (
	"net/netip"
	"strings"
	"testing"
)

func TestFirstRuleThatFitsDecides(t *testing.T) {
	rs, err := parseRules([]string{"allow 192.168.7.9", "deny 192.168.0.0/16", "deny 2001:db8::/32", "allow 10.0.0.0/8", "deny all"})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{
		"192.168.7.9": true, "192.168.7.8": false, "10.255.0.1": true, "11.0.0.1": false,
		"2001:db8::1": false, "2001:db9::1": false,
	} {
		if got := rs.admit(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if !rules(nil).admit(netip.MustParseAddr("192.0.2.1")) {
		t.Error("no rule refuses")
	}
	zoned, _ := parseRules([]string{"deny fe80::/10"})
	if zoned.admit(netip.MustParseAddr("fe80::1%eth0")) {
		t.Error("a zone hides an address from the rules")
	}
}

func TestBadRulesAreFaults(t *testing.T) {
	for _, s := range []string{"", "allow", "deny", "permit all", "deny 300.0.0.1", "deny 10.0.0.0/33", "allow ::ffff:10.0.0.0/104", "allow fe80::1%eth0", "allowall"} {
		if r, err := parseRule(s); err == nil {
			t.Errorf("%q is %+v", s, r)
		} else if !strings.Contains(err.Error(), `"`) {
			t.Errorf("%q: %v does not quote what is wrong", s, err)
		}
	}
}

// The rules are looked at before a byte is exchanged, on every transport.
func TestDeniedAddressesGetNothing(t *testing.T) {
	ca := newPKI(t)
	for _, proto := range []Proto{TCP, TLS, WS, WSS} {
		cfg := ca.config(proto)
		cfg.Access = []string{"allow 10.0.0.0/8", "deny 127.0.0.0/8"}
		p := open(t, cfg)
		closes(t, p.dial())
		eventually(t, "the refusal to be counted", func() bool {
			s := p.Stats()
			return s.Denied == 1 && s.HandedOut == 0 && s.Failed == 0 && s.Current == 0
		})
	}
}
