package test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

const twoListeners = plainListener + "[listener.tcp.side]\nbind = \"127.0.0.1:0\"\n"

// A listener is stopped and restarted with its clients or without; those of
// other listeners never notice.
func TestListenerIsStoppedWithItsClients(t *testing.T) {
	b := start(t, setup{listeners: twoListeners})
	other, first := b.dial(v5), b.dialAt("tcp:side", v5)
	other.connect("other")
	other.subscribe("still", 1)
	first.connect("first")

	b.ctl("listeners", "stop", "tcp:side")
	if c, err := net.Dial("tcp", b.addr("tcp:side")); err == nil {
		c.Close()
		t.Error("a stopped listener takes connections")
	}
	first.ping() // clients stay
	b.ctl("listeners", "stop", "mqtt:tcp:side", "--kick")
	if code := first.closed(); code != packet.AdministrativeAction {
		t.Errorf("the client is told %v", code)
	}

	b.ctl("listeners", "start", "tcp:side")
	if err := b.status(); err != nil {
		t.Fatal(err)
	}
	second := b.dialAt("tcp:side", v5)
	second.connect("second")
	b.ctl("listeners", "restart", "tcp:side", "--kick")
	if code := second.closed(); code != packet.AdministrativeAction {
		t.Errorf("the client is told %v", code)
	}
	if err := b.status(); err != nil {
		t.Fatal(err)
	}
	b.dialAt("tcp:side", v5).connect("third")

	other.publish("still", "here", 1)
	other.expect("still", "here")
}

// What protects the node and is at work can be seen in the alarms.
func TestProtectionsRaiseAlarms(t *testing.T) {
	b := start(t, setup{config: "[zone.external]\nidle_timeout = \"200ms\"\n", listeners: plainListener + "max_conn_rate = 5\n" +
		"[listener.ssl.slow]\nbind = \"127.0.0.1:0\"\nmax_handshakes = 1\ncertfile = \"etc/certs/cert.pem\"\nkeyfile = \"etc/certs/key.pem\"\n" +
		"[listener.tcp.full]\nbind = \"127.0.0.1:0\"\nmax_connections = 1\n"})
	open := func(id string, n int) {
		for range n {
			c, err := net.Dial("tcp", b.addr(id))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
		}
	}
	b.dialAt("tcp:full", v5).connect("only")
	open("ssl:slow", 3)      // no handshake comes
	open("tcp:external", 15) // faster than 5 a second, and no CONNECT comes
	for _, name := range []string{"listener/tcp:full/max_connections", "listener/ssl:slow/max_handshakes", "listener/tcp:external/max_conn_rate", "connect_timeout"} {
		b.eventually("the alarm "+name, func() bool { return strings.Contains(b.ctl("alarms", "list", "-o", "json"), fmt.Sprintf("%q", name)) })
	}
}
