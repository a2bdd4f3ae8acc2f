package test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// freePort is a port of this machine that nobody uses now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// remoteMosquitto is a real mosquitto with a disk.
type remoteMosquitto struct {
	t    *testing.T
	dir  string
	port int
	cmd  *exec.Cmd
}

func startMosquitto(t *testing.T) *remoteMosquitto {
	t.Helper()
	m := &remoteMosquitto{t: t, dir: t.TempDir(), port: freePort(t)}
	if err := os.Chmod(m.dir, 0o777); err != nil { // mosquitto gives up root
		t.Fatal(err)
	}
	conf := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\nmax_queued_messages 0\n", m.port, m.dir)
	if err := os.WriteFile(filepath.Join(m.dir, "mosquitto.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	m.run()
	t.Cleanup(m.kill)
	return m
}

func (m *remoteMosquitto) run() {
	m.t.Helper()
	m.cmd = exec.Command("mosquitto", "-c", filepath.Join(m.dir, "mosquitto.conf"))
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for {
		c, err := net.Dial("tcp", m.addr())
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			m.t.Fatal("mosquitto does not listen")
		}
		<-time.After(10 * time.Millisecond)
	}
}

func (m *remoteMosquitto) kill() {
	if m.cmd != nil {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait()
		m.cmd = nil
	}
}

func (m *remoteMosquitto) addr() string { return "127.0.0.1:" + strconv.Itoa(m.port) }

// dial connects a client of the tests to an address.
func dialAddr(t *testing.T, addr string, v packet.Version) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return (&broker{t: t}).client(conn, v)
}

// bridged is a broker with one bridge "far" to an address.
func bridged(t *testing.T, addr, keys string) setup {
	t.Helper()
	return module("bridge_mqtt", fmt.Sprintf(`[plugin]
grant = ["publish"]
[config.bridges.far]
address = "tcp://%s"
reconnect_min = "50ms"
reconnect_max = "500ms"
%s
`, addr, keys))
}

// bridge is what ctl says of the bridge "far".
func (b *broker) bridge() (s struct {
	State                           string
	Sent, Received, Looped, Dropped uint64
	Waiting                         int
}) {
	b.t.Helper()
	out, err := b.tryCtl("plugins", "command", "bridge_mqtt", "bridges.show", `{"name":"far"}`)
	if err == nil {
		err = json.Unmarshal([]byte(out), &s)
	}
	if err != nil {
		b.t.Logf("bridges show: %v\n%s", err, out)
	}
	return s
}

func (b *broker) connected() {
	b.t.Helper()
	b.eventually("the bridge is connected", func() bool { return b.bridge().State == "connected" })
}

// TestBridgeToMosquitto: messages go out and come in under their prefixes, with QoS
// and RETAIN, nothing goes round, and the other side sees whether the bridge is there.
func TestBridgeToMosquitto(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"3.1.1", "5.0"} {
		t.Run(protocol, func(t *testing.T) {
			m := startMosquitto(t)
			b := start(t, bridged(t, m.addr(), fmt.Sprintf(`protocol = %q
presence = "state/far"
topics = [
  {filter = "sensors/#", direction = "out", qos = 2, local_prefix = "hall/", remote_prefix = "site1/"},
  {filter = "commands/#", direction = "in", qos = 2, local_prefix = "hall/", remote_prefix = "site1/"},
  {filter = "shared/#", direction = "both", qos = 1},
]`, protocol)))
			b.connected()
			there := dialAddr(t, m.addr(), v5)
			there.connect("there")
			there.subscribe("state/far", 1)
			there.expect("state/far", "1")
			there.subscribeWith(packet.Filter{Filter: "site1/#", QoS: 2}, packet.Filter{Filter: "shared/#", QoS: 2})
			here := b.dial(v5)
			here.connect("here")
			here.subscribeWith(packet.Filter{Filter: "hall/#", QoS: 2, NoLocal: true}, packet.Filter{Filter: "shared/#", QoS: 2})
			for qos := range byte(3) {
				here.publish("hall/sensors/a", fmt.Sprint(qos), qos)
				if got := there.expect("site1/sensors/a", fmt.Sprint(qos)); got.QoS != qos {
					t.Errorf("out with QoS %d: %d", qos, got.QoS)
				}
				there.publish("site1/commands/a", fmt.Sprint(qos), qos)
				there.expect("site1/commands/a", fmt.Sprint(qos)) // its own
				if got := here.expect("hall/commands/a", fmt.Sprint(qos)); got.QoS != qos {
					t.Errorf("in with QoS %d: %d", qos, got.QoS)
				}
			}
			here.publish("shared/x", "from here", 1)
			here.expect("shared/x", "from here")
			there.expect("shared/x", "from here")
			there.publish("shared/x", "from there", 1)
			there.expect("shared/x", "from there")
			here.expect("shared/x", "from there")
			here.publish("hall/sensors/end", "end", 1)
			there.expect("site1/sensors/end", "end") // and nothing came round before it
			if got := here.ping(); len(got) != 0 {
				t.Errorf("it came round: %v", got)
			}
			if s := b.bridge(); s.Sent < 5 || s.Received < 4 || s.Waiting != 0 || s.Dropped != 0 {
				t.Errorf("%+v", s)
			}
			// Offline there: what has QoS 1 waits.
			m.kill()
			for i := range 100 {
				here.publish("hall/sensors/n", fmt.Sprint(i), 1)
			}
			if err := here.await(100); err != nil {
				t.Fatal(err)
			}
			m.run()
			there = dialAddr(t, m.addr(), v5)
			there.connect("late")
			b.eventually("the queue is empty", func() bool { s := b.bridge(); return s.State == "connected" && s.Waiting == 0 })
			b.ctl("plugins", "command", "bridge_mqtt", "bridges.stop", `{"name":"far"}`)
			there.subscribe("state/far", 1)
			there.expect("state/far", "0")
		})
	}
}

