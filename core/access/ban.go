package access

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// BanKind says what a ban names (emqx4 §9.5).
type BanKind string

// The kinds of bans.
const (
	BanClientID BanKind = "clientid"
	BanUsername BanKind = "username"
	BanPeerHost BanKind = "peerhost" // an address, or a network in CIDR notation
)

// Ban keeps matching clients of zones with enable_ban out.
type Ban struct {
	As     BanKind   `json:"as"`
	Who    string    `json:"who"`
	By     string    `json:"by,omitempty"`     // who set it
	Reason string    `json:"reason,omitempty"` // for people; clients are not told
	At     time.Time `json:"at"`               // when it was set
	Until  time.Time `json:"until,omitzero"`   // zero: it does not end
}

// over tells whether the ban has ended.
func (b *Ban) over(now time.Time) bool { return !b.Until.IsZero() && !now.Before(b.Until) }

// MaxBanText bounds each text of a ban, in bytes.
const MaxBanText = 65535

// checked is b with its text in normal form and At filled in.
func checked(b Ban, now time.Time) (Ban, error) {
	for _, text := range []string{b.Who, b.By, b.Reason} {
		if len(text) > MaxBanText {
			return b, fmt.Errorf("%w: a text is longer than %d bytes", ErrBan, MaxBanText)
		}
	}
	switch b.As {
	case BanClientID, BanUsername:
		if b.Who == "" {
			return b, fmt.Errorf("%w: no %s", ErrBan, b.As)
		}
	case BanPeerHost:
		p, err := parseNetwork(b.Who)
		if err != nil {
			return b, fmt.Errorf("%w: %w", ErrBan, err)
		}
		b.Who = nameOf(p)
	default:
		return b, fmt.Errorf("%w: %q is none of clientid, username, peerhost", ErrBan, b.As)
	}
	if b.At.IsZero() {
		b.At = now
	}
	if !b.Until.IsZero() && !b.Until.After(b.At) {
		return b, fmt.Errorf("%w: it ends before it begins", ErrBan)
	}
	return b, nil
}

func parseNetwork(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return p, fmt.Errorf("%q is not a network: write for example 192.0.2.0/24", s)
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not an address: write for example 192.0.2.7 or 192.0.2.0/24", s)
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// nameOf writes a network of one as an address.
func nameOf(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
