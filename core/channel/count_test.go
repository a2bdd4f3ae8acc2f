package channel_test

import (
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
)

// connects opens a connection whose CONNECT is sent.
func (w *world) connects(peer string, p *packet.Connect) *link {
	l := w.open("c", peer, "", "")
	p.Version, p.ClientID, p.CleanStart = packet.V50, "c", true
	l.receive(packet.Append(nil, packet.V50, p))
	return l
}

// What only plugins bring about is counted too: AUTH packets, verdicts that were
// remembered. The rest is in the test of the whole broker.
func TestCountersOfPlugins(t *testing.T) {
	w := newWorld()
	w.bind("auth", words{})
	w.env.Hooks.ClientCheckACL.Add(hookSpec, func(es []hook.ACLEvent) {
		for i := range es {
			es[i].Verdict, es[i].CacheTTL = hook.Deny, time.Minute
		}
	})
	props := packet.AppendStringProp(nil, packet.PropAuthMethod, "M")
	l := w.connects("", &packet.Connect{Props: packet.AppendBytesProp(props, packet.PropAuthData, []byte("hello"))})
	l.receive(packet.Append(nil, packet.V50, &packet.Auth{Code: packet.ContinueAuthentication, Props: packet.AppendBytesProp(props, packet.PropAuthData, []byte("answer"))}))
	for range 3 {
		l.receive(packet.Append(nil, packet.V50, &packet.Publish{Topic: "x"}))
	}
	n := w.env.Metrics.Totals()
	if n.PacketsAuthSent != 1 || n.PacketsAuthReceived != 1 || n.ClientAuthenticate != 2 || n.ClientAuthSuccess != 1 || n.ClientAuthSuccessAnonymous != 0 {
		t.Errorf("logins: %+v", n)
	}
	if n.ClientCheckACL != 1 || n.ClientACLCacheHit != 2 || n.ClientACLDeny != 3 || n.ClientACLAllow != 0 {
		t.Errorf("acl: %+v", n)
	}
	if n.PacketsSent != 2 || n.PacketsReceived != 5 {
		t.Errorf("packets: %+v", n)
	}
}

// A client of another machine publishes to $SYS only where somebody says so.
func TestSysTopicsAreNotWrittenFromOutside(t *testing.T) {
	for peer, want := range map[string]uint64{"127.0.0.1:5": 0, "192.0.2.1:5": 1} {
		w := newWorld()
		w.zone.Access.Anonymous = 1 // allow
		l := w.connects(peer, &packet.Connect{})
		l.receive(packet.Append(packet.Append(nil, packet.V50, &packet.Publish{Topic: "$SYS/x"}), packet.V50, &packet.Publish{Topic: "y"}))
		if n := w.env.Metrics.Totals(); n.PacketsPublishAuthError != want || n.ClientCheckACL != 2 || n.MessagesPublish != 2-want {
			t.Errorf("from %s: %+v", peer, n)
		}
	}
}
