package test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// verbTest is one command line of the real binary.
type verbTest struct {
	line string // without "dunlin"; words are parted by one blank
	want string // in what it says; with -o json the answer must be JSON too
	code int
}

// Command lines of a node in the background, in this order.
var lifeVerbs = []verbTest{
	{"check-config", "is ok: 1 listeners", 0},
	{"dirs", "the current directory", 0},
	{"dirs -o json", `"by"`, 0},
	{"ping", "no node answers", 5},
	{"start", "is started successfully!", 0},
	{"start", "already running", 1},
	{"ping", "pong", 0},
	{"pid", "\n", 0},
	{"status", "is started", 0},
	{"status -o json", `"pid"`, 0},
	{"restart", "is started successfully!", 0},
	{"stop", "ok", 0},
	{"stop", "no node answers", 5},
	{"store dump", "", 0}, {"store dump --kind ban", "", 0}, {"store dump --kind sessions", "there is no such kind", 2}, {"store dump nowhere", "nowhere", 1},
	{"version", "dunlin ", 0},
	{"cert dev", "DEVELOPMENT ONLY", 0},
	{"completion bash", "__start_dunlin", 0},
	{"completion zsh", "compdef", 0},
	{"completion fish", "complete -c dunlin", 0},
	{"completion powershell", "Register-ArgumentCompleter", 0},
	{"help ping", "dunlin ping", 0},
}

