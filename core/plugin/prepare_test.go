package plugin

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// opening starts one plugin "a" with an operator file and returns the error and
// what reached the transport.
func opening(t *testing.T, text, operator string, change func(f *fixture)) (string, *Spec) {
	t.Helper()
	f := newFixture(t)
	var got *Spec
	p := always(contract.Next, 0)
	p.open = func(s *Spec) error { c := *s; got = &c; return nil } // the code is let go after it
	f.add("a", text, p)
	f.write("etc/a.toml", operator)
	f.write("loaded_plugins", "a.\n")
	if change != nil {
		change(f)
	}
	err := f.StartAll(t.Context())
	defer f.Close() //nolint:errcheck // proven elsewhere
	if err == nil {
		return "", got
	}
	return err.Error(), got
}

// What reaches the transport: settings as JSON with secrets, overrides, only
// the services that were asked for.
func TestSpec(t *testing.T) {
	err, s := opening(t, "capabilities = [\"kv\"]\n"+hookLine(contract.HookPublish, ""),
		"[plugin]\ngrant = [\"kv\", \"publish\", \"topicstore\", \"metric\"]\n[plugin.hook.publish]\ntimeout = \"2s\"\npark = \"3s\"\nmax_payload = 9\n"+
			"[config]\nkey = \"${env:DUNLIN_TEST_KEY}\"\nlist = [1, \"${env:DUNLIN_TEST_KEY}\"]\nwhen = 2026-01-02T03:04:05Z\n[[config.users]]\nname = \"x\"\n",
		func(f *fixture) { f.t.Setenv("DUNLIN_TEST_KEY", "k") })
	if err != "" {
		t.Fatal(err)
	}
	var config map[string]any
	if e := json.Unmarshal(s.Config, &config); e != nil || config["key"] != "k" || config["list"].([]any)[1] != "k" || config["when"] != "2026-01-02T03:04:05Z" {
		t.Errorf("config %s, %v", s.Config, e)
	}
	if h := s.Hooks[0]; h.Timeout.Seconds() != 2 || h.Park.Seconds() != 3 || h.MaxPayload != 9 {
		t.Errorf("hook %+v", h)
	}
	if v := s.Services; v.KV == nil || v.Publish != nil || v.Metrics != nil || v.TopicStore {
		t.Errorf("services %+v", v)
	}
	if s.Node != "dunlin@test" || string(s.Code) != wasmHead || !s.Granted("kv") || !s.Granted("log") || s.Granted("timer") {
		t.Errorf("spec %+v", s)
	}
}

// The defaults of a hook's registration, and its fields as a mask.
func TestSpecDefaults(t *testing.T) {
	hooks := []manifest.Hook{{Name: "authenticate"}, {Name: "acl", Fields: []string{"topic"}}}
	s := specs(hooks)
	if s[0].Timeout.Seconds() != 5 || s[0].Park != manifest.DefaultPark || s[1].Timeout.Seconds() != 1 {
		t.Errorf("%+v", s)
	}
	if !s[1].Fields.Has(contract.SlotTopic) || s[1].Fields.Has(contract.SlotPeer) {
		t.Errorf("fields %b", s[1].Fields)
	}
}

// What the manager itself refuses to open.
func TestRefusedBeforeOpening(t *testing.T) {
	pub := hookLine(contract.HookPublish, "")
	for name, tc := range map[string]struct {
		manifest, operator string
		change             func(*fixture)
		want               string
	}{
		"no process host":    {pub, "[plugin]\ntransport = \"process\"\n", func(f *fixture) { f.write("plugins/a/a", "x") }, "runs no plugins of kind process"},
		"deliver by process": {hookLine(contract.HookDeliver, `, filters = ["a"]`), "", func(f *fixture) { f.transport.blocking = true }, "deliver is not for processes"},
		"bad manifest":       {"hook = []\n", "", nil, "no hook"},
		"not granted":        {"capabilities = [\"kv\"]\n" + pub, "", nil, `the plugin asks for "kv"`},
	} {
		got, s := opening(t, tc.manifest, tc.operator, tc.change)
		if !strings.Contains(got, tc.want) || s != nil {
			t.Errorf("%s: error %q, want %q; opened: %v", name, got, tc.want, s != nil)
		}
	}
}
