package test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// ruleFiles is the home of a broker with the rule engine and the given rules, by file.
func ruleFiles(t *testing.T, rules map[string]string) setup {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repo, "etc", "plugins", "rule_engine.toml"))
	if err != nil {
		t.Fatal(err)
	}
	s := setup{plugins: []string{"rule_engine"}, etc: map[string]string{"etc/plugins/rule_engine.toml": string(text)}}
	for name, text := range rules {
		s.etc["etc/rules/"+name] = text
	}
	return s
}

// put writes a file in the broker's home.
func (b *broker) put(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// hookServer is an HTTP server that collects bodies, and is down while told so.
type hookServer struct {
	*httptest.Server
	mu   sync.Mutex
	got  map[string]int // how often each body came
	down bool
}

func newHookServer(t *testing.T) *hookServer {
	h := &hookServer{got: map[string]int{}}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		switch {
		case err != nil || h.down:
			w.WriteHeader(http.StatusServiceUnavailable)
		case strings.Contains(string(body), "refuse"):
			w.WriteHeader(http.StatusBadRequest)
		case r.Method == http.MethodPost:
			h.got[string(body)]++
		}
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hookServer) set(down bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = down
}

func (h *hookServer) has(body string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.got[body] > 0
}

func (h *hookServer) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.got)
}

const hotRule = `
[rule.hot]
sql = 'SELECT payload.temp as t, clientid FROM "s/#" WHERE t > 30'
[[rule.hot.action]]
name = "republish"
params = { target_topic = "hot/${clientid}", target_qos = 1, payload_tmpl = "${t}" }

[rule.on]
sql = 'SELECT payload FROM "hot/#"'
[[rule.on.action]]
name = "republish"
params = { target_topic = "seen", target_qos = 1 }

[rule.self]
sql = 'SELECT payload FROM "loop"'
[[rule.self.action]]
name = "republish"
params = { target_topic = "loop", target_qos = 1 }
`

// TestRulesFromFiles: rules of files run; a rule sees what others publish, and not
// its own; one that is broken is told with its place and stops no other; a file that
// changes is read again, and only its rule is another.
func TestRulesFromFiles(t *testing.T) {
	t.Parallel()
	b := start(t, ruleFiles(t, map[string]string{
		"hot.toml":    hotRule,
		"broken.toml": "[rule.bad]\n\nsql = 'SELECT foo( FROM \"t\"'\n[[rule.bad.action]]\nname = \"inspect\"\n",
		"torn.toml":   "[rule.torn\n",
		"event.toml": `
[rule.in]
sql = """SELECT clientid, keepalive FROM "$events/client_connected" WHERE clientid = 'dev-1'"""
[[rule.in.action]]
name = "republish"
params = { target_topic = "in", payload_tmpl = "${clientid} ${keepalive}", target_qos = 1 }
`,
	}))
	for _, want := range []string{"broken.toml:3: rule bad: sql: ", "torn.toml:"} {
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("the log does not have %q", want)
		}
	}
	c := b.dial(v5)
	c.connect("watch")
	c.subscribe("hot/#", 1)
	c.subscribe("seen", 1)
	c.subscribe("loop", 1)
	c.subscribe("in", 1)
	dev := b.dial(v5)
	dev.connect("dev-1")
	c.expect("in", "dev-1 60")
	dev.publishSync(&packet.Publish{Topic: "s/a", Payload: []byte(`{"temp": 20}`), QoS: 1})
	dev.publishSync(&packet.Publish{Topic: "s/a", Payload: []byte(`{"temp": 31}`), QoS: 1})
	for _, want := range []string{"hot/dev-1 31", "seen 31"} {
		if p := c.message(); p.Topic+" "+string(p.Payload) != want {
			t.Errorf("got %s %s, want %s", p.Topic, p.Payload, want)
		}
	}
	dev.publishSync(&packet.Publish{Topic: "loop", Payload: []byte("x"), QoS: 1})
	c.expect("loop", "x") // the client's own
	c.expect("loop", "x") // the rule's
	dev.publishSync(&packet.Publish{Topic: "loop", Payload: []byte("y"), QoS: 1})
	c.expect("loop", "y") // the rule's came once
	c.expect("loop", "y")
	b.put("etc/rules/hot.toml", strings.Replace(hotRule, "t > 30", "t > 10", 1))
	b.eventually("the changed rule is in force", func() bool {
		dev.publishSync(&packet.Publish{Topic: "s/b", Payload: []byte(`{"temp": 20}`), QoS: 1})
		dev.publishSync(&packet.Publish{Topic: "s/b", Payload: []byte(`{"temp": 99}`), QoS: 1})
		p, q := c.message(), c.message()
		changed := string(p.Payload) == "20" && string(q.Payload) == "20"
		if changed {
			c.message()
			c.message()
		}
		return changed
	})
	if err := os.Remove(filepath.Join(b.home, "etc/rules/hot.toml")); err != nil {
		t.Fatal(err)
	}
	b.put("etc/rules/broken.toml", "[rule.bad]\nsql = 'SELECT payload FROM \"t\"'\n[[rule.bad.action]]\nname = \"republish\"\nparams = { target_topic = \"seen\" }\n")
	b.eventually("the mended rule is in force", func() bool {
		dev.publishSync(&packet.Publish{Topic: "t", Payload: []byte("mended"), QoS: 1})
		return slices.ContainsFunc(c.ping(), func(p packet.Publish) bool { return string(p.Payload) == "mended" })
	})
	dev.publishSync(&packet.Publish{Topic: "s/b", Payload: []byte(`{"temp": 99}`), QoS: 1})
	dev.publishSync(&packet.Publish{Topic: "t", Payload: []byte("end"), QoS: 1})
	for p := c.message(); string(p.Payload) != "end"; p = c.message() {
		if string(p.Payload) == "99" {
			t.Error("a rule runs that is in no file any more")
		}
	}
}