// Command lines of a node with a client called one, which has subscribed a/#.
var ctlVerbs = []verbTest{
	{"status", "tcp:external", 0}, {"status -o json", `"listeners"`, 0},
	{"broker", "sysdescr", 0}, {"broker -o json", `"version"`, 0},
	{"broker stats", "connections.count             : 1", 0}, {"broker stats -o json", `"connections.count": 1`, 0},
	{"broker metrics", "packets.connect", 0}, {"broker metrics -o json", `"packets.connect.received": 1`, 0},
	{"clients list", "one", 0}, {"clients list -o json", `"clientid": "one"`, 0}, {"clients list -o wide", "MQUEUE", 0},
	{"clients show one", "keepalive", 0}, {"clients show one -o json", `"connected": true`, 0}, {"clients show nobody", "not found", 3},
	{"subscriptions list", "a/#", 0}, {"subscriptions list -o json", `"topic": "a/#"`, 0},
	{"subscriptions show one", "a/#", 0}, {"subscriptions show one -o json", `"qos": 1`, 0},
	{"subscriptions add one b/+ 2", "ok", 0}, {"subscriptions add one b/+ 3", "QoS should be 0, 1, 2", 2},
	{"routes list", "b/+", 0}, {"routes list -o json", `"topic": "b/+"`, 0},
	{"routes show b/+", "b/+", 0}, {"routes show b/+ -o json", `"node"`, 0}, {"routes show c", "not found", 3},
	{"subscriptions del one b/+", "ok", 0}, {"subscriptions del one b/+", "not found", 3},
	{"listeners", "tcp:external", 0}, {"listeners -o json", `"listen_on"`, 0},
	{"listeners list", "true", 0}, {"listeners list -o json", `"running": true`, 0},
	{"listeners stop ws:external", "ok", 0}, {"listeners", "false", 0}, {"listeners start ws:external", "ok", 0},
	{"listeners restart ws:external", "ok", 0}, {"listeners stop tcp:nothing", "not found", 3},
	{"plugins list", "retainer", 0}, {"plugins list -o json", `"state": "running"`, 0},
	{"plugins show retainer", "hooks", 0}, {"plugins show retainer -o json", `"name": "retainer"`, 0},
	{"plugins show retainer", "engine", 0}, {"plugins show retainer -o json", `"fuel_p50"`, 0},
	{"plugins metrics", "retainer.hooks.retained_read.p99_ns", 0}, {"plugins metrics -o json", `"retainer.fuel.p50"`, 0},
	{"plugins top --interval 20ms", "retained_read", 0}, {"plugins top --interval 20ms -o json", `"cpu_ms_per_second"`, 0}, {"plugins top --interval 20ms -o json", `"p99_us"`, 0},
	{"plugins reload retainer", "Plugin retainer reloaded successfully.", 0},
	{"plugins command retainer x", "takes no commands", 1}, {"plugins command retainer x {", "no JSON", 2}, {"plugins command nobody x", "not loaded", 1},
	{"plugins disable retainer", "Plugin retainer disabled successfully.", 0}, {"plugins list", "retainer", 0},
	{"plugins enable retainer", "Plugin retainer enabled successfully.", 0},
	{"plugins unload retainer", "Plugin retainer unloaded successfully.", 0},
	{"plugins enable retainer", "enabled", 0}, {"plugins list", "not loaded", 0}, {"plugins show retainer", "not loaded", 0},
	{"plugins show nobody", "no plugin", 3}, {"plugins enable nobody", "nobody", 3},
	{"plugins load retainer", "Plugin retainer loaded successfully.", 0},
	{"banned add clientid two --reason noisy --for 10m", "ok", 0},
	{"banned list", "noisy", 0}, {"banned list -o json", `"who": "two"`, 0},
	{"banned del clientid two", "ok", 0}, {"banned del clientid two", "not found", 3},
	{"alarms list", "NAME", 0}, {"alarms list -o json", "[]", 0},
	{"acl cache-clean all", "OK", 0}, {"acl cache-clean one", "OK", 0},
	{"log set-level debug --logger channel", "debug", 0}, {"log primary-level", "info", 0},
	{"log levels", "channel", 0}, {"log levels -o json", `"logger": "channel"`, 0},
	{"config show node.name", "dunlin@127.0.0.1", 0}, {"config show -o json", `"origin"`, 0}, {"config reload", "ok", 0},
	{"vm", "memory/", 0}, {"vm memory -o json", "memory/", 0},
	{"store info", "sessions", 0}, {"store info -o json", `"sessions": 1`, 0},
	{"store check", "ok: ", 0}, {"store compact", "ok", 0}, {"store backup monday", "ok", 0}, {"store restore monday", "stop it first", 1},
	{"mnesia", "sessions", 0}, {"mnesia -o json", `"sessions": 1`, 0},
	{"bridges list", "stopped", 0}, {"bridges list -o json", `"name": "far"`, 0}, {"bridges show far", "tcp://127.0.0.1:1", 0},
	{"bridges show far -o json", `"state": "stopped"`, 0}, {"bridges show near", "there are: far", 3},
	{"bridges stop far", "is not started", 1}, {"bridges start far", "ok", 0}, {"bridges start far", "is started already", 1}, {"bridges stop far", "ok", 0},
	{"bridges import etc/dunlin.toml", "there is no connection block", 2}, {"bridges import etc/none", "none", 1},
	{"topic-metrics list", "TOPIC", 0}, {"topic-metrics list -o json", `"messages.in.count": 0`, 0}, {"topic-metrics list -o wide", "MESSAGES.QOS2.OUT.RATE", 0},
	{"topic-metrics show hall", "messages.dropped.count", 0}, {"topic-metrics show hall -o json", `"topic": "hall"`, 0}, {"topic-metrics show attic", "not registered", 3},
	{"topic-metrics register attic", "ok", 0}, {"topic-metrics register attic", "registered already", 1}, {"topic-metrics register attic/+", "wildcard", 2},
	{"topic-metrics reset attic", "ok", 0}, {"topic-metrics reset --all", "ok", 0}, {"topic-metrics reset cellar", "not registered", 3},
	{"topic-metrics unregister attic", "ok", 0}, {"topic-metrics unregister attic", "not registered", 3}, {"topic-metrics unregister --all", "ok", 0},
	{"topic-metrics list -o json", "[]", 0},
	{"delayed list", "hall", 0}, {"delayed list -o json", `"topic": "hall"`, 0}, {"delayed show LATER", "hall", 0}, {"delayed show LATER -o json", `"topic": "hall"`, 0},
	{"delayed show 7", "under the number 7", 3}, {"delayed show x", "delayed list", 2}, {"delayed cancel LATER", "ok", 0}, {"delayed cancel LATER", "under the number", 3},
	{"plugins unload delayed", "unloaded", 0}, {"delayed list", "not loaded", 1},
	{"users add u1", "ok", 0}, {"users list", "u1", 0}, {"users list -o json", `"name": "u1"`, 0}, {"users passwd u1", "ok", 0},
	{"users del u1", "ok", 0}, {"users del u1", "u1", 3}, {"users import none", "none", 1},
	{"rules list", "rule_engine", 1}, {"plugins load rule_engine", "loaded successfully", 0},
	{"rules list", "ID", 0}, {"rules list -o json", "[]", 0},
	{`rules create SELECT*FROM"s/#" [{"name":"inspect"}] -i r1`, "Rule r1 created", 0}, {`rules create SELECT*FROM"s/#" [{"name":"inspect"}] -i r1`, "already", 2},
	{`rules create SELECT*FROM"s/#" [{"name":"inspct"}]`, "there is no action", 2}, {`rules create SELEC*FROM"s/#" []`, "line 1", 2},
	{"rules show r1", "s/#", 0}, {"rules show r1 -o json", `"rawsql"`, 0}, {"rules show r2", "no rule", 3},
	{"rules update r1 -e false -d off", "Rule r1 updated", 0}, {"rules update r1 -e no", "want true or false", 2}, {"rules list -o wide", "off", 0},
	{"rules reset r1", "r1", 0}, {"rules reset r1 -o json", `"matched": 0`, 0},
	{`rules test --sql SELECT*FROM"s/#" --payload 7`, `"payload":"7"`, 0}, {`rules test --sql SELECT*FROM"s/#" -o json`, `"matched": true`, 0},
	{`rules test --sql SELECT*FROM"s/#"WHERE(qos=2)`, "does not hold", 0}, {"rules delete r1", "ok", 0}, {"rules delete r1", "no rule", 3},
	{`resources create web_hook -i w -c {"url":"http://127.0.0.1:1"}`, "Resource w created", 0}, {`resources create web_hook -c {"uri":"x"}`, "there is no such parameter", 2},
	{"resources list", "web_hook", 0}, {"resources list -t kafka -o json", "[]", 0}, {"resources show w", "127.0.0.1:1", 0}, {"resources show w -o json", `"queued": 0`, 0},
	{`resources update w -c {"url":"http://127.0.0.1:2"}`, "Resource w updated", 0}, {"resources test w", "refused", 1}, {"resources test w -o json", `"is_alive": false`, 0},
	{"resources test v", "no such resource", 3}, {"resources delete w", "ok", 0}, {"resources delete w", "no resource", 3},
	{"rule-actions list", "republish", 0}, {"rule-actions list -o json", `"name": "republish"`, 0},
	{"rule-actions show republish", "target_topic", 0}, {"rule-actions show republish -o json", `"types": []`, 0}, {"rule-actions show x", "no action", 3},
	{"resource-types list", "web_hook", 0}, {"resource-types list -o json", `"name": "web_hook"`, 0},
	{"resource-types show web_hook", "request_timeout", 0}, {"resource-types show web_hook -o json", `"provider"`, 0}, {"resource-types show x", "no resource type", 3},
	{"clients kick one", "ok", 0}, {"clients kick nobody", "not found", 3},
}

