package plugin

import (
	"testing"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// An acl plugin that gives a permission list is asked once by a connection; a
// reload asks again, and what the list does not cover is left to the next one.
func TestPermissionListOfACL(t *testing.T) {
	f := newFixture(t)
	asked := 0
	list := contract.AppendPermission(nil, contract.Permission{Filter: "a/#", Publish: true, Subscribe: true, Allow: true, MaxQoS: 2, Retain: true})
	f.add("lists", hookLine(contract.HookACL, ""), each(func(_ contract.Record, w *contract.VerdictWriter, i int) {
		asked++
		w.Set(i, contract.Next, 0)
		w.Put(i, contract.ExtPermissions, list)
	}))
	f.add("last", hookLine(contract.HookACL, ""), always(contract.Deny, 0))
	f.start("lists.\nlast.\n")
	var lists hook.Lists
	check := func(topic string, want hook.Verdict, calls int) {
		t.Helper()
		es := []hook.ACLEvent{{Client: testClient(), Action: hook.Publish, Topic: topic, Lists: &lists}}
		fold(&f.points.ClientCheckACL, es)
		if es[0].Verdict != want || asked != calls {
			t.Errorf("%s: verdict %d after %d calls, want %d after %d", topic, es[0].Verdict, asked, want, calls)
		}
	}
	check("x", hook.Deny, 1)
	check("a/b", hook.Allow, 1)
	check("y", hook.Deny, 1)
	if err := f.Reload("lists"); err != nil {
		t.Fatal(err)
	}
	check("a/b", hook.Allow, 2) // the list answers the first question too
	check("a/b", hook.Allow, 2)
	if err := f.Unload("lists"); err != nil {
		t.Fatal(err)
	}
	check("a/b", hook.Deny, 2)
}

// BenchmarkACLList measures a PUBLISH whose topic a list decides: no call.
func BenchmarkACLList(b *testing.B) {
	f := &hook.Points{}
	m := New(Config{Hooks: f, Log: zap.NewNop()})
	p := m.enlist("a", 1)
	tr := &builtin{plugins: map[string]*builtinPlugin{"a": {on: func(_ *builtinInstance, c *Call) error {
		var w contract.VerdictWriter
		w.Reset(nil, c.N)
		w.Put(0, contract.ExtPermissions, contract.AppendPermission(nil, contract.Permission{Filter: "#", Publish: true, Allow: true, MaxQoS: 2}))
		return c.Take(0, c.N, w.Block())
	}}}}
	prep := &prepared{transport: tr, kind: "wasm", hooks: []manifest.Hook{{Name: "acl"}}}
	prep.spec = &Spec{Name: "a", Manifest: &manifest.Manifest{}, Hooks: specs(prep.hooks)}
	v, err := prep.open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	p.bind(v)
	var lists hook.Lists
	es := []hook.ACLEvent{{Client: testClient(), Action: hook.Publish, Topic: "sensors/kitchen/temperature", Lists: &lists}}
	chain := f.ClientCheckACL.Chain()
	b.ReportAllocs()
	for b.Loop() {
		es[0].Verdict = hook.Next
		chain[0](es)
	}
}

// A reload, and the plugin's own word, make clients and the broker forget.
func TestForgetVerdicts(t *testing.T) {
	f := newFixture(t)
	calls := 0
	f.add("a", hookLine(contract.HookACL, ""), each(func(_ contract.Record, w *contract.VerdictWriter, i int) {
		calls++
		w.Set(i, contract.Allow, 0)
		w.SetFlags(i, contract.CacheShared)
		w.SetCacheTTL(i, 60_000)
	}))
	f.start("a.\n")
	ask := func() {
		es := []hook.ACLEvent{{Client: testClient(), Action: hook.Publish, Topic: "t"}}
		if fold(&f.points.ClientCheckACL, es); es[0].Verdict != hook.Allow {
			t.Errorf("verdict %v", es[0].Verdict)
		}
	}
	ask()
	ask()
	version := f.points.ClientCheckACL.Version()
	p, err := f.loaded("a")
	if err != nil {
		t.Fatal(err)
	}
	if p.cur.Load().spec.Services.Cache.Forget("t"); calls != 1 || f.points.ClientCheckACL.Version() == version {
		t.Errorf("%d calls", calls)
	}
	ask()
	version = f.points.ClientCheckACL.Version()
	if err := f.Reload("a"); err != nil {
		t.Fatal(err)
	}
	if ask(); calls != 3 || f.points.ClientCheckACL.Version() == version {
		t.Errorf("%d calls after a reload", calls)
	}
}
