package plugin

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Load, unload and reload while calls run: every call meets one version, none fails.
func TestHotChanges(t *testing.T) {
	f := newFixture(t)
	p := always(contract.Drop, 0)
	f.add("hot", hookLine(contract.HookPublish, ""), p)
	f.add("base", hookLine(contract.HookPublish, `, on_error = "deny"`), always(contract.Next, 0))
	f.start("{hot, true}.\n{base, true}.\n")
	var stop atomic.Bool
	var calls, dropped atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			es := make([]hook.PublishEvent, 4)
			for !stop.Load() {
				for i := range es {
					es[i] = hook.PublishEvent{Msg: msg("t", "x", 1)}
				}
				fold(&f.points.MessagePublish, es)
				for i := range es {
					if es[i].Verdict == hook.Deny || es[i].Verdict != es[0].Verdict {
						t.Errorf("verdicts %d and %d", es[0].Verdict, es[i].Verdict)
					}
				}
				if es[0].Verdict == hook.Drop {
					dropped.Add(1)
				}
				calls.Add(1)
			}
		})
	}
	change := func(what string, err error) {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		at := calls.Load()
		eventually(t, "calls go on", func() bool { return calls.Load() > at+20 })
	}
	for range 20 {
		at := dropped.Load()
		change("reload", f.Reload("hot"))
		eventually(t, "the plugin is asked", func() bool { return dropped.Load() > at })
		change("unload", f.Unload("hot"))
		change("load", f.Load("hot"))
	}
	stop.Store(true)
	wg.Wait()
	if o, c := p.opened.Load(), p.closed.Load(); o != 41 || c != 40 {
		t.Errorf("%d opened, %d closed", o, c)
	}
	for _, i := range f.List() {
		if i.Failed != 0 {
			t.Errorf("%s: %d records failed", i.Name, i.Failed)
		}
	}
}

// A reload that fails leaves the running version; one that changes the hooks
// changes the chains.
func TestReload(t *testing.T) {
	f := newFixture(t)
	p := always(contract.Drop, 0)
	f.add("a", hookLine(contract.HookPublish, ""), p)
	f.start("a.\n")
	p.open = func(*Spec) error { return errBoom }
	if err := f.Reload("a"); !errors.Is(err, errBoom) {
		t.Fatalf("error %v", err)
	}
	es := []hook.PublishEvent{{Msg: msg("t", "", 0)}}
	if fold(&f.points.MessagePublish, es); es[0].Verdict != hook.Drop {
		t.Error("the running version is gone")
	}
	p.open = nil
	f.write("plugins/a/plugin.toml", "name = \"a\"\nversion = \"2.0.0\"\nabi = 1\n"+hookLine(contract.HookWill, ""))
	if err := f.Reload("a"); err != nil {
		t.Fatal(err)
	}
	if f.points.MessagePublish.Chain() != nil || len(f.points.MessageWill.Chain()) != 1 {
		t.Error("the chains are not the new version's")
	}
	if l := f.List(); len(l) != 1 || l[0].Version != "2.0.0" || strings.Join(l[0].Hooks, " ") != "will" || l[0].Kind != "wasm" || l[0].Status.State != StateRunning {
		t.Errorf("list %+v", l)
	}
	if err := f.Reload("b"); !errors.Is(err, ErrNotLoaded) {
		t.Errorf("error %v", err)
	}
	if err := f.Load("a"); !errors.Is(err, ErrLoaded) {
		t.Errorf("error %v", err)
	}
	if err := f.Load("../a"); err == nil {
		t.Error("a path was taken for a name")
	}
	if err := f.Load("missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// load and unload are written to loaded_plugins; comments stay.
func TestLoadedPluginsIsKept(t *testing.T) {
	f := newFixture(t)
	f.add("a", hookLine(contract.HookPublish, ""), always(contract.Next, 0))
	f.add("b-c", hookLine(contract.HookPublish, ""), always(contract.Next, 0))
	f.start("% mine\n{emqx_a, true}. % first\n")
	if err := f.Unload("a"); err != nil {
		t.Fatal(err)
	}
	if err := f.Load("b-c"); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(filepath.Join(f.dir, "loaded_plugins"))
	if want := "% mine\n{a, false}. % first\n{'b-c', true}.\n"; string(text) != want {
		t.Errorf("file %q, want %q", text, want)
	}
}

// enable and disable are for the next start: nothing changes now.
func TestEnable(t *testing.T) {
	f := newFixture(t)
	f.add("a", hookLine(contract.HookPublish, ""), always(contract.Next, 0))
	f.add("b", hookLine(contract.HookPublish, ""), always(contract.Next, 0))
	f.start("{a, true}. % first\n")
	if err := errors.Join(f.Enable("a", false), f.Enable("b", true)); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(filepath.Join(f.dir, "loaded_plugins"))
	if want := "{a, false}. % first\n{b, true}.\n"; string(text) != want {
		t.Errorf("file %q, want %q", text, want)
	}
	if list := f.List(); len(list) != 1 || list[0].Name != "a" {
		t.Errorf("loaded are %+v", list)
	}
	for _, err := range []error{f.Enable("nobody", true), f.Enable("nobody", false)} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("nobody: %v", err)
		}
	}
	if err := f.Enable("../a", true); err == nil {
		t.Error("a path is a name")
	}
}