// Command lines of an author of a plugin, in this order.
var pluginVerbs = []verbTest{
	{"new acme --lang c", "made acme", 0}, {"new acme --lang c", "acme", 1},
	{"build acme", "acme.wasm", 0}, {"build acme -o json", `"artefact"`, 0},
	{"test acme/build/acme acme/scenario.toml", "ok: ", 0}, {"test acme/build/acme acme/scenario.toml -o json", "", 0},
	{"conform acme/build/acme", "flat memory", 0}, {"conform acme/build/acme -o json", "flat memory", 0},
	{"bench acme/build/acme acme/scenario.toml --time 20ms", "authenticate", 0},
	{"bench acme/build/acme acme/scenario.toml --time 20ms -o json", `"ns_per_record"`, 0},
	{"keygen acme.key", "ed25519:", 0}, {"keygen acme.key", "exists", 1}, {"keygen acme2.key -o json", `"public"`, 0},
	{"sign acme/build/acme --key acme.key", "signed by ed25519:", 0}, {"sign acme/build/acme --key acme.key -o json", `"sha256"`, 0},
	{`add acme/build/acme --set plugins.dirs=["plugins"]`, "dunlin ctl plugins load acme", 0},
	{`add acme/build/acme --set plugins.dirs=["plugins"] -o json`, `"asks_for"`, 0}, {"add nothing", "nothing", 1},
	{`remove acme --set plugins.dirs=["plugins"]`, "Plugin acme removed.", 0}, {`remove acme --set plugins.dirs=["plugins"]`, "only what", 3},
}

// Command lines of the load generator; PORT is the broker's.
var benchVerbs = []verbTest{
	{"conn -c 2 -d 50ms -p PORT", "until ready", 0}, {"conn -c 2 -d 50ms -p PORT -o json", `"connects_per_second"`, 0},
	{"pub -c 2 -t b/%i -I 10 -q 1 -d 50ms -p PORT", "until acknowledged", 0}, {"pub -c 2 -t b/%i -d 50ms -p PORT -o json", `"acked"`, 0},
	{"sub -c 2 -t b/# --warm 0s -d 50ms -p PORT", "received", 0}, {"sub -c 2 -t b/# --warm 0s -d 50ms -p PORT -o json", `"received": 0`, 0},
	{"p2p -c 2 --warm 0s -d 50ms -p PORT -o wide", "of the delivery", 0}, {"p2p -c 2 --warm 0s -d 50ms -p PORT -o json", `"lost": 0`, 0},
	{"fan -c 2 --warm 0s -d 50ms -p PORT", "lost, out of order, twice  0, 0, 0", 0}, {"fan -c 2 --in --warm 0s -d 50ms -p PORT -o json", `"lost": 0`, 0},
	{"storm -c 2 --warm 0s -d 50ms -p PORT", "of a cycle", 0}, {"storm -c 2 --warm 0s -d 50ms -p PORT -o json", `"cycles_per_second"`, 0},
}

