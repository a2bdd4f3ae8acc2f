package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// reloading is a broker whose configuration a test rewrites.
type reloading struct {
	*broker
	first string // etc/dunlin.toml of the start
}

func startReloading(t *testing.T, s setup) *reloading {
	t.Helper()
	if s.listeners == "" {
		s.listeners = "[listener.tcp.external]\nbind = \"127.0.0.1:0\"\n"
	}
	b := start(t, s)
	text, err := os.ReadFile(filepath.Join(b.home, "etc/dunlin.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return &reloading{broker: b, first: string(text)}
}

// conf writes a file of conf.d.
func (r *reloading) conf(text string) {
	r.t.Helper()
	r.file("etc/conf.d/test.toml", text)
}

func (r *reloading) file(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

const (
	reloadDone     = "the configuration is reloaded"
	reloadRejected = "the reload is rejected and has changed nothing"
)

// reload sends SIGHUP, waits for the answer and returns what the log says of it.
func (r *reloading) reload() string {
	r.t.Helper()
	before := len(r.log.String())
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	said := ""
	r.eventually("the reload is answered", func() bool {
		said = r.log.String()[before:]
		return strings.Contains(said, reloadDone) || strings.Contains(said, reloadRejected)
	})
	if err := r.status(); err != nil { // addresses may be others
		r.t.Fatal(err)
	}
	return said
}

// mustReload insists that conf is taken.
func (r *reloading) mustReload(conf string) string {
	r.t.Helper()
	r.conf(conf)
	said := r.reload()
	if !strings.Contains(said, reloadDone) {
		r.t.Fatalf("the reload of\n%s\nis rejected:\n%s", conf, said)
	}
	return said
}

// load is a publisher and a subscriber that must not notice reloads.
type load struct {
	stop chan struct{}
	done chan error
	sent atomic.Int64
}

// traffic sends at QoS 1 until end, which insists that everything arrived once,
// in order, on connections that were never lost.
func (r *reloading) traffic() (end func()) {
	r.t.Helper()
	to, from := r.dial(v5), r.dial(v311)
	to.connect("load-to")
	to.subscribe("load", 1)
	from.connect("load-from")
	l := &load{stop: make(chan struct{}), done: make(chan error, 1)}
	go func() { l.done <- l.run(to, from) }()
	r.eventually("traffic flows", func() bool { return l.sent.Load() > 100 })
	return func() {
		r.t.Helper()
		before := l.sent.Load()
		r.eventually("traffic still flows", func() bool { return l.sent.Load() > before+100 || len(l.done) > 0 })
		close(l.stop)
		if err := <-l.done; err != nil {
			r.t.Errorf("a client noticed the reload after %d messages: %v", l.sent.Load(), err)
		}
	}
}

func (l *load) run(to, from *client) error {
	for i := 1; ; i++ {
		select {
		case <-l.stop:
			return nil
		default:
		}
		want := fmt.Sprint(i)
		if err := from.trySend(&packet.Publish{Topic: "load", Payload: []byte(want), QoS: 1, PacketID: uint16(i%60000 + 1)}); err != nil {
			return err
		}
		if _, err := from.tryRead(); err != nil {
			return fmt.Errorf("publisher: %w", err)
		}
		m, err := to.tryMessage()
		if err != nil {
			return fmt.Errorf("subscriber: %w", err)
		}
		if string(m.Payload) != want {
			return fmt.Errorf("got message %s, want %s", m.Payload, want)
		}
		l.sent.Add(1)
	}
}

// maxQoS is the Maximum QoS that a CONNACK announces [MQTT-3.2.2-9].
func maxQoS(ack *packet.Connack) byte {
	if v, ok := ack.Props.Byte(packet.PropMaximumQoS); ok {
		return v
	}
	return 2
}

// Zone keys are for new connections; those that exist keep theirs and stay.
func TestReloadOfAZone(t *testing.T) {
	r := startReloading(t, setup{})
	end := r.traffic()
	old := r.dial(v5)
	if ack := old.connect("old"); maxQoS(ack) != 2 {
		t.Fatalf("CONNACK says %+v", ack.Props)
	}
	said := r.mustReload("zone.external.max_qos_allowed = 1\n")
	if !strings.Contains(said, "zone.external.max_qos_allowed") || !strings.Contains(said, "new connections") {
		t.Errorf("the answer is\n%s", said)
	}
	fresh := r.dial(v5)
	if ack := fresh.connect("fresh"); maxQoS(ack) != 1 {
		t.Errorf("after the reload CONNACK says %+v", ack.Props)
	}
	old.subscribe("old/#", 2)
	old.publish("old/a", "x", 2) // would be 0x9B and the end in the new zone
	old.expect("old/a", "x")
	end()
}

// Listeners come, change and go without a client of any of them noticing.
func TestReloadOfListeners(t *testing.T) {
	r := startReloading(t, setup{})
	end := r.traffic()
	r.mustReload("listener.tcp.more.bind = \"127.0.0.1:0\"\n")
	more := r.dialAt("tcp:more", v5)
	more.connect("more")
	kept := r.addr("tcp:external")

	r.mustReload("listener.tcp.more.bind = \"127.0.0.1:0\"\nlistener.tcp.more.backlog = 64\nlistener.tcp.external.max_connections = 3\n")
	if r.addr("tcp:external") != kept {
		t.Errorf("tcp:external moved to %s", r.addr("tcp:external"))
	}
	again := r.dialAt("tcp:more", v5)
	again.connect("again")
	r.dial(v5).connect("third")
	if err := func() error { c := r.dial(v5); _, err := c.tryConnect(&packet.Connect{ClientID: "fourth"}); return err }(); err == nil {
		t.Error("max_connections is not in force")
	}

	r.mustReload("")
	if a, there := r.addrs["tcp:more"]; there {
		t.Errorf("tcp:more still listens on %s", a)
	}
	more.subscribe("still/here", 1)
	again.publish("still/here", "yes", 1)
	more.expect("still/here", "yes")
	r.dial(v5).connect("fifth")
	end()
}

// What is hot is in force at once.
func TestReloadOfWhatIsHot(t *testing.T) {
	r := startReloading(t, setup{config: "sys.interval = 0\nsys.heartbeat = 0\nbroker.shared_subscription_strategy = \"random\"\n"})
	end := r.traffic()
	sys := r.dialAt("tcp:external", v5)
	sys.connect("sys")
	sys.subscribe("$SYS/broker/uptime", 0)
	r.mustReload("")
	said := r.mustReload("zone.external.enable_flapping_detect = true\n")
	if !strings.Contains(said, `"for": "hot"`) {
		t.Errorf("the answer is\n%s", said)
	}

	// shared_subscription_strategy: by turns means exactly half.
	r.file("etc/dunlin.toml", strings.NewReplacer("sys.heartbeat = 0", "sys.heartbeat = \"250ms\"", `"random"`, `"round_robin"`).Replace(r.first))
	a, b := r.dial(v5), r.dial(v5)
	a.connect("a")
	b.connect("b")
	a.subscribe("$share/g/turns", 1)
	b.subscribe("$share/g/turns", 1)
	r.mustReload("log.level = \"debug\"\nalarm.size_limit = 7\nmemory.check_interval = \"2s\"\ntopicstore.max_messages = 5\n")
	from := r.dial(v5)
	from.connect("from")
	for i := range 20 {
		from.publish("turns", fmt.Sprint(i), 1)
	}
	for range 10 {
		a.message()
		b.message()
	}
	sys.message() // sys.heartbeat

	// memory: no memory is enough for a new client, until there is again.
	r.mustReload("memory.high_watermark = \"2MB\"\nmemory.low_watermark = \"1MB\"\nmemory.check_interval = \"10ms\"\n")
	r.eventually("new clients are refused", func() bool {
		c := r.dial(v5)
		defer c.close()
		ack, err := c.tryConnect(&packet.Connect{ClientID: "refused", CleanStart: true})
		return err == nil && ack.Code == packet.ServerBusy
	})
	r.mustReload("")
	r.eventually("new clients are taken", func() bool {
		c := r.dial(v5)
		defer c.close()
		ack, err := c.tryConnect(&packet.Connect{ClientID: "taken", CleanStart: true})
		return err == nil && ack.Code == packet.Success
	})
	end()
}

// The log's level is hot.
func TestReloadOfTheLogLevel(t *testing.T) {
	r := startReloading(t, setup{})
	r.mustReload("log.level = \"debug\"\n")
	r.eventually("debug lines", func() bool {
		c := r.dial(v311)
		defer c.close()
		c.connect("twice")
		c.send(&packet.Connect{Version: v311, ClientID: "twice", CleanStart: true}) // ends the connection
		c.closed()
		return strings.Contains(r.log.String(), " DEBUG ")
	})
}

// Keys that need a restart are told and change nothing else.
func TestReloadTellsWhatNeedsARestart(t *testing.T) {
	r := startReloading(t, setup{})
	end := r.traffic()
	said := r.mustReload("node.name = \"other@1\"\nplugins.memory_budget = \"2GB\"\nzone.external.max_qos_allowed = 1\n")
	for _, key := range []string{"node.name", "plugins.memory_budget"} {
		if !strings.Contains(said, `a new value waits for a restart {"key": "`+key+`"`) {
			t.Errorf("%s is not told:\n%s", key, said)
		}
	}
	if out := r.ctl("status"); strings.Contains(out, "other@1") {
		t.Errorf("the node's name has changed:\n%s", out)
	}
	if text := r.inForce(); strings.Contains(text, "other@1") || !strings.Contains(text, `zone.external.max_qos_allowed = "1" # `) {
		t.Errorf("in force is\n%s", text)
	}
	end()
}

// inForce is the newest file of data/configs.
func (r *reloading) inForce() string {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.home, "data/configs/*.toml"))
	if err != nil || len(files) == 0 {
		r.t.Fatalf("no configuration in force is written: %v", err)
	}
	text, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// A reload that is rejected changes nothing and says why: by a fault of the
// files, by a listener that cannot be opened, by a certificate that is none.
func TestRejectedReloadChangesNothing(t *testing.T) {
	r := startReloading(t, setup{listeners: defaultListeners})
	end := r.traffic()
	was, listeners := r.inForce(), fmt.Sprint(r.addrs)
	cert, err := os.ReadFile(filepath.Join(r.home, "etc/certs/cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, conf, cert, want string }{
		{"unknown key", "zone.external.max_qos_allowed = 0\nlog.levle = \"debug\"\n", "", `test.toml:2: log.levle: unknown key; did you mean \"log.level\"?`},
		{"not TOML", "zone = = 1\n", "", "test.toml:1: "},
		{"port taken", "zone.external.max_qos_allowed = 0\nlistener.tcp.a.bind = \"127.0.0.1:0\"\nlistener.tcp.b.bind = \"" + r.addr("ws:external") + "\"\nlistener.tcp.external.max_connections = 1\n", "", "address already in use"},
		{"bad certificate", "zone.external.max_qos_allowed = 0\nlistener.tcp.external.max_connections = 1\n", "no certificate", "certfile"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.conf(c.conf)
			if c.cert != "" {
				r.file("etc/certs/cert.pem", c.cert)
				defer r.file("etc/certs/cert.pem", string(cert))
			}
			said := r.reload()
			if !strings.Contains(said, reloadRejected) || !strings.Contains(said, c.want) {
				t.Errorf("the answer is\n%s\nwant %q", said, c.want)
			}
			if now := fmt.Sprint(r.addrs); now != listeners {
				t.Errorf("listeners are %s, were %s", now, listeners)
			}
			if r.inForce() != was {
				t.Errorf("in force is\n%s", r.inForce())
			}
			for _, id := range []string{"tcp:external", "ssl:external", "wss:external"} {
				if ack := r.dialAt(id, v5).connect("probe-" + c.name + id); maxQoS(ack) != 2 {
					t.Errorf("%s: CONNACK says %+v", id, ack.Props)
				}
			}
		})
	}
	r.mustReload("")
	end()
}
