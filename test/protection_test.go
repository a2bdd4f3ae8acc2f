package test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// plainListener is all that a test without TLS and WebSocket needs.
const plainListener = "[listener.tcp.external]\nbind = \"127.0.0.1:0\"\n"

// code connects and returns the CONNACK's code.
func (b *broker) code(v packet.Version, p packet.Connect) packet.ReasonCode {
	b.t.Helper()
	c := b.dial(v)
	defer c.close()
	p.CleanStart = true
	return c.connectWith(&p).Code
}

const bannedFile = `{"version": 1, "bans": [
 {"as": "clientid", "who": "bad", "by": "ops", "reason": "noise", "at": "2026-01-01T00:00:00Z"},
 {"as": "username", "who": "mallory", "at": "2026-01-01T00:00:00Z"},
 {"as": "clientid", "who": "pardoned", "at": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}]}`

// The banned list of the data directory holds from the first CONNECT on.
func TestBannedListHolds(t *testing.T) {
	b := start(t, setup{listeners: plainListener, etc: map[string]string{"data/banned.json": bannedFile}})
	for _, tt := range []struct {
		v    packet.Version
		p    packet.Connect
		want packet.ReasonCode
	}{
		{v5, packet.Connect{ClientID: "bad"}, packet.Banned},
		{v311, packet.Connect{ClientID: "bad"}, packet.NotAuthorized}, // return code 5
		{v5, packet.Connect{ClientID: "c", HasUsername: true, Username: "mallory"}, packet.Banned},
		{v5, packet.Connect{ClientID: "good"}, packet.Success},
		{v5, packet.Connect{ClientID: "pardoned"}, packet.Success},
	} {
		if got := b.code(tt.v, tt.p); got != tt.want {
			t.Errorf("%s in %v: %v, want %v", tt.p.ClientID, tt.v, got, tt.want)
		}
	}
}

