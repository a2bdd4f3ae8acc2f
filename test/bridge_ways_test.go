package test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// TestBridgeThatIsDeadHoldsNobody: a bridge whose queue is full and waits has its own
// publishers refused; the others and their bridges go on. When it is back, all that was
// taken for it arrives, and its publishers are taken again.
func TestBridgeThatIsDeadHoldsNobody(t *testing.T) {
	t.Parallel()
	far := start(t, setup{})
	dead := freePort(t)
	near := start(t, module("bridge_mqtt", fmt.Sprintf(`[plugin]
grant = ["publish"]
[config.bridges.alive]
address = "tcp://%s"
topics = [{filter = "alive/#"}]
[config.bridges.far]
address = "tcp://127.0.0.1:%d"
reconnect_min = "50ms"
reconnect_max = "500ms"
queue_bytes = 2048
topics = [{filter = "dead/#"}]
`, far.addr("tcp:external"), dead)))
	near.eventually("a bridge is connected", func() bool { all, _ := near.bridges(); return all["alive"].State == "connected" })
	there := far.dial(v5)
	there.connect("there")
	there.subscribe("alive/#", 1)
	here := near.dial(v5)
	here.connect("here")
	taken := 0
	near.eventually("publishers of the dead bridge are refused", func() bool {
		here.publishWith(&packet.Publish{Topic: "dead/n", Payload: fmt.Appendf(nil, "%0100d", taken), QoS: 1})
		p, ok := here.read().(*packet.Ack)
		if !ok || p.Code.Failed() && p.Code != packet.QuotaExceeded {
			t.Fatalf("got %+v", p)
		}
		if p.Code.Failed() {
			return true
		}
		taken++
		return false
	})
	if taken < 10 {
		t.Errorf("%d messages are taken", taken)
	}
	for i := range 20 {
		here.publishSync(&packet.Publish{Topic: "alive/n", Payload: []byte(strconv.Itoa(i)), QoS: 1})
		there.expect("alive/n", strconv.Itoa(i))
	}
	back := start(t, setup{})
	reader := back.dial(v5)
	reader.resume("reader")
	reader.subscribe("dead/#", 1)
	// The dead bridge's address changes to one that lives; the other one is left alone.
	text, err := os.ReadFile(filepath.Join(near.home, "etc/plugins/bridge_mqtt.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := near.reconfigure("bridge_mqtt", replaceOnce(t, string(text), fmt.Sprintf("127.0.0.1:%d", dead), back.addr("tcp:external"))); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for i := range taken {
		reader.expect("dead/n", fmt.Sprintf("%0100d", i))
	}
	near.eventually("publishers are taken again", func() bool {
		here.publishWith(&packet.Publish{Topic: "dead/n", Payload: []byte("again"), QoS: 1})
		p, ok := here.read().(*packet.Ack)
		return ok && !p.Code.Failed()
	})
	reader.expect("dead/n", "again")
}

// linkNow is the first connection of the bridge "far".
func (b *broker) linkNow() (l struct {
	Address string
	Up      bool
}) {
	b.t.Helper()
	var s struct{ Connections []json.RawMessage }
	out := b.ctl("plugins", "command", "bridge_mqtt", "bridges.show", `{"name":"far"}`)
	if err := json.Unmarshal([]byte(out), &s); err != nil || len(s.Connections) == 0 || json.Unmarshal(s.Connections[0], &l) != nil {
		b.t.Fatalf("%v\n%s", err, out)
	}
	return l
}

// TestBridgeFallsBack: to the next address while the first cannot be reached, and to the
// first when it can; with round_robin it stays until the connection ends.
func TestBridgeFallsBack(t *testing.T) {
	t.Parallel()
	for _, round := range []bool{false, true} {
		t.Run(fmt.Sprintf("round_robin=%v", round), func(t *testing.T) {
			port := freePort(t)
			second := start(t, setup{listeners: fixedTCP(freePort(t))})
			first := fmt.Sprintf("127.0.0.1:%d", port)
			near := start(t, bridged(t, first, fmt.Sprintf("addresses = [\"tcp://%s\"]\nround_robin = %v\ntopics = [{filter = \"a/#\"}]", second.addr("tcp:external"), round)))
			on := func(addr string) {
				t.Helper()
				near.eventually("the bridge is connected to "+addr, func() bool { l := near.linkNow(); return l.Up && l.Address == "tcp://"+addr })
			}
			on(second.addr("tcp:external"))
			watch := second.dial(v5)
			watch.connect("watch")
			watch.subscribe("#", 1)
			here := near.dial(v5)
			here.connect("here")
			here.publish("a/x", "second", 1)
			watch.expect("a/x", "second")
			primary := start(t, setup{listeners: fixedTCP(port)})
			if round {
				second.kill()
			}
			on(first)
			watch = primary.dial(v5)
			watch.connect("watch")
			watch.subscribe("#", 1)
			here.publish("a/x", "first", 1)
			watch.expect("a/x", "first")
		})
	}
}

// TestBridgeOverTLS: with an authority and a certificate of its own, and not without.
func TestBridgeOverTLS(t *testing.T) {
	t.Parallel()
	far := start(t, setup{listeners: `[listener.tcp.external]
bind = "127.0.0.1:0"
[listener.ssl.external]
bind = "127.0.0.1:0"
certfile = "etc/certs/cert.pem"
keyfile = "etc/certs/key.pem"
cacertfile = "etc/certs/cacert.pem"
verify = "verify_peer"
fail_if_no_peer_cert = true
`})
	config := func(keys string) string {
		return fmt.Sprintf("[plugin]\ngrant = [\"publish\"]\n[config.bridges.far]\naddress = \"ssl://%s\"\nreconnect_min = \"50ms\"\nreconnect_max = \"200ms\"\n%s\ntopics = [{filter = \"a/#\"}]\n", far.addr("ssl:external"), keys)
	}
	own := "cert_file = \"client-cert.pem\"\nkey_file = \"client-key.pem\"\n"
	s := module("bridge_mqtt", config("ca_file = \"ca.pem\"\n"+own))
	for to, from := range map[string]string{"ca.pem": "cacert.pem", "client-cert.pem": "client-cert.pem", "client-key.pem": "client-key.pem"} {
		text, err := os.ReadFile(filepath.Join(far.home, "etc", "certs", from))
		if err != nil {
			t.Fatal(err)
		}
		s.etc["etc/plugins/"+to] = string(text)
	}
	near := start(t, s)
	near.connected()
	watch := far.dial(v5)
	watch.connect("watch")
	watch.subscribe("a/#", 1)
	here := near.dial(v5)
	here.connect("here")
	here.publish("a/x", "over TLS", 1)
	watch.expect("a/x", "over TLS")
	for what, keys := range map[string]string{"without its authority": own, "without a certificate": "ca_file = \"ca.pem\"\n", "under another name": "ca_file = \"ca.pem\"\nserver_name = \"elsewhere\"\n" + own} {
		if out, err := near.reconfigure("bridge_mqtt", config(keys)); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		near.eventually("the bridge fails "+what, func() bool {
			out := near.ctl("plugins", "command", "bridge_mqtt", "bridges.show", `{"name":"far"}`)
			var s struct {
				State       string
				Connections []struct{ Error string }
			}
			return json.Unmarshal([]byte(out), &s) == nil && s.State == "connecting" && s.Connections[0].Error != ""
		})
	}
}

// TestBridgeSharesWhatComesIn: several connections share one subscription, so that each
// message comes once.
func TestBridgeSharesWhatComesIn(t *testing.T) {
	t.Parallel()
	const n = 300
	far := start(t, setup{})
	near := start(t, bridged(t, far.addr("tcp:external"), `connections = 3
share = "in"
topics = [{filter = "in/#", direction = "in", qos = 1}]`))
	near.connected()
	here := near.dial(v5)
	here.connect("here")
	here.subscribe("in/#", 1)
	there := far.dial(v5)
	there.connect("there")
	far.eventually("the subscriptions are there", func() bool {
		there.publishSync(&packet.Publish{Topic: "in/first", QoS: 1})
		return len(here.ping()) > 0
	})
	for i := range n {
		there.publish("in/n", strconv.Itoa(i), 1)
	}
	if err := there.await(n); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for len(got) < n {
		if m := here.message(); m.Topic == "in/n" {
			got[string(m.Payload)]++
		}
	}
	for _, m := range here.ping() {
		got[string(m.Payload)]++
	}
	for payload, n := range got {
		if n != 1 {
			t.Errorf("%q came %d times", payload, n)
		}
	}
}

// TestBridgesInARow: a message goes over one broker to the next, each bridge counts,
// and where two brokers send each other everything it does not come back.
func TestBridgesInARow(t *testing.T) {
	t.Parallel()
	ports := []int{freePort(t), freePort(t), freePort(t)}
	bridge := func(from, to int, topics string) setup {
		s := bridged(t, fmt.Sprintf("127.0.0.1:%d", ports[to]), "max_hops = 2\n"+topics)
		s.listeners = fixedTCP(ports[from])
		return s
	}
	last := start(t, setup{listeners: fixedTCP(ports[2])})
	// The first two send each other everything: only the count of bridges ends it.
	middle := bridge(1, 2, `topics = [{filter = "a/#"}]`)
	middle.etc["etc/plugins/bridge_mqtt.toml"] += fmt.Sprintf("[config.bridges.back]\naddress = \"tcp://127.0.0.1:%d\"\nreconnect_max = \"1s\"\nmax_hops = 1\ntopics = [{filter = \"a/#\"}]\n", ports[0])
	mid := start(t, middle)
	one := start(t, bridge(0, 1, `topics = [{filter = "a/#"}]`))
	one.connected()
	mid.eventually("both bridges are connected", func() bool {
		all, _ := mid.bridges()
		return all["far"].State == "connected" && all["back"].State == "connected"
	})
	var watches []*client
	for _, b := range []*broker{one, mid, last} {
		c := b.dial(v5)
		c.connect("watch")
		c.subscribe("a/#", 1)
		watches = append(watches, c)
	}
	here := one.dial(v5)
	here.connect("here")
	for i := range 5 {
		here.publishSync(&packet.Publish{Topic: "a/x", Payload: []byte(strconv.Itoa(i)), QoS: 1})
		for at, c := range watches {
			p := c.expect("a/x", strconv.Itoa(i))
			count := ""
			for _, u := range p.Props.UserProperties() {
				if u[0] == "dunlin-bridge-hops" {
					count = u[1]
				}
			}
			if want := []string{"", "1", "2"}[at]; count != want {
				t.Errorf("broker %d: %q bridges are counted, want %q", at, count, want)
			}
		}
	}
	looped := func(b *broker, name string) uint64 {
		var s struct{ Looped uint64 }
		_ = json.Unmarshal([]byte(b.ctl("plugins", "command", "bridge_mqtt", "bridges.show", fmt.Sprintf(`{"name":%q}`, name))), &s)
		return s.Looped
	}
	mid.eventually("the way back is refused", func() bool { return looped(mid, "back") == 5 })
	for at, c := range watches {
		if got := c.ping(); len(got) != 0 {
			t.Errorf("broker %d: %d messages came round", at, len(got))
		}
	}
}

// replaceOnce replaces what has to be there.
func replaceOnce(t *testing.T, text, old, by string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("%q is not in\n%s", old, text)
	}
	return strings.Replace(text, old, by, 1)
}
