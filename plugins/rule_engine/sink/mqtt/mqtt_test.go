package mqtt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/eclipse/paho.mqtt.golang"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
)

// mosquitto is a real broker that refuses what is published on secret.
type mosquitto struct {
	t       *testing.T
	dir     string
	address string
	cmd     *exec.Cmd
}

func newMosquitto(t *testing.T, more string) *mosquitto {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mosquitto{t: t, dir: t.TempDir(), address: l.Addr().String()}
	_, port, _ := net.SplitHostPort(m.address)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"acl":  "topic readwrite rows/#\ntopic readwrite mount/#\n",
		"conf": fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nacl_file %s/acl\n%s\n", port, m.dir, more),
	} {
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m.start()
	t.Cleanup(m.kill)
	return m
}

func (m *mosquitto) start() {
	m.t.Helper()
	path := "/usr/sbin/mosquitto"
	if _, err := os.Stat(path); err != nil {
		path = "mosquitto"
	}
	m.cmd = exec.Command(path, "-c", filepath.Join(m.dir, "conf"))
	if os.Geteuid() == 0 { // it would become another user, who cannot read here
		if err := errors.Join(os.Chmod(m.dir, 0o755), os.Chmod(filepath.Dir(m.dir), 0o755)); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	await(m.t, "mosquitto listens", func() bool {
		c, err := net.Dial("tcp", m.address)
		if err != nil {
			return false
		}
		_ = c.Close()
		return c.LocalAddr().String() != m.address // a port that nobody has may connect to itself
	})
}

func (m *mosquitto) kill() {
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
}

// listen collects what is published.
func (m *mosquitto) listen() *heard {
	m.t.Helper()
	h := &heard{}
	c := client.NewClient(client.NewClientOptions().AddBroker("tcp://" + m.address).SetAutoReconnect(false))
	if tok := c.Connect(); tok.Wait() && tok.Error() != nil {
		m.t.Fatal(tok.Error())
	}
	if tok := c.Subscribe("#", 1, h.on); tok.Wait() && tok.Error() != nil {
		m.t.Fatal(tok.Error())
	}
	m.t.Cleanup(func() { c.Disconnect(0) })
	return h
}

type heard struct {
	mu   sync.Mutex
	list []string
}

func (h *heard) on(_ client.Client, msg client.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, msg.Topic()+" "+string(msg.Payload()))
}

// await waits for n messages.
func (h *heard) await(t *testing.T, n int) []string {
	t.Helper()
	var list []string
	await(t, fmt.Sprint(n, " messages have come"), func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		list = h.list
		return len(list) >= n
	})
	return list
}

// await waits until fn is true.
func await(t *testing.T, what string, fn func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !fn(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("not so: ", what)
		}
	}
}

