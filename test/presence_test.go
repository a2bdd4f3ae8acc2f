package test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// eachTransport runs a test against presence in both hosts of plugins: the
// operator's file, with nothing changed but the transport.
func eachTransport(t *testing.T, run func(t *testing.T, b *broker)) {
	for _, transport := range []string{"wasm", "process"} {
		t.Run(transport, func(t *testing.T) {
			run(t, start(t, setup{plugins: []string{"presence"}, etc: presenceOver(t, transport)}))
		})
	}
}

func presenceOver(t *testing.T, transport string) map[string]string {
	t.Helper()
	const name = "etc/plugins/presence.toml"
	text, err := os.ReadFile(filepath.Join(repo, name))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "transport =") {
			lines[i] = fmt.Sprintf("transport = %q\n", transport)
			return map[string]string{name: strings.Join(lines, "")}
		}
	}
	t.Fatalf("%s has no transport", name)
	return nil
}

// presence is one of the plugin's events.
type presence struct {
	ClientID    string
	Username    string
	IPAddress   string
	ProtoName   string `json:"proto_name"`
	ProtoVer    int    `json:"proto_ver"`
	KeepAlive   int
	CleanStart  bool `json:"clean_start"`
	Reason      string
	ConnectedAt int64 `json:"connected_at"`
}

// event reads until an event of one client comes.
func (c *client) event(id, kind string) (e presence) {
	c.t.Helper()
	for {
		p := c.message()
		if p.Topic != "$SYS/brokers/dunlin@127.0.0.1/clients/"+id+"/"+kind {
			continue
		}
		if err := json.Unmarshal(p.Payload, &e); err != nil {
			c.t.Fatalf("%s: %v", p.Payload, err)
		}
		return e
	}
}

// TestPresence: the events of clients that come and go are the same whether the
// plugin runs as WASM or as a process.
func TestPresence(t *testing.T) {
	eachTransport(t, func(t *testing.T, b *broker) {
		if got, want := b.pluginStatus("presence"), filepath.Base(t.Name()); got.Type != want || got.State != "running" {
			t.Errorf("presence is %+v, want a running %s", got, want)
		}
		watch := b.dial(v5)
		watch.connect("watch")
		watch.subscribe("$SYS/brokers/+/clients/#", 1)
		for i, v := range allVersions {
			id := fmt.Sprintf("comes-%d", v)
			c := b.dial(v)
			c.connectWith(&packet.Connect{ClientID: id, CleanStart: true, KeepAlive: 33, Username: "ann", HasUsername: true})
			e := watch.event(id, "connected")
			if e.ClientID != id || e.Username != "ann" || e.IPAddress != "127.0.0.1" || e.ProtoVer != int(v) ||
				e.KeepAlive != 33 || !e.CleanStart || e.ConnectedAt == 0 {
				t.Errorf("connected: %+v", e)
			}
			if i%2 == 0 {
				c.send(&packet.Disconnect{})
			}
			c.close()
			if e := watch.event(id, "disconnected"); e.ClientID != id || e.Reason == "" {
				t.Errorf("disconnected: %+v", e)
			}
		}
	})
}

// TestPresenceOrder: the events of one client leave in the order in which they
// happened, however fast it comes and goes.
func TestPresenceOrder(t *testing.T) {
	const times = 200
	eachTransport(t, func(t *testing.T, b *broker) {
		watch := b.dial(v5)
		watch.connect("watch")
		watch.subscribe("$SYS/brokers/+/clients/restless/#", 1)
		done := make(chan error, 1)
		go func() {
			for range times {
				conn, err := b.transport("tcp:external")
				if err != nil {
					done <- err
					return
				}
				c := b.client(conn, v311)
				if _, err = c.tryConnect(&packet.Connect{ClientID: "restless", CleanStart: true}); err == nil {
					err = c.trySend(&packet.Disconnect{})
				}
				// Until the broker has closed it, the next one would take it over.
				if _, end := c.tryRead(); end == nil {
					err = fmt.Errorf("something came after DISCONNECT")
				}
				c.close()
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		for range times {
			for _, kind := range []string{"connected", "disconnected"} {
				if p := watch.message(); !strings.HasSuffix(p.Topic, "/"+kind) {
					t.Fatalf("%s, want %s", p.Topic, kind)
				}
			}
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestPresenceIsKilled: the death of a plugin's process is the broker's business
// only: clients stay connected and served, and the plugin comes back.
func TestPresenceIsKilled(t *testing.T) {
	b := start(t, setup{plugins: []string{"retainer", "presence"}, etc: presenceOver(t, "process")})
	watch := b.dial(v5)
	watch.connect("watch")
	watch.subscribe("$SYS/brokers/+/clients/#", 1)
	first := b.dial(v5)
	first.connect("first")
	watch.event("first", "connected")
	for round := 1; round <= 2; round++ {
		pid := b.pluginProcess()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		b.alive()
		b.eventually("the plugin is back", func() bool {
			p := b.pluginStatus("presence")
			return p.State == "running" && p.Restarts >= round && b.pluginProcess() != pid && b.pluginProcess() != 0
		})
		id := fmt.Sprintf("after-%d", round)
		c := b.dial(v311)
		c.connect(id)
		watch.event(id, "connected")
		first.publish("still/here", "x", 0)
		first.ping()
	}
}

// pluginProcess is the id of the one plugin that runs as a process; 0: none.
func (b *broker) pluginProcess() int {
	b.t.Helper()
	all := b.children()
	if len(all) > 1 {
		b.t.Fatalf("children: %v", all)
	}
	for _, pid := range all {
		return pid
	}
	return 0
}

// TestProcessesEndWithTheBroker: neither a clean stop nor a kill leaves a
// plugin's process behind.
func TestProcessesEndWithTheBroker(t *testing.T) {
	for name, end := range map[string]func(*broker){"stop": (*broker).stop, "kill": (*broker).kill} {
		t.Run(name, func(t *testing.T) {
			b := start(t, setup{plugins: []string{"presence"}, etc: presenceOver(t, "process")})
			pid := b.pluginProcess()
			if pid == 0 {
				t.Fatal("no process")
			}
			end(b)
			b.eventually("the plugin's process has ended", func() bool {
				stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
				return err != nil || strings.Contains(string(stat), ") Z ")
			})
		})
	}
}