// What is on and not loaded is told with the reason: of the files as they are now, or
// of the last try.
func TestAbsent(t *testing.T) {
	f := newFixture(t)
	boom := always(contract.Next, 0)
	boom.open = func(*Spec) error { return errBoom }
	f.add("a", hookLine(contract.HookPublish, ""), always(contract.Next, 0))
	f.add("b", hookLine(contract.HookPublish, ""), boom)
	f.start("{a, true}.\n")
	f.write("loaded_plugins", "{none, true}.\n{a, true}.\n{b, true}.\n{off, false}.\n")
	absent := func() []Absent {
		t.Helper()
		list, err := f.Absent()
		if err != nil || len(list) != 2 || list[0].Name != "none" || list[1].Name != "b" {
			t.Fatalf("%+v, %v", list, err)
		}
		return list
	}
	if l := absent(); !strings.Contains(l[0].Why, "looked for") || l[1].Why != "" {
		t.Errorf("%+v", l)
	}
	if err := f.Load("b"); !errors.Is(err, errBoom) {
		t.Error(err)
	}
	if l := absent(); !strings.Contains(l[1].Why, errBoom.Error()) {
		t.Errorf("%+v", l)
	}
	f.write("loaded_plugins", "{a, true\n")
	if _, err := f.Absent(); err == nil {
		t.Error("a file that cannot be read is read")
	}
}

