//go:build !wasip1

// Package plugintest runs a bundled plugin, built from its source, in the
// broker's real plugin hosts, so that one test holds for the WASM module and
// for the process. It stands in for the plugin manager: it grants what the
// manifest asks for, fills the fields that the manifest names, and notes what
// the plugin does. It is for tests only.
package plugintest

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/plugin/rpc"
	"github.com/dunlinmq/dunlin/core/plugin/wasm"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Kind is a form of a plugin.
type Kind string

// The forms.
const (
	WASM    Kind = "wasm"
	Process Kind = "process"
)

// Node is the node name that plugins under test are given.
const Node = "dunlin@test"

// Published is a message that a plugin published.
type Published struct {
	Topic, Payload string
	QoS            byte
	Retain         bool
}

// Plugin is a plugin that runs in a host.
type Plugin struct {
	Log      *observer.ObservedLogs // what the plugin has logged
	Manifest *manifest.Manifest

	instance plugin.Instance
	out      chan Published
}

// Source is where a plugin comes from. The zero Source is the plugin in the
// test's directory.
type Source struct {
	Package  string // the package to build; "": "."
	Manifest []byte // nil: plugin.toml of the test's directory
	Overlay  string // go build's -overlay; "": none
}

// Open builds the plugin in the test's directory as kind and starts it with
// config, a JSON object. It is closed with the test.
func Open(t testing.TB, kind Kind, config string) *Plugin {
	t.Helper()
	p, err := Source{}.TryOpen(t, kind, config)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TryOpen is Open for a configuration that the plugin may refuse.
func TryOpen(t testing.TB, kind Kind, config string) (*Plugin, error) {
	t.Helper()
	return Source{}.TryOpen(t, kind, config)
}

// TryOpen builds and starts the plugin.
func (src Source) TryOpen(t testing.TB, kind Kind, config string) (*Plugin, error) {
	t.Helper()
	p, err := src.prepare(t)
	if err != nil {
		return nil, err
	}
	spec := p.spec(src.build(t, kind), config)
	if p.instance, err = transport(t, kind).Open(t.Context(), spec); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := p.instance.Close(ctx); err != nil {
			t.Error("close:", err)
		}
	})
	p.checkHooks(t)
	return p, nil
}

// prepare reads the manifest.
func (src Source) prepare(t testing.TB) (p *Plugin, err error) {
	t.Helper()
	text := src.Manifest
	if text == nil {
		if text, err = os.ReadFile("plugin.toml"); err != nil {
			return nil, err
		}
	}
	p = &Plugin{out: make(chan Published, 4096)}
	p.Manifest, err = manifest.ParseManifest("plugin.toml", text)
	return p, err
}

// spec grants what the manifest asks for.
func (p *Plugin) spec(code []byte, config string) *plugin.Spec {
	core, logs := observer.New(zap.DebugLevel)
	p.Log = logs
	s := &plugin.Spec{
		Name: p.Manifest.Name, Manifest: p.Manifest, Code: code, Path: p.Manifest.Name,
		Config: []byte(config), Grants: p.Manifest.Capabilities, Node: Node, Version: "0.0.0-test", Log: zap.New(core),
	}
	for _, c := range p.Manifest.Capabilities {
		switch c {
		case "publish":
			s.Services.Publish = p
		case "topicstore":
			s.Services.TopicStore = true
		}
	}
	for _, h := range p.Manifest.Hooks {
		k, _ := contract.ParseHook(h.Name)
		s.Hooks = append(s.Hooks, plugin.HookSpec{Hook: k, Fields: p.fields(k), Timeout: 30 * time.Second, MaxPayload: h.MaxPayload})
	}
	return s
}