// A broker that cannot read its bans does not start without them.
func TestCorruptBannedListStopsTheStart(t *testing.T) {
	home, err := os.MkdirTemp("", "dl")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	b := &broker{t: t, home: home}
	b.write(setup{listeners: plainListener, etc: map[string]string{"data/banned.json": bannedFile[:100]}})
	out, err := b.dunlin("foreground").CombinedOutput()
	if err == nil || !strings.Contains(string(out), filepath.Join("data", "banned.json")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// A client that comes and goes too often is banned, an alarm is raised, and the
// ban outlives a restart, even one without a goodbye.
func TestFlappingClientIsBanned(t *testing.T) {
	b := start(t, setup{listeners: plainListener, config: `
flapping_detect_policy = "5, 1m, 1h"
[zone.external]
enable_flapping_detect = true
`})
	watcher := b.dial(v5)
	watcher.connect("watcher")
	watcher.subscribe("$SYS/brokers/+/alarms/activate", 1)
	for i := range 5 {
		if got := b.code(v5, packet.Connect{ClientID: "moth"}); got != packet.Success {
			t.Fatalf("connection %d: %v", i+1, got)
		}
	}
	b.eventually("the moth is banned", func() bool { return b.code(v5, packet.Connect{ClientID: "moth"}) == packet.Banned })
	var alarm struct {
		Name         string
		Details      map[string]any
		ActivateAt   int64 `json:"activate_at"`
		DeactivateAt any   `json:"deactivate_at"`
		Activated    bool
	}
	if err := json.Unmarshal(watcher.message().Payload, &alarm); err != nil {
		t.Fatal(err)
	}
	if alarm.Name != "flapping/moth" || !alarm.Activated || alarm.DeactivateAt != "infinity" || alarm.Details["clientid"] != "moth" ||
		time.Since(time.UnixMicro(alarm.ActivateAt)).Abs() > time.Minute {
		t.Errorf("alarm %+v", alarm)
	}
	if got := b.code(v5, packet.Connect{ClientID: "other"}); got != packet.Success {
		t.Errorf("another client: %v", got)
	}
	b.eventually("the ban is on disk", func() bool {
		text, err := os.ReadFile(filepath.Join(b.home, "data", "banned.json"))
		return err == nil && strings.Contains(string(text), `"moth"`)
	})
	info, err := os.Stat(filepath.Join(b.home, "data", "banned.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("banned.json: %v %v", info, err)
	}
	b.kill()
	b.run()
	if got := b.code(v5, packet.Connect{ClientID: "moth"}); got != packet.Banned {
		t.Errorf("after a restart: %v", got)
	}
}

// A flapping client that takes its own session over is sent away by its ban.
func TestBanKicksAtOnce(t *testing.T) {
	b := start(t, setup{listeners: plainListener, config: `
flapping_detect_policy = "2, 1m, 1h"
[zone.external]
enable_flapping_detect = true
`})
	var last *client
	for range 3 {
		last = b.dial(v5)
		if ack := last.connect("twin"); ack.Code != packet.Success {
			t.Fatalf("%v", ack.Code)
		}
	}
	if d, ok := last.read().(*packet.Disconnect); !ok || d.Code != packet.AdministrativeAction {
		t.Errorf("got %+v instead of DISCONNECT 0x98", d)
	}
	if last.read() != nil {
		t.Error("the connection stays open")
	}
}

func TestFailedLoginsAreSlowed(t *testing.T) {
	b := start(t, setup{listeners: plainListener, config: `
allow_anonymous = false
[access]
login_backoff = "3, 1m, 1h, 1h"
login_backoff_exempt = "192.0.2.1"
`})
	guess := packet.Connect{ClientID: "c", HasUsername: true, Username: "admin", HasPassword: true, Password: []byte("1234")}
	for range 3 {
		if got := b.code(v5, guess); got != packet.BadUserNameOrPassword {
			t.Fatalf("%v", got)
		}
	}
	if got := b.code(v5, guess); got != packet.QuotaExceeded {
		t.Errorf("5.0: %v", got)
	}
	if got := b.code(v311, guess); got != packet.ServerUnavailable { // return code 3
		t.Errorf("3.1.1: %v", got)
	}
	b.eventually("the alarm", func() bool { return strings.Contains(b.log.String(), "login_backoff") })
}

func TestConnectionsFromOneAddress(t *testing.T) {
	b := start(t, setup{listeners: plainListener + "max_conn_per_address = 3\n"})
	for i := range 3 {
		b.dial(v5).connect(fmt.Sprint("c", i))
	}
	if p := b.dial(v5).read(); p != nil {
		t.Errorf("got %v", p.Type())
	}
	b.eventually("the alarm", func() bool { return strings.Contains(b.log.String(), "max_conn_per_address") })
}

// A node above its memory takes no new client, says so and goes on running.
func TestHighMemoryRefusesNewClients(t *testing.T) {
	b := start(t, setup{listeners: plainListener, config: `
[memory]
high_watermark = "1MB"
low_watermark = "1KB"
check_interval = "100ms"
`})
	b.eventually("new clients are refused", func() bool { return b.code(v5, packet.Connect{ClientID: "c"}) == packet.ServerBusy })
	if got := b.code(v311, packet.Connect{ClientID: "c"}); got != packet.ServerUnavailable {
		t.Errorf("3.1.1: %v", got)
	}
	if !strings.Contains(b.log.String(), "high_process_memory_usage") {
		t.Errorf("no alarm in the log")
	}
}

// paced is one client that sends everything at once.
type paced struct {
	took time.Duration // from the first acknowledgement to the last
	err  error
}

// pour publishes n messages of the size in one write and awaits each PUBACK.
func (b *broker) pour(id string, n, size int) (out paced) {
	conn, err := b.transport("tcp:external")
	if err != nil {
		return paced{err: err}
	}
	c := b.client(conn, v5)
	defer c.close()
	if _, out.err = c.tryConnect(&packet.Connect{ClientID: id, CleanStart: true}); out.err != nil {
		return out
	}
	sent := make(chan error, 1)
	go func() {
		var all []byte
		for i := range n {
			p := &packet.Publish{Topic: "in/" + id, Payload: []byte(fmt.Sprintf("%*d", size, i)), QoS: 1, PacketID: uint16(i + 1)}
			all = packet.Append(all, v5, p)
		}
		_, err := conn.Write(all)
		sent <- err
	}()
	if out.err = c.await(1); out.err != nil {
		return out
	}
	first := time.Now()
	if out.err = c.await(n - 1); out.err == nil {
		out.took = time.Since(first)
		out.err = <-sent
	}
	return out
}

// flood lets clients pour and returns the mean and the worst deviation of their
// rates from want, a second, after what they may send at once.
func (b *broker) flood(clients, n, size, burst int, want float64) (mean, worst float64) {
	b.t.Helper()
	outs := make([]paced, clients)
	var g sync.WaitGroup
	for i := range outs {
		g.Go(func() { outs[i] = b.pour(fmt.Sprint("p", i), n, size) })
	}
	g.Wait()
	for i, out := range outs {
		if out.err != nil {
			b.t.Fatalf("client %d: %v", i, out.err)
		}
		rate := float64(n-burst) / out.took.Seconds()
		mean += rate / float64(clients)
		worst = max(worst, math.Abs(rate-want)/want)
	}
	return mean, worst
}

// A hundred clients over their rate are held to it within 5 %, and nothing is
// lost at QoS 1.
func TestRateOfMessages(t *testing.T) {
	const clients, n, perSecond = 100, 300, 50
	b := start(t, setup{listeners: plainListener, config: `
[zone.external]
rate_limit.conn_messages_in = "50,1s"
max_mqueue_len = 0
`})
	sub := b.dial(v5)
	sub.connect("sub")
	sub.subscribe("in/#", 1)
	lost := make(chan error, 1)
	go func() {
		next := map[string]int{}
		for range clients * n {
			p, err := sub.tryMessage()
			if err != nil {
				lost <- err
				return
			}
			var i int
			if _, err := fmt.Sscan(string(p.Payload), &i); err != nil || i != next[p.Topic] {
				lost <- fmt.Errorf("%s: message %q, want %d: %v", p.Topic, p.Payload, next[p.Topic], err)
				return
			}
			next[p.Topic]++
		}
		lost <- nil
	}()
	mean, worst := b.flood(clients, n, 10, perSecond, perSecond)
	if err := <-lost; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d clients: %.2f messages/s each, worst deviation %.2f %%", clients, mean, 100*worst)
	if worst > 0.05 {
		t.Errorf("a client is off its rate by %.1f %%", 100*worst)
	}
}

func TestRateOfBytes(t *testing.T) {
	const n, size = 200, 1000
	packetSize := len(packet.Append(nil, v5, &packet.Publish{Topic: "in/p0", Payload: make([]byte, size), QoS: 1, PacketID: 1}))
	b := start(t, setup{listeners: plainListener, config: `
[zone.external]
rate_limit.conn_bytes_in = "50KB,1s"
`})
	limit := 50 << 10
	want := float64(limit) / float64(packetSize)
	mean, worst := b.flood(10, n, size, limit/packetSize, want)
	t.Logf("10 clients: %.2f packets/s each, want %.2f, worst deviation %.2f %%", mean, want, 100*worst)
	if worst > 0.05 {
		t.Errorf("a client is off its rate by %.1f %%", 100*worst)
	}
}

// Over the quota of its zone a 5.0 client is told 0x97, and what was accepted is
// what comes.
func TestQuotaOfRouting(t *testing.T) {
	b := start(t, setup{listeners: plainListener, config: `
[zone.external]
quota.overall_messages_routing = "10,1h"
`})
	sub, pub := b.dial(v5), b.dial(v5)
	sub.connect("sub")
	sub.subscribe("t", 1)
	pub.connect("pub")
	accepted := 0
	for i := range 20 {
		pub.publish("t", fmt.Sprint(i), 1)
		switch ack := pub.read().(*packet.Ack); ack.Code {
		case packet.Success:
			accepted++
		case packet.QuotaExceeded:
		default:
			t.Fatalf("PUBACK %v", ack.Code)
		}
	}
	if got := len(sub.ping()); accepted != 10 || got != accepted {
		t.Errorf("%d accepted, %d delivered, want 10", accepted, got)
	}
}

// A ban ends the connection and not the session: others get the will, and after
// the ban the client finds what came meanwhile.
func TestBanLeavesWillAndSession(t *testing.T) {
	b := start(t, setup{listeners: plainListener})
	other, c := b.dial(v5), b.dial(v5)
	other.connect("other")
	other.subscribe("wills/#", 1)
	session := packet.AppendUint32Prop(nil, packet.PropSessionExpiry, 3600)
	c.connectWith(&packet.Connect{ClientID: "c", KeepAlive: 60, Props: session, Will: &packet.Will{Topic: "wills/c", Payload: []byte("gone"), QoS: 1}})
	c.subscribe("for/c", 1)
	b.ctl("banned", "add", "clientid", "c")
	if code := c.closed(); code != packet.AdministrativeAction {
		t.Errorf("the client is told %v", code)
	}
	other.expect("wills/c", "gone")
	other.publishSync(&packet.Publish{Topic: "for/c", Payload: []byte("later"), QoS: 1})
	if got := b.code(v5, packet.Connect{ClientID: "c"}); got != packet.Banned {
		t.Errorf("while it is banned: %v", got)
	}
	b.ctl("banned", "del", "clientid", "c")
	c = b.dial(v5)
	if ack := c.resume("c"); !ack.SessionPresent {
		t.Errorf("after the ban: %+v", ack)
	}
	c.expect("for/c", "later")
}