// TestEveryVerb runs every command and every verb of ctl, as text and as JSON.
// A command that --help lists and that has no line above fails it.
func TestEveryVerb(t *testing.T) {
	t.Parallel()
	home, err := os.MkdirTemp("", "dl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	life := &broker{t: t, home: home}
	life.write(setup{listeners: "[listener.tcp.external]\nbind = \"127.0.0.1:0\"\n"})
	if err := os.RemoveAll(home + "/etc/certs"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = life.dunlin("stop").Run() })
	for _, v := range lifeVerbs {
		v.run(life, v.line)
	}
	rules := ruleFiles(t, nil)
	rules.plugins = []string{"retainer", "bridge_mqtt", "topic_metrics", "delayed"}
	rules.etc["etc/plugins/topic_metrics.toml"] = "[plugin]\ngrant = [\"metric\", \"timer\", \"kv\"]\n[config]\ntopics = [\"hall\"]\n"
	rules.etc["etc/plugins/bridge_mqtt.toml"] = `[plugin]
grant = ["publish"]
[config.bridges.far]
address = "tcp://127.0.0.1:1"
start = false
topics = [{filter = "a"}]
`
	rules.etc["etc/plugins/delayed.toml"] = "[plugin]\ngrant = [\"schedule\"]\n"
	b := start(t, rules)
	c := b.dial(v5)
	c.connect("one")
	c.subscribe("a/#", 1)
	c.publishSync(&packet.Publish{Topic: "$delayed/4000000/hall", QoS: 1})
	later := regexp.MustCompile(`"number": (\d+)`).FindStringSubmatch(b.ctl("delayed", "list", "-o", "json"))
	if later == nil {
		t.Fatal("no message waits")
	}
	for _, v := range ctlVerbs {
		v.run(b, "ctl "+strings.ReplaceAll(v.line, "LATER", later[1]))
	}
	for _, v := range pluginVerbs {
		v.run(life, "plugin "+v.line)
	}
	for _, v := range benchVerbs {
		v.run(b, "bench "+strings.ReplaceAll(v.line, "PORT", b.port("tcp:external")))
	}
	lines := []string{"foreground", "console"} // all tests run the one, TestConsole the other
	for _, v := range lifeVerbs {
		lines = append(lines, v.line)
	}
	for _, v := range ctlVerbs {
		lines = append(lines, "ctl "+v.line)
	}
	for _, v := range pluginVerbs {
		lines = append(lines, "plugin "+v.line)
	}
	for _, v := range benchVerbs {
		lines = append(lines, "bench "+v.line)
	}
	tested(life, "", lines)
}

// run runs the command line for the home of b, in that directory.
func (v verbTest) run(b *broker, line string) {
	b.t.Helper()
	cmd := b.dunlin(strings.Fields(line)...)
	if line == "dirs" || line == "help ping" || strings.HasPrefix(line, "completion") {
		cmd.Args = cmd.Args[:len(cmd.Args)-2] // without --home
	}
	cmd.Dir = b.home
	cmd.Stdin = strings.NewReader("a password\n") // of ctl users
	out, err := cmd.CombinedOutput()
	code := 0
	if err != nil {
		code = b.exitCode(err)
	}
	if code != v.code || !strings.Contains(string(out), v.want) {
		b.t.Errorf("dunlin %s: exit code %d, want %d and %q:\n%s", line, code, v.code, v.want, out)
	}
	if strings.Contains(line, "-o json") && !json.Valid(out) {
		b.t.Errorf("dunlin %s: no JSON:\n%s", line, out)
	}
}

// tested walks the commands as --help lists them and insists that each has a
// line, and one with -o json if it can.
func tested(b *broker, path string, lines []string) {
	b.t.Helper()
	out, err := b.dunlin(append(strings.Fields(path), "--help")...).Output()
	if err != nil {
		b.t.Fatalf("dunlin %s --help: %v", path, err)
	}
	help := string(out)
	_, list, group := strings.Cut(help, "\nAvailable Commands:\n")
	if group {
		list, _, _ = strings.Cut(list, "\n\n")
		for line := range strings.Lines(list) {
			tested(b, strings.TrimSpace(path+" "+strings.Fields(line)[0]), lines)
		}
		return
	}
	has := func(more string) bool {
		return slices.ContainsFunc(lines, func(l string) bool {
			return (l == path || strings.HasPrefix(l, path+" ")) && strings.Contains(l, more)
		})
	}
	if !has("") {
		b.t.Errorf("dunlin %s is not tested", path)
	}
	if strings.Contains(help, "--output") && !has("-o json") {
		b.t.Errorf("dunlin %s is not tested with -o json", path)
	}
	if !strings.Contains(help, "\nExamples:\n") && !strings.HasPrefix(path, "completion") && path != "help" {
		b.t.Errorf("dunlin %s --help has no example", path)
	}
}
