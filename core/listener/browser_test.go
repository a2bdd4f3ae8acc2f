package listener

import (
	"bufio"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// ask sends an upgrade request with the headers and returns the status.
func (p *harness) ask(headers ...string) int {
	p.t.Helper()
	nc := p.dial()
	fmt.Fprintf(nc, "GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n%s\r\n", strings.Join(append(headers, ""), "\r\n"))
	res, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func TestOriginOfPages(t *testing.T) {
	cfg := Default(WS, "test")
	p := open(t, cfg)
	if got := p.ask("Origin: http://evil.example"); got != 101 {
		t.Errorf("not checked: %d", got)
	}
	cfg = p.Config()
	cfg.Web.CheckOrigin, cfg.Web.Origins = true, []string{"https://app.example", "http://localhost:18083"}
	for absence, want := range map[bool]int{true: 101, false: 403} {
		cfg.Web.AllowOriginAbsence = absence
		if err := p.Update(cfg); err != nil {
			t.Fatal(err)
		}
		if got := p.ask(); got != want {
			t.Errorf("without an origin, allowed %v: %d", absence, got)
		}
		for origin, want := range map[string]int{
			"https://app.example": 101, "https://APP.example": 101, "http://localhost:18083": 101,
			"http://app.example": 403, "https://app.example:8443": 403, "https://app.example.evil.example": 403, "null": 403, "": 403,
		} {
			if got := p.ask("origin: " + origin); got != want {
				t.Errorf("%q: %d, want %d", origin, got, want)
			}
		}
		if got := p.ask("Origin: https://app.example", "Origin: http://evil.example"); got != 403 {
			t.Errorf("two origins: %d", got)
		}
	}
}

func TestAddressOfAReverseProxy(t *testing.T) {
	cfg := Default(WS, "test")
	p := open(t, cfg)
	p.ask("X-Forwarded-For: 192.0.2.1")
	if info := <-p.infos; info.Peer.Addr() != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("not asked to believe the header: %+v", info)
	}
	cfg = p.Config()
	cfg.Web.AddressHeader, cfg.Web.PortHeader = "x-forwarded-for", "X-Forwarded-Port"
	cfg.MaxConnPerAddress = 1
	if err := p.Update(cfg); err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]string{
		"X-Forwarded-For: 192.0.2.1": "192.0.2.1:7", "X-Forwarded-For: 10.9.9.9, 192.0.2.2": "192.0.2.2:7",
		"X-Forwarded-For: [2001:db8::1]": "[2001:db8::1]:7", "x-forwarded-for: ::ffff:192.0.2.3": "192.0.2.3:7",
		"X-Forwarded-For: 192.0.2.4:99": "192.0.2.4:99",
	} {
		if got := p.ask(header, "X-Forwarded-Port: 7"); got != 101 {
			t.Errorf("%s: %d", header, got)
		}
		if info := <-p.infos; info.Peer.String() != want {
			t.Errorf("%s: %v, want %s", header, info.Peer, want)
		}
	}
	nc := p.dial() // a second connection of one of these
	fmt.Fprint(nc, "GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
	closes(t, nc)
	eventually(t, "it to be counted", func() bool { return p.Stats().Crowded == 1 })
	b := &browser{cfg: &cfg.Web, addr: "unknown"}
	if socket := netip.MustParseAddrPort("127.0.0.1:5"); b.peer(socket) != socket {
		t.Error("nonsense is an address")
	}
}