// killPlugin kills the process of the one plugin, if it runs at the moment.
func (b *broker) killPlugin() {
	b.t.Helper()
	if pid := b.pluginProcess(); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// TestRulesSurvive: what a publisher was told is taken reaches the server of a rule,
// and the topics that rules republish to, although the server is down at first and
// the plugin and the broker are killed meanwhile; a row that the server refuses for
// what it is goes to the topic of the dead and holds up nobody; a reload loses nothing.
func TestRulesSurvive(t *testing.T) {
	t.Parallel()
	server := newHookServer(t)
	b := start(t, ruleFiles(t, map[string]string{"hook.toml": `
[resource.hook]
type = "web_hook"
[resource.hook.config]
url = "` + server.URL + `"
retry_max = "200ms"

[rule.all]
sql = 'SELECT payload FROM "in/#"'
[[rule.all.action]]
name = "data_to_webserver"
params = { "$resource" = "hook", body = "${payload}" }
[[rule.all.action]]
name = "republish"
params = { target_topic = "out", target_qos = 1 }
`}))
	watch := b.dial(v5)
	watch.resume("watch")
	watch.subscribe("out", 1)
	watch.subscribe("dead/rules/#", 1)
	watch.close()
	server.set(true)
	const rounds, each = 6, 60
	n := 0
	for round := range rounds {
		c := b.dial(v5)
		c.connect("publisher")
		for range each {
			c.publishSync(&packet.Publish{Topic: "in/x", Payload: fmt.Append(nil, n), QoS: byte(1 + n%2)})
			n++
		}
		c.close()
		switch round % 3 {
		case 0:
			b.killPlugin()
		case 1:
			b.kill()
			b.run()
		case 2:
			b.ctl("plugins", "reload", "rule_engine")
			server.set(false)
		}
	}
	c := b.dial(v5)
	c.connect("publisher")
	c.publishSync(&packet.Publish{Topic: "in/x", Payload: []byte("refuse"), QoS: 1})
	c.publishSync(&packet.Publish{Topic: "in/x", Payload: []byte("last"), QoS: 1})
	b.eventually("the server has all", func() bool { return server.count() == n+1 && server.has("last") })
	for i := range n {
		if !server.has(fmt.Sprint(i)) {
			t.Errorf("the server does not have %d", i)
		}
	}
	watch = b.dial(v5)
	watch.resume("watch")
	seen, dead := map[string]bool{}, ""
	for len(seen) < n+2 || dead == "" {
		if p := watch.message(); p.Topic == "out" {
			seen[string(p.Payload)] = true
		} else {
			dead = p.Topic + " " + string(p.Payload)
		}
	}
	if !strings.HasPrefix(dead, "dead/rules/hook {") || !strings.Contains(dead, `"row":{"payload":"refuse"}`) || !strings.Contains(dead, "400") {
		t.Errorf("the dead letter is %s", dead)
	}
}

// TestRulesUnderLoad: under as much as comes, each message is matched once, and the
// rule's own come to whoever subscribes.
func TestRulesUnderLoad(t *testing.T) {
	t.Parallel()
	b := start(t, ruleFiles(t, map[string]string{"hot.toml": hotRule}))
	c := b.dial(v5)
	c.connect("watch")
	c.subscribe("seen", 1)
	r := b.bench("tcp:external", `pub -c 3 -t s/%i -q 1 -I 0 --warm 0s -L 2000 -m {"temp":31.5}`)
	if r.Acked == 0 || r.Acked != r.Sent {
		t.Fatalf("%+v", r)
	}
	for range r.Acked {
		c.expect("seen", "31.5")
	}
	b.eventually("each is counted once", func() bool {
		return strings.Contains(b.ctl("rules", "show", "hot", "-o", "json"), fmt.Sprintf(`"matched": %d`, r.Acked))
	})
}

// TestRulesByCtl: what commands make is in force at once, is in files, and survives
// kill -9 of the broker; files of people are theirs; secrets are shown to nobody;
// counters count.
func TestRulesByCtl(t *testing.T) {
	t.Parallel()
	server := newHookServer(t)
	b := start(t, ruleFiles(t, map[string]string{"hand.toml": "[rule.hand]\nsql = 'SELECT * FROM \"h\"'\naction = []\n"}))
	b.ctl("resources", "create", "web_hook", "-i", "resource:ops", "-c", `{"url": "`+server.URL+`", "server_name_indication": "x"}`)
	b.ctl("rules", "create", `SELECT payload.t as t FROM "s/#" WHERE t > 30`, `[{"name": "data_to_webserver", "params": {"$resource": "resource:ops", "body": "t=${t}"}},
		{"name": "republish", "params": {"target_topic": "hot", "target_qos": 1, "payload_tmpl": "${t}"}}]`, "-i", "rule:hot", "-d", "what is hot")
	b.kill()
	b.run()
	c, dev := b.dial(v5), b.dial(v5)
	c.connect("watch")
	c.subscribe("hot", 1)
	dev.connect("dev")
	for _, payload := range []string{`{"t": 20}`, `{"t": 31}`, "broken"} {
		dev.publishSync(&packet.Publish{Topic: "s/1", Payload: []byte(payload), QoS: 1})
	}
	c.expect("hot", "31")
	b.eventually("the server has it", func() bool { return server.has("t=31") })
	b.eventually("it is counted", func() bool {
		out := b.ctl("rules", "show", "rule:hot", "-o", "json")
		return strings.Contains(out, `"matched": 3`) && strings.Contains(out, `"passed": 1`) && strings.Contains(out, `"no_result": 1`) && strings.Contains(out, `"exception": 1`) &&
			strings.Contains(out, "rule-rule%3Ahot.toml") && strings.Contains(b.ctl("resources", "show", "resource:ops", "-o", "json"), `"success": 1`)
	})
	for _, x := range []struct{ want, line string }{
		{"hand.toml:2: change it there", "rules update hand -e false"},
		{"hand.toml:2: change it there", "rules delete hand"},
		{"the rule rule:hot", "resources delete resource:ops"},
		{"is of type web_hook", "rules update hand -a [{\"name\":\"data_to_pgsql\",\"params\":{\"$resource\":\"resource:ops\"}}]"},
	} {
		if out, err := b.tryCtl(strings.Fields(x.line)...); err == nil || !strings.Contains(out, x.want) {
			t.Errorf("ctl %s: %v %s", x.line, err, out)
		}
	}
	b.ctl("rules", "update", "rule:hot", "-s", `SELECT payload.t as t FROM "s/#" WHERE t > 10`)
	dev.publishSync(&packet.Publish{Topic: "s/1", Payload: []byte(`{"t": 20}`), QoS: 1})
	c.expect("hot", "20")
	b.ctl("rules", "delete", "rule:hot")
	b.ctl("resources", "delete", "resource:ops")
	left, err := filepath.Glob(filepath.Join(b.home, "etc/rules/*"))
	if err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
	if out := b.ctl("rules", "list", "-o", "json"); strings.Contains(out, "rule:hot") || !strings.Contains(out, `"id": "hand"`) {
		t.Errorf("rules list: %s", out)
	}
}

// TestRulesReadme: the example of the README works as it stands there, but for the
// server's address.
func TestRulesReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(repo, "plugins", "rule_engine", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(text), "```toml\n")
	example, _, closed := strings.Cut(example, "```")
	if !ok || !closed {
		t.Fatal("the README has no example")
	}
	server := newHookServer(t)
	b := start(t, ruleFiles(t, map[string]string{"readme.toml": strings.Replace(example, "http://127.0.0.1:8000", server.URL, 1)}))
	c, dev := b.dial(v5), b.dial(v5)
	c.connect("watch")
	c.subscribe("alarms/#", 1)
	dev.connect("oven")
	dev.publishSync(&packet.Publish{Topic: "sensors/1", Payload: []byte(`{"temp": 31}`), QoS: 1})
	c.expect("alarms/oven", "31 degrees")
	b.eventually("the server has it", func() bool { return server.has(`{"client": "oven", "t": 31}`) })
}