func transport(t testing.TB, kind Kind) plugin.Transport {
	t.Helper()
	if kind == Process {
		r := rpc.New(rpc.Config{})
		t.Cleanup(r.Close)
		return r
	}
	w, err := wasm.New(wasm.Config{CacheDir: filepath.Join(os.TempDir(), "dunlin-plugintest-cache"), Shards: 2})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// built keeps the artefacts of this test binary.
var built struct {
	sync.Mutex
	code map[string][]byte // by kind and package
}

// build compiles the plugin.
func (src Source) build(t testing.TB, kind Kind) []byte {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	key := string(kind) + " " + src.Package
	if code, ok := built.code[key]; ok {
		return code
	}
	out := filepath.Join(t.TempDir(), "plugin")
	args := []string{"build", "-ldflags=-s -w", "-o", out}
	env := os.Environ()
	if kind == WASM {
		args = append(args, "-buildmode=c-shared")
		env = append(env, "GOOS=wasip1", "GOARCH=wasm")
	}
	if src.Overlay != "" {
		args = append(args, "-overlay="+src.Overlay)
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, cmp.Or(src.Package, "."))...)
	cmd.Env = env
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, text)
	}
	code, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if built.code == nil {
		built.code = map[string][]byte{}
	}
	built.code[key] = code
	return code
}

// checkHooks compares what the plugin implements with its manifest.
func (p *Plugin) checkHooks(t testing.TB) {
	t.Helper()
	var want contract.HookSet
	for _, h := range p.Manifest.Hooks {
		k, _ := contract.ParseHook(h.Name)
		want = want.With(k)
	}
	for _, h := range contract.Hooks() {
		if got, _ := p.instance.Hooks(); h.Class() == contract.Answer && got.Has(h) {
			want = want.With(h)
		}
	}
	if got, known := p.instance.Hooks(); !known || got != want {
		t.Errorf("the plugin handles %x, its manifest names %x", got, want)
	}
}

// fields are the slots that the manifest asks for.
func (p *Plugin) fields(k contract.Hook) contract.SlotMask {
	for _, h := range p.Manifest.Hooks {
		if h.Name == k.String() {
			m, _ := k.Mask(h.Fields)
			return m
		}
	}
	return 0
}

// Frame returns a writer for records of hook k that fills what the manifest
// asks for.
func (p *Plugin) Frame(k contract.Hook) *contract.Writer {
	return &contract.Writer{Fields: p.fields(k)}
}

// Call hands the frame to the plugin and returns the verdicts. A fault of the
// plugin ends the test.
func (p *Plugin) Call(t testing.TB, k contract.Hook, w *contract.Writer, records event.Records) []contract.Verdict {
	t.Helper()
	c := &plugin.Call{Hook: k, Frame: w.Frame(), N: w.Count(), Records: records, Observe: k.Class() == contract.Observe}
	if err := p.instance.Call(t.Context(), c); err != nil {
		t.Fatalf("%s: %v", k, err)
	}
	if c.Observe {
		return nil
	}
	vs := make([]contract.Verdict, w.Count())
	for i := range vs {
		v, err := c.Verdict(i)
		if err != nil {
			t.Fatalf("%s: record %d: %v", k, i, err)
		}
		vs[i] = v
	}
	return vs
}

// Publish takes a message of the plugin.
func (p *Plugin) Publish(record []byte, _ uint8) error {
	r, _, err := contract.Split(record)
	if err == nil {
		err = contract.CheckPublish(r)
	}
	if err != nil {
		return contract.ErrnoInvalid
	}
	select {
	case p.out <- Published{
		Topic: string(r.Slot(contract.SlotTopic)), Payload: string(r.Slot(contract.SlotPayload)),
		QoS: r.Flags().QoS(), Retain: r.Flags().Has(contract.FlagRetain),
	}:
		return nil
	default:
		return contract.ErrnoQuota
	}
}

// Next waits for the next message that the plugin publishes.
func (p *Plugin) Next(t testing.TB) Published {
	t.Helper()
	select {
	case m := <-p.out:
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("the plugin has published nothing")
		return Published{}
	}
}

// Status is the instance's own report.
func (p *Plugin) Status() plugin.Status { return p.instance.Status() }