func open(t *testing.T, config map[string]any) *Broker {
	t.Helper()
	r, err := Open(params.New(config))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	b := r.(*Broker)
	if err := errors.Join(b.Bind("all", params.New(map[string]any{"forward_topic": "", "payload_tmpl": "${n}"})),
		b.Bind("json", params.New(map[string]any{"forward_topic": "rows/json", "payload_tmpl": "", "qos": 0}))); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestMosquitto: what a real broker is sent is there, in order and more than it takes
// at once; what it refuses for what it is comes back alone; when it has been away,
// everything can be sent again.
func TestMosquitto(t *testing.T) {
	for _, version := range []string{"mqttv4", "mqttv5"} {
		t.Run(version, func(t *testing.T) {
			m := newMosquitto(t, "max_packet_size 100000\nmax_queued_messages 0")
			h := m.listen()
			b := open(t, map[string]any{"address": m.address, "proto_ver": version, "mountpoint": "mount/"})
			if err := b.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			const n = 300
			var items []sink.Item
			for i := range n {
				items = append(items, sink.Item{Action: "all", Row: fmt.Appendf(nil, `{"topic":"rows/%d","n":%d}`, i%3, i)})
			}
			if err := b.Write(t.Context(), items); err != nil {
				t.Fatal(err)
			}
			for i, got := range h.await(t, n) {
				if want := fmt.Sprintf("mount/rows/%d %d", i%3, i); got != want {
					t.Fatalf("message %d is %q, want %q", i, got, want)
				}
			}
			items = []sink.Item{
				{Action: "all", Row: []byte(`{"topic":"a/#","n":1}`)}, {Action: "gone", Row: []byte(`{}`)},
				{Action: "json", Row: []byte(`{"a":1}`)}, {Action: "all", Row: []byte(`{"topic":"rows/last","n":2}`)},
			}
			if version == "mqttv5" { // 3.1.1 has no words for these
				items = append(items, sink.Item{Action: "all", Row: []byte(`{"topic":"rows/x","n":"` + strings.Repeat("x", 100_000) + `"}`)})
			}
			var bad *sink.Bad
			if err := b.Write(t.Context(), items); !errors.As(err, &bad) || bad.Items[0] == nil || !errors.Is(bad.Items[1], sink.ErrUnbound) || len(bad.Items) != len(items)-2 {
				t.Errorf("refused: %v %v", err, bad)
			}
			if list := h.await(t, n+2); list[n] != `mount/rows/json {"a":1}` || list[n+1] != "mount/rows/last 2" {
				t.Errorf("the others are %q", list[n:])
			}
			m.kill()
			again := []sink.Item{{Action: "all", Row: []byte(`{"topic":"rows/again","n":3}`)}}
			if err := b.Write(t.Context(), again); err == nil || errors.As(err, &bad) {
				t.Errorf("down: %v", err)
			}
			if err := b.Check(t.Context()); err == nil {
				t.Error("it says that it is there")
			}
			m.start()
			h = m.listen()
			if err := errors.Join(b.Check(t.Context()), b.Write(t.Context(), again)); err != nil {
				t.Fatal(err)
			}
			if got := h.await(t, 1); got[0] != "mount/rows/again 3" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestNotAuthorized: what access rules refuse will be refused again.
func TestNotAuthorized(t *testing.T) {
	m := newMosquitto(t, "")
	b := open(t, map[string]any{"address": m.address, "proto_ver": "mqttv5", "clientid": "me", "append": false})
	var bad *sink.Bad
	err := b.Write(t.Context(), []sink.Item{{Action: "all", Row: []byte(`{"topic":"secret","n":1}`)}, {Action: "all", Row: []byte(`{"topic":"rows/1","n":1}`)}})
	if !errors.As(err, &bad) || len(bad.Items) != 1 || !strings.Contains(bad.Items[0].Error(), "0x87") {
		t.Errorf("refused: %v %v", err, bad)
	}
}

// silent takes connections and answers as it is told.
func silent(t *testing.T, answer []byte) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			_, _ = c.Write(answer)
		}
	}()
	return l.Addr().String()
}

// TestAnswers: a broker that refuses the login, that is none, and that never
// acknowledges: none makes anybody wait longer than it may.
func TestAnswers(t *testing.T) {
	row := []sink.Item{{Action: "all", Row: []byte(`{"topic":"rows/1","n":1}`)}}
	for name, x := range map[string]struct {
		answer []byte
		want   string
	}{
		"login":           {[]byte{0x20, 2, 0, 5}, "refused"},
		"other":           {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "mqtt 127"},
		"deaf":            {[]byte{0x20, 2, 0, 0}, "timeout"},
		"strange puback":  {[]byte{0x20, 2, 0, 0, 0x40, 2, 0, 77}, "77"},
		"nothing":         {nil, "CONNACK"},
		"another's reply": {[]byte{0xD0, 0}, "instead of"},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, map[string]any{"address": silent(t, x.answer)})
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if err := b.Write(ctx, row); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v, want %q", err, x.want)
			}
		})
	}
}

// TestParameters: what is wrong is said.
func TestParameters(t *testing.T) {
	for key, config := range map[string]map[string]any{
		"address:":    {"address": "nowhere"},
		"proto_ver":   {"address": "a:1", "proto_ver": "mqttv9"},
		"cacertfile":  {"address": "a:1", "ssl": true, "cacertfile": "/nothing"},
		"pool_size":   {"address": "a:1", "pool_size": 8},
		"is required": {},
	} {
		if _, err := Open(params.New(config)); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%v: %v", config, err)
		}
	}
	b := open(t, map[string]any{"address": "a:1"})
	if err := b.Bind("x", params.New(map[string]any{"forward_topic": "a/#"})); err == nil {
		t.Error("a filter is a topic")
	}
	if !strings.HasPrefix(b.settings.hello.ClientID, "rules-") || b.settings.hello.ClientID == open(t, map[string]any{"address": "a:1"}).settings.hello.ClientID {
		t.Error("two resources have one client identifier")
	}
}
