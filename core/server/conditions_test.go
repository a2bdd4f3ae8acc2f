package server

import (
	"net/netip"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/store"
)

// A surge begins when the number has grown enough within the time, and is over
// when it has not for as long.
func TestSurge(t *testing.T) {
	start := time.Unix(1e9, 0)
	for _, tt := range []struct {
		name  string
		least int64
		n     []int64 // each 20 s after the one before
		want  []bool
	}{
		{"nothing", 1, []int64{0, 0, 0, 0, 0}, []bool{false, false, false, false, false}},
		{"one is enough", 1, []int64{0, 1, 1, 1, 1, 1}, []bool{false, true, true, true, false, false}},
		{"it goes on", 1, []int64{0, 1, 1, 2, 2, 2, 2}, []bool{false, true, true, true, true, true, false}},
		{"too few in the time", 10, []int64{0, 3, 6, 9, 12, 15, 18}, []bool{false, false, false, false, false, false, false}},
		{"enough in the time", 10, []int64{0, 5, 10, 10, 10, 10}, []bool{false, false, true, true, true, false}},
	} {
		s := new(surge)
		for i, n := range tt.n {
			if got := s.on(n, tt.least, start.Add(time.Duration(i)*20*time.Second)); got != tt.want[i] {
				t.Errorf("%s: step %d: %v, want %v", tt.name, i, got, tt.want[i])
			}
		}
	}
}

// What is full is named while it is, and not any more when there is room again.
func TestFullStores(t *testing.T) {
	n := runNode(t, oneListener+"topicstore.max_messages = 1\ntopicstore.max_bytes = 100\naccess.max_bans = 1\n")
	names := func() string {
		said := ""
		for _, c := range n.fullStores() {
			said += c.Name + " "
		}
		return said
	}
	if got := names(); got != "" {
		t.Errorf("at the start: %s", got)
	}
	if err := n.retained.Put(&message.Message{Topic: "x", Payload: make([]byte, 98)}, store.Memory); err != nil {
		t.Fatal(err)
	}
	if err := n.guards.bans.Add(access.Ban{As: access.BanClientID, Who: "x"}); err != nil {
		t.Fatal(err)
	}
	if got, want := names(), "topicstore/max_messages topicstore/max_bytes access/max_bans "; got != want {
		t.Errorf("full: %q, want %q", got, want)
	}
	n.reloadAs(t, oneListener+"topicstore.max_messages = 2\naccess.max_bans = 2\n")
	if got := names(); got != "" {
		t.Errorf("with higher limits: %s", got)
	}
}

// access.* is in force at once.
func TestAccessIsHot(t *testing.T) {
	n := runNode(t, oneListener+"access.login_backoff = \"1, 1m, 1m, 1m\"\naccess.max_bans = 1\n")
	a, now := netip.MustParseAddr("192.0.2.1"), time.Now().UnixNano()
	logins := n.guards.logins
	logins.Failed(a, packet.NotAuthorized, now)
	if !logins.Refused(a, now) {
		t.Fatal("the address need not wait")
	}
	done := n.reloadAs(t, oneListener+"access.login_backoff = \"1, 1m, 1m, 1m\"\naccess.login_backoff_exempt = \"192.0.2.0/24\"\naccess.max_bans = 2\n")
	if len(done.Restart) != 0 || len(done.Applied) != 2 {
		t.Errorf("the reload says %+v", done)
	}
	if logins.Refused(a, now) {
		t.Error("an exempt address waits")
	}
	if err := n.guards.bans.Add(access.Ban{As: access.BanClientID, Who: "a"}, access.Ban{As: access.BanClientID, Who: "b"}); err != nil {
		t.Errorf("two bans: %v", err)
	}
	n.reloadAs(t, oneListener+"access.login_backoff = \"off\"\n")
	b := netip.MustParseAddr("198.51.100.1")
	logins.Failed(b, packet.NotAuthorized, now)
	if logins.Refused(b, now) {
		t.Error("somebody is slowed though nobody is to be")
	}
}

// Only a zone that somebody from another machine can come through is open.
func TestZonesInUse(t *testing.T) {
	n := runNode(t, oneListener+"listener.tcp.in.bind = \"[::1]:0\"\nlistener.tcp.in.zone = \"internal\"\nlistener.tcp.b.bind = \"0.0.0.0:0\"\nlistener.tcp.b.zone = \"shop\"\n[zone.shop]\n[zone.unused]\n")
	used := n.zonesInUse()
	if len(used) != 3 || used["external"] || used["internal"] || !used["shop"] {
		t.Errorf("%v", used)
	}
}