// fixedTCP is a listener on a port that stays the same when the broker is killed.
func fixedTCP(port int) string {
	return fmt.Sprintf("[listener.tcp.external]\nbind = \"127.0.0.1:%d\"\n", port)
}

// numbers publishes n numbered messages with QoS 1 to a topic over whatever happens to
// the broker at addr, until all are acknowledged; step is told of each hundred.
func numbers(t *testing.T, addr, topic string, n int, step func(acked int)) {
	t.Helper()
	deadline := time.Now().Add(4 * patience)
	for acked := 0; acked < n; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d messages were acknowledged", acked, n)
		}
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			<-time.After(20 * time.Millisecond)
			continue
		}
		c := (&broker{t: t}).client(conn, v5)
		if _, err := c.tryConnect(&packet.Connect{ClientID: "numbers", CleanStart: true, KeepAlive: 60}); err == nil {
			for acked < n {
				many := min(100, n-acked)
				for i := range many {
					err = c.trySend(&packet.Publish{Topic: topic, Payload: []byte(strconv.Itoa(acked + i)), QoS: 1, PacketID: uint16(i + 1)})
				}
				if err = c.await(many); err != nil {
					break
				}
				acked += many
				step(acked)
			}
		}
		c.close()
	}
}

// collect reads until every number below n has come at a durable session, over
// whatever happens to the broker at addr.
func collect(t *testing.T, addr, id string, n int) {
	t.Helper()
	seen, deadline := map[string]bool{}, time.Now().Add(4*patience)
	for len(seen) < n {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d numbers came", len(seen), n)
		}
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			<-time.After(20 * time.Millisecond)
			continue
		}
		c := (&broker{t: t}).client(conn, v5)
		if _, err = c.tryConnect(&packet.Connect{ClientID: id, KeepAlive: 60, Props: forAnHour(v5)}); err == nil {
			for len(seen) < n {
				p, err := c.tryMessage()
				if err != nil {
					break
				}
				seen[string(p.Payload)] = true
			}
		}
		c.close()
	}
}

// TestBridgeLosesNothing: whatever of the two brokers and the plugin is killed, each
// message that was acknowledged to its publisher arrives, on the way out and in.
func TestBridgeLosesNothing(t *testing.T) {
	t.Parallel()
	const n = 3000
	portA, portB := freePort(t), freePort(t)
	far := start(t, setup{listeners: fixedTCP(portB), config: "mqtt.max_mqueue_len = 100000\n"})
	s := bridged(t, fmt.Sprintf("127.0.0.1:%d", portB), `topics = [{filter = "out/#", direction = "out"}, {filter = "in/#", direction = "in"}]`)
	s.listeners, s.config = fixedTCP(portA), "mqtt.max_mqueue_len = 100000\n"
	near := start(t, s)
	near.connected()
	addrA, addrB := fmt.Sprintf("127.0.0.1:%d", portA), fmt.Sprintf("127.0.0.1:%d", portB)
	for _, end := range []struct{ addr, filter string }{{addrA, "in/#"}, {addrB, "out/#"}} {
		c := dialAddr(t, end.addr, v5)
		c.resume("reader")
		c.subscribe(end.filter, 1)
		c.close()
	}
	kill := func(b *broker) { b.kill(); b.run() }
	plugin := func(int) {
		pid := 0
		near.eventually("the plugin has a process", func() bool {
			var p []struct{ Cost struct{ Pid int } }
			_ = json.Unmarshal([]byte(near.ctl("plugins", "list", "-o", "json")), &p)
			if len(p) > 0 {
				pid = p[0].Cost.Pid
			}
			return pid > 0
		})
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	}
	for _, way := range []struct {
		topic, from, to string
	}{{"out/n", addrA, addrB}, {"in/n", addrB, addrA}} {
		numbers(t, way.from, way.topic, n, func(acked int) {
			switch acked {
			case 500:
				kill(far)
			case 1200:
				plugin(0)
			case 2000:
				kill(near)
			case 2700:
				plugin(0)
			}
		})
		collect(t, way.to, "reader", n)
	}
}

// TestBridgeExample: the example of the README works as it stands there.
func TestBridgeExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(repo, "plugins/bridge_mqtt/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(text), "```toml\n")
	if example, _, _ = strings.Cut(example, "```"); !ok || !strings.Contains(example, "127.0.0.1:1884") {
		t.Fatal("there is no example")
	}
	m := startMosquitto(t)
	b := start(t, module("bridge_mqtt", strings.Replace(example, "127.0.0.1:1884", m.addr(), 1)))
	b.eventually("the bridge is connected", func() bool { return strings.Contains(b.ctl("bridges", "list"), "connected") })
	there := dialAddr(t, m.addr(), v311)
	there.connect("there")
	there.subscribe("bridges/site1", 0)
	there.expect("bridges/site1", "1")
	there.subscribe("site1/sensors/#", 0)
	here := b.dial(v311)
	here.connect("here")
	here.subscribe("commands/#", 0)
	here.publish("sensors/a", "out", 1)
	there.expect("site1/sensors/a", "out")
	there.publish("site1/commands/b", "in", 1)
	here.expect("commands/b", "in")
}
