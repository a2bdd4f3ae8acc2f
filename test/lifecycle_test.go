package test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// TestStop: SIGTERM tells 5.0 clients 0x8B, publishes wills, and ends with 0.
func TestStop(t *testing.T) {
	b := start(t, setup{})
	watcher := b.dial(v5)
	watcher.connect("watcher")
	watcher.subscribe("will/#", 0)
	quiet, old := b.dial(v5), b.dial(v311)
	quiet.connectWith(&packet.Connect{ClientID: "quiet", CleanStart: true, Will: &packet.Will{Topic: "will/quiet", Payload: []byte("gone")}})
	old.connect("old")
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// Those who are still there get the wills of those who go.
	watcher.expect("will/quiet", "gone")
	if code := quiet.closed(); code != packet.ServerShuttingDown {
		t.Errorf("a 5.0 client was told %v", code)
	}
	if code := old.closed(); code != 0 {
		t.Errorf("a 3.1.1 client was told %v", code)
	}
	if code := watcher.closed(); code != packet.ServerShuttingDown {
		t.Errorf("the watcher was told %v", code)
	}
	if err := <-b.ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	b.cmd = nil
	if !strings.Contains(b.log.String(), "the node has stopped") {
		t.Errorf("no word of the end in the log:\n%s", b.log)
	}
	if strings.Contains(b.log.String(), "will try again") {
		t.Errorf("a clean stop complains:\n%s", b.log)
	}
}

// TestStartFaults: one clear message, exit 1, and nothing stays behind.
func TestStartFaults(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		name string
		s    setup
		want []string
	}{
		{"port taken", setup{listeners: "[listener.tcp.external]\nbind = \"" + taken.Addr().String() + "\"\n"}, []string{"tcp:external", "address already in use"}},
		{"unknown key", setup{config: "alow_anonymous = true"}, []string{"etc/dunlin.toml:1", "alow_anonymous", "allow_anonymous"}},
		{"two faults", setup{config: "[zone.external]\nmax_inflight = \"many\"\nmax_qos_allowed = 3\n"}, []string{"etc/dunlin.toml:2", "etc/dunlin.toml:3"}},
		{"missing certificate", setup{listeners: "[listener.ssl.external]\nbind = \"127.0.0.1:0\"\ncertfile = \"etc/none.pem\"\nkeyfile = \"etc/none.key\"\n"}, []string{"none.pem"}},
		{"unknown plugin", setup{plugins: []string{"nobody"}}, []string{"nobody"}},
		{"broken loaded_plugins", setup{etc: map[string]string{"loaded_plugins": "{retainer, maybe}.\n"}}, []string{"loaded_plugins:1"}},
		{"ungranted plugin", setup{plugins: []string{"retainer"}, etc: map[string]string{"etc/plugins/retainer.toml": "[plugin]\n"}}, []string{"retainer", "topicstore"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home, err := os.MkdirTemp("", "dl")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(home)
			b := &broker{t: t, home: home}
			b.write(tt.s)
			out, err := b.dunlin("foreground").CombinedOutput()
			if err == nil || b.exitCode(err) != 1 {
				t.Errorf("ended with %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("%q is not in:\n%s", want, out)
				}
			}
			if _, err := os.Stat(filepath.Join(home, "data", "admin.sock")); err == nil {
				t.Error("the admin socket stayed behind")
			}
		})
	}
}

func (b *broker) exitCode(err error) int {
	b.t.Helper()
	e, ok := err.(interface{ ExitCode() int })
	if !ok {
		b.t.Fatalf("%v is no exit", err)
	}
	return e.ExitCode()
}

// TestSecondNode: a data directory has one node, and the first goes on.
func TestSecondNode(t *testing.T) {
	b := start(t, setup{})
	out, err := b.dunlin("foreground").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another node is running") {
		t.Errorf("the second node ended with %v:\n%s", err, out)
	}
	b.alive()
}

// TestPluginsAtRunTime: the retainer comes and goes with clients connected, and
// Retain Available follows it [MQTT-3.2.2-13].
func TestPluginsAtRunTime(t *testing.T) {
	b := start(t, setup{plugins: []string{"presence"}})
	stays := b.dial(v5)
	if ack := stays.connect("stays"); !ack.Props.Has(packet.PropRetainAvailable) {
		t.Error("retained messages are said to be available without a retainer")
	}
	stays.subscribe("t", 1)
	b.ctl("plugins", "load", "retainer")
	loaded := b.dial(v5)
	if ack := loaded.connect("loaded"); ack.Props.Has(packet.PropRetainAvailable) {
		t.Error("retained messages are not available with the retainer")
	}
	loaded.send(&packet.Publish{Topic: "t", Payload: []byte("kept"), Retain: true, QoS: 1, PacketID: 9})
	stays.expect("t", "kept")
	var list []struct{ Name, State, Type string }
	if err := json.Unmarshal([]byte(b.ctl("plugins", "list", "-o", "json")), &list); err != nil || len(list) != 2 || list[1].Name != "retainer" {
		t.Errorf("plugins list: %v %v", list, err)
	}
	later := b.dial(v311)
	later.connect("later")
	later.subscribe("t", 0)
	if p := later.expect("t", "kept"); !p.Retain {
		t.Error("no RETAIN flag")
	}
	b.ctl("plugins", "reload", "retainer")
	b.ctl("plugins", "unload", "retainer")
	gone := b.dial(v5)
	if ack := gone.connect("gone"); !ack.Props.Has(packet.PropRetainAvailable) {
		t.Error("retained messages are available after the unload")
	}
	loaded.publish("t", "still here", 1)
	stays.expect("t", "still here")
	text, err := os.ReadFile(filepath.Join(b.home, "loaded_plugins"))
	if err != nil || strings.Contains(string(text), "{retainer, true}") {
		t.Errorf("loaded_plugins says %q %v", text, err)
	}
}