// What is configured and cannot load stops the start: all faults, nothing loaded.
func TestStartFails(t *testing.T) {
	f := newFixture(t)
	good := always(contract.Next, 0)
	f.add("good", hookLine(contract.HookPublish, ""), good)
	f.add("bad", hookLine(contract.HookPublish, ""), &builtinPlugin{open: func(*Spec) error { return errBoom }})
	f.write("loaded_plugins", "good.\nbad.\nmissing.\n")
	err := f.StartAll(t.Context())
	if err == nil || !errors.Is(err, errBoom) || !strings.Contains(err.Error(), "plugin bad:") || !strings.Contains(err.Error(), "plugin missing:") {
		t.Fatalf("error %v", err)
	}
	if good.opened.Load() != 1 || good.closed.Load() != 1 || f.points.MessagePublish.Chain() != nil || len(f.List()) != 0 {
		t.Error("something stayed")
	}
	if err := f.Load("good"); !errors.Is(err, ErrStopped) {
		t.Errorf("error %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestOneProvider(t *testing.T) {
	f := newFixture(t)
	more := "capabilities = [\"topicstore\"]\n"
	for _, name := range []string{"r1", "r2"} {
		f.add(name, more+hookLine(contract.HookRetainedStore, ""), always(contract.Next, 0))
		f.write("etc/"+name+".toml", "[plugin]\ngrant = [\"topicstore\"]\n")
	}
	f.start("r1.\n")
	if err := f.Load("r2"); err == nil || !strings.Contains(err.Error(), "r1 provides retained_store already") {
		t.Errorf("error %v", err)
	}
	if err := f.Reload("r1"); err != nil {
		t.Error(err)
	}
	if n := len(f.points.RetainedStore.Chain()); n != 1 {
		t.Errorf("%d providers", n)
	}
}

// A manifest may not name hooks that the plugin does not handle.
func TestHooksMustBeHandled(t *testing.T) {
	f := newFixture(t)
	p := always(contract.Next, 0)
	p.hooks = contract.HookSet(0).With(contract.HookACL)
	f.add("a", hookLine(contract.HookPublish, ""), p)
	f.write("loaded_plugins", "a.\n")
	if err := f.StartAll(t.Context()); err == nil || !strings.Contains(err.Error(), `"publish", which the plugin does not handle`) {
		t.Errorf("error %v", err)
	}
	if p.closed.Load() != 1 {
		t.Error("the instance is still open")
	}
}

func TestBlocking(t *testing.T) {
	f := newFixture(t)
	f.transport.blocking = true
	f.add("a", `hook = [ { name = "publish", class = "intercept" }, { name = "published", class = "observe" } ]`, always(contract.Next, 0))
	f.start("a.\n")
	if !f.points.MessagePublish.Blocking() || f.points.MessagePublished.Blocking() {
		t.Error("an intercepting hook of a process blocks, an observing one does not")
	}
}

// on_error: what becomes of an event whose plugin faults, for each hook and policy.
func TestOnError(t *testing.T) {
	type outcome struct {
		verdict hook.Verdict
		reason  packet.ReasonCode
	}
	pass := outcome{}
	publish := func(p *hook.Point[hook.InterceptMany[hook.PublishEvent]], qos byte) outcome {
		es := []hook.PublishEvent{{Client: testClient(), Msg: msg("t", "", qos)}}
		fold(p, es)
		return outcome{es[0].Verdict, es[0].Reason}
	}
	fire := map[contract.Hook]func(pts *hook.Points, qos byte) outcome{
		contract.HookConnect: func(pts *hook.Points, _ byte) outcome {
			e := &hook.ConnectEvent{Client: testClient()}
			call(&pts.ClientConnect, e)
			return outcome{reason: e.Reason}
		},
		contract.HookAuthenticate: func(pts *hook.Points, _ byte) outcome {
			e := &hook.AuthEvent{Client: testClient()}
			call(&pts.ClientAuthenticate, e)
			return outcome{e.Verdict, e.Reason}
		},
		contract.HookACL: func(pts *hook.Points, _ byte) outcome {
			es := []hook.ACLEvent{{Client: testClient(), Action: hook.Publish, Topic: "t"}}
			fold(&pts.ClientCheckACL, es)
			return outcome{es[0].Verdict, es[0].Reason}
		},
		contract.HookSubscribe: func(pts *hook.Points, _ byte) outcome {
			e := &hook.SubscribeEvent{Client: testClient(), Filters: []packet.Filter{{Filter: "t"}}, Codes: make([]packet.ReasonCode, 1)}
			call(&pts.ClientSubscribe, e)
			return outcome{reason: e.Codes[0]}
		},
		contract.HookPublish: func(pts *hook.Points, qos byte) outcome { return publish(&pts.MessagePublish, qos) },
		contract.HookWill:    func(pts *hook.Points, qos byte) outcome { return publish(&pts.MessageWill, qos) },
		contract.HookRetainedStore: func(pts *hook.Points, qos byte) outcome {
			es := []hook.RetainEvent{{Client: testClient(), Msg: msg("t", "", qos)}}
			fold(&pts.RetainedStore, es)
			return outcome{es[0].Verdict, es[0].Reason}
		},
	}
	cases := []struct {
		hook   contract.Hook
		policy string
		qos    byte
		want   outcome
	}{
		{contract.HookConnect, "", 0, outcome{reason: packet.ServerUnavailable}},
		{contract.HookConnect, "next", 0, pass},
		{contract.HookAuthenticate, "", 0, outcome{hook.Deny, packet.ServerUnavailable}},
		{contract.HookAuthenticate, "next", 0, pass},
		{contract.HookAuthenticate, "allow", 0, outcome{verdict: hook.Allow}},
		{contract.HookACL, "", 0, outcome{hook.Deny, packet.NotAuthorized}},
		{contract.HookACL, "park", 0, outcome{hook.Deny, packet.NotAuthorized}},
		{contract.HookACL, "next", 0, pass},
		{contract.HookACL, "allow", 0, outcome{verdict: hook.Allow}},
		{contract.HookSubscribe, "", 0, outcome{reason: packet.UnspecifiedError}},
		{contract.HookSubscribe, "allow", 0, pass},
		{contract.HookPublish, "", 0, outcome{verdict: hook.Drop}},
		{contract.HookPublish, "", 1, outcome{hook.Deny, packet.UnspecifiedError}},
		{contract.HookPublish, "", 2, outcome{hook.Deny, packet.UnspecifiedError}},
		{contract.HookPublish, "deny", 0, outcome{hook.Deny, packet.UnspecifiedError}},
		{contract.HookPublish, "drop", 1, outcome{verdict: hook.Drop}},
		{contract.HookPublish, "allow", 1, pass},
		{contract.HookPublish, "next", 1, pass},
		{contract.HookWill, "", 0, outcome{verdict: hook.Drop}},
		{contract.HookWill, "", 1, outcome{hook.Deny, packet.UnspecifiedError}},
		{contract.HookRetainedStore, "", 0, pass},
		{contract.HookRetainedStore, "", 1, outcome{hook.Deny, packet.UnspecifiedError}},
		{contract.HookRetainedStore, "next", 1, pass},
	}
	faults := map[string]func(*builtinInstance, *Call) error{
		"error":     func(*builtinInstance, *Call) error { return errBoom },
		"no answer": func(*builtinInstance, *Call) error { return nil },
		"one record": func(_ *builtinInstance, c *Call) error {
			c.Fail(0, errBoom)
			return c.Take(0, c.N, nil)
		},
		"bad block": func(_ *builtinInstance, c *Call) error { return c.Take(0, c.N, make([]byte, 3)) },
	}
	for kind, on := range faults {
		for _, c := range cases {
			f := newFixture(t)
			more := ""
			if c.policy != "" {
				more = `, on_error = "` + c.policy + `"`
			}
			f.add("a", "capabilities = [\"topicstore\"]\n"+hookLine(c.hook, more), &builtinPlugin{on: on})
			f.write("etc/a.toml", "[plugin]\ngrant = [\"topicstore\"]\n")
			f.start("a.\n")
			if got := fire[c.hook](f.points, c.qos); got != c.want {
				t.Errorf("%s, %s, on_error %q, QoS %d: %+v, want %+v", kind, c.hook, c.policy, c.qos, got, c.want)
			}
			if l := f.List(); l[0].Failed != 1 {
				t.Errorf("%s: %d records counted as failed", kind, l[0].Failed)
			}
		}
	}
}

// Only the record that faulted gets the policy.
func TestOneFault(t *testing.T) {
	f := newFixture(t)
	f.add("a", hookLine(contract.HookPublish, ""), &builtinPlugin{on: func(_ *builtinInstance, c *Call) error {
		var w contract.VerdictWriter
		w.Reset(nil, 1)
		w.Set(0, contract.Drop, 0)
		c.Fail(1, errBoom)
		return errors.Join(c.Take(0, 1, w.Block()), c.Take(2, 1, w.Block()))
	}})
	f.start("a.\n")
	es := []hook.PublishEvent{{Msg: msg("t", "", 1)}, {Msg: msg("t", "", 1)}, {Msg: msg("t", "", 1)}}
	fold(&f.points.MessagePublish, es)
	if es[0].Verdict != hook.Drop || es[1].Verdict != hook.Deny || es[2].Verdict != hook.Drop {
		t.Errorf("verdicts %d %d %d", es[0].Verdict, es[1].Verdict, es[2].Verdict)
	}
}

// A call that never ends does not stop an unload for ever.
func TestRetireCutsOff(t *testing.T) {
	v := &version{inst: &builtinInstance{plugin: always(contract.Next, 0)}, drained: make(chan struct{}), parked: &parked{}, desk: &desk{cancel: func() {}}}
	v.ctx, v.cancel = contextOf(t)
	if !v.enter() {
		t.Fatal("closed")
	}
	go func() {
		<-v.ctx.Done()
		v.release()
	}()
	if err := v.retire(10 * time.Millisecond); err != nil {
		t.Error(err)
	}
	if v.enter() {
		t.Error("a retired version was entered")
	}
}
