package listener

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gobwas/ws"
)

// browser reads what an upgrade request tells besides the upgrade: the page that
// asks, and for whom a reverse proxy asks. It is made per request.
type browser struct {
	cfg    *WebSocketConfig
	origin []string // of Origin headers
	addr   string   // the last of the address header
	port   string
}

// header is ws.Upgrader.OnHeader.
func (b *browser) header(key, value []byte) error {
	switch name := textproto.CanonicalMIMEHeaderKey(string(key)); {
	case name == "Origin":
		b.origin = append(b.origin, string(value))
	case b.cfg.AddressHeader != "" && name == textproto.CanonicalMIMEHeaderKey(b.cfg.AddressHeader):
		b.addr = string(value)
	case b.cfg.PortHeader != "" && name == textproto.CanonicalMIMEHeaderKey(b.cfg.PortHeader):
		b.port = string(value)
	}
	return nil
}

// check refuses pages of other origins.
func (b *browser) check() error {
	if !b.cfg.CheckOrigin || (len(b.origin) == 0 && b.cfg.AllowOriginAbsence) {
		return nil
	}
	if len(b.origin) != 1 || !slices.ContainsFunc(b.cfg.Origins, func(o string) bool { return strings.EqualFold(o, b.origin[0]) }) {
		return ws.RejectConnectionError(ws.RejectionStatus(http.StatusForbidden), ws.RejectionReason("this origin is not allowed"))
	}
	return nil
}

// peer is the client's address as the proxy nearest to us has seen it: the last
// one in the header, because what stands before it the client may have written.
// Without a good one it is the socket's.
func (b *browser) peer(socket netip.AddrPort) netip.AddrPort {
	last := strings.TrimSpace(b.addr[strings.LastIndexByte(b.addr, ',')+1:])
	if ap, err := netip.ParseAddrPort(last); err == nil {
		return unmap(ap)
	}
	a, err := netip.ParseAddr(strings.Trim(last, "[]"))
	if err != nil {
		return socket
	}
	port, _ := strconv.ParseUint(strings.TrimSpace(b.port), 10, 16)
	return unmap(netip.AddrPortFrom(a.WithZone(""), uint16(port)))
}

// validOrigin tells whether s is what a browser sends: scheme://host[:port].
func validOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && u.Host != "" && u.Path == "" && u.RawQuery == "" && u.User == nil
}
