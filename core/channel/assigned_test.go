package channel_test

import (
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// TestAssignedClientIDs: each client without a client identifier gets one of its
// own, which the CONNACK tells and which names its session [MQTT-3.1.3-6]
// [MQTT-3.1.3-7] [MQTT-3.2.2-16].
func TestAssignedClientIDs(t *testing.T) {
	w := newWorld()
	seen := map[string]bool{}
	for i := range 100 {
		l := w.open("", "", "", "")
		l.version = packet.V50
		l.receive(packet.Append(nil, packet.V50, &packet.Connect{Version: packet.V50, CleanStart: true}))
		d := packet.Decoder{FromServer: true, Version: packet.V50}
		p, _, err := d.Next(l.pending)
		k, ok := p.(*packet.Connack)
		if err != nil || !ok || k.Code != packet.Success {
			t.Fatalf("CONNECT %d is answered by %+v, %v", i, p, err)
		}
		id, _ := k.Props.String(packet.PropAssignedClientID)
		if id == "" || seen[id] || strings.ContainsAny(id, "/+#") {
			t.Fatalf("CONNECT %d was assigned %q", i, id)
		}
		seen[id] = true
		if c := w.env.Registry.Lookup(id); c == nil || c.ClientID() != id || !c.Online() {
			t.Fatalf("no session has the assigned name %q", id)
		}
		w.links[len(w.links)-1].name = id // the next open would replace it
	}
	if n := w.env.Registry.Sessions(); n != 100 {
		t.Errorf("%d sessions", n)
	}
}
