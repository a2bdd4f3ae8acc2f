package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/topicstore"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// builtin is a transport whose plugins are Go functions: the measuring stick.
type builtin struct {
	blocking bool
	max      int

	mu      sync.Mutex
	plugins map[string]*builtinPlugin // by name
}

// builtinPlugin answers the calls of one plugin.
type builtinPlugin struct {
	on    func(i *builtinInstance, c *Call) error
	open  func(s *Spec) error
	hooks contract.HookSet // 0: does not say

	memory   int64                                // that its instances may come to
	state    State                                // "": running
	handOver func(old, to *builtinInstance) error // nil: has no state

	reconfigure func(config string) error // nil: it needs another instance

	command func(name string, body []byte) ([]byte, error) // nil: takes none

	opened, closed atomic.Int64
}

type builtinInstance struct {
	plugin *builtinPlugin
	spec   *Spec
	n      int64
	done   atomic.Bool
	heir   atomic.Bool // got a state
	calls  atomic.Uint64
}

func (b *builtin) Open(_ context.Context, s *Spec) (Instance, error) {
	b.mu.Lock()
	p := b.plugins[s.Name]
	b.mu.Unlock()
	if p == nil {
		return nil, fmt.Errorf("no builtin %s", s.Name)
	}
	if p.open != nil {
		if err := p.open(s); err != nil {
			return nil, err
		}
	}
	return &builtinInstance{plugin: p, spec: s, n: p.opened.Add(1)}, nil
}

func (b *builtin) Blocking() bool { return b.blocking }

func (b *builtin) MaxRecords() int {
	if b.max == 0 {
		return contract.MaxRecords
	}
	return b.max
}

func (i *builtinInstance) Hooks() (contract.HookSet, bool) {
	return i.plugin.hooks, i.plugin.hooks != 0
}

func (i *builtinInstance) Call(_ context.Context, c *Call) error {
	if i.done.Load() {
		return ErrClosed
	}
	i.calls.Add(1)
	return i.plugin.on(i, c)
}

func (i *builtinInstance) Close(context.Context) error {
	if i.done.Swap(true) {
		return errors.New("closed twice")
	}
	i.plugin.closed.Add(1)
	return nil
}

func (i *builtinInstance) Status() Status {
	if i.done.Load() {
		return Status{State: StateClosed}
	}
	return Status{State: cmp.Or(i.plugin.state, StateRunning), Calls: i.calls.Load(), Instances: 1, MemoryMax: i.plugin.memory}
}

// HandOver implements Heir.
func (i *builtinInstance) HandOver(to Instance) error {
	if i.plugin.handOver == nil {
		return nil
	}
	return i.plugin.handOver(i, to.(*builtinInstance))
}

// Reconfigure implements Reconfigurer.
func (i *builtinInstance) Reconfigure(_ context.Context, config []byte) error {
	if i.plugin.reconfigure == nil {
		return ErrNotReconfigured
	}
	return i.plugin.reconfigure(string(config))
}

// each is a plugin that answers record by record.
func each(f func(r contract.Record, w *contract.VerdictWriter, i int)) *builtinPlugin {
	return &builtinPlugin{on: func(_ *builtinInstance, c *Call) error {
		var w contract.VerdictWriter
		w.Reset(nil, c.N)
		frame := c.Frame
		for i := range c.N {
			r, rest, err := contract.Split(frame)
			if err != nil {
				return err
			}
			f(r, &w, i)
			frame = rest
		}
		return c.Take(0, c.N, w.Block())
	}}
}

// always answers every record with one action.
func always(a contract.Action, reason byte) *builtinPlugin {
	return each(func(_ contract.Record, w *contract.VerdictWriter, i int) { w.Set(i, a, reason) })
}

// fixture is a manager over builtin plugins in a directory of its own.
type fixture struct {
	*Manager
	t         *testing.T
	dir       string
	transport *builtin
	points    *hook.Points
	store     *topicstore.Store

	mu        sync.Mutex
	published []*message.Message
	full      int // of the next calls of publish find no room
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{t: t, dir: t.TempDir(), transport: &builtin{plugins: map[string]*builtinPlugin{}}, points: &hook.Points{}, store: topicstore.New(topicstore.Config{})}
	f.Manager = New(f.config())
	return f
}

func (f *fixture) config() Config {
	return Config{
		Loaded: filepath.Join(f.dir, "loaded_plugins"), Dirs: []string{filepath.Join(f.dir, "plugins")}, ConfigDir: filepath.Join(f.dir, "etc"),
		Trust: manifest.Trust{AllowUnpinned: true}, Node: "dunlin@test", Version: "0.1.0", WASM: f.transport, Hooks: f.points, Store: f.store,
		Publish: f.publish, Secrets: manifest.Secrets{Env: os.LookupEnv, Dir: f.dir}, Log: zap.NewNop(),
	}
}

func (f *fixture) publish(ms []*message.Message) (refused int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full > 0 {
		f.full--
		return len(ms)
	}
	f.published = append(f.published, ms...)
	return 0
}

func (f *fixture) messages() []*message.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*message.Message(nil), f.published...)
}

// write puts a file below the fixture's directory.
func (f *fixture) write(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// wasmHead is a module without sections.
const wasmHead = "\x00asm\x01\x00\x00\x00"

// add makes a plugin with the given hook lines of a manifest.
func (f *fixture) add(name, manifest string, p *builtinPlugin) {
	f.t.Helper()
	f.write("plugins/"+name+"/plugin.toml", "name = \""+name+"\"\nversion = \"1.0.0\"\nabi = 1\n"+manifest)
	f.write("plugins/"+name+"/"+name+".wasm", wasmHead)
	f.transport.mu.Lock()
	f.transport.plugins[name] = p
	f.transport.mu.Unlock()
}

// hookLine is a manifest with one hook.
func hookLine(h contract.Hook, more string) string {
	return fmt.Sprintf("hook = [ { name = %q, class = %q%s } ]\n", h, h.Class(), more)
}

// start writes loaded_plugins and starts; the manager is closed with the test.
func (f *fixture) start(loaded string) {
	f.t.Helper()
	f.write("loaded_plugins", loaded)
	if err := f.StartAll(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if err := f.Close(); err != nil {
			f.t.Error(err)
		}
	})
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in 10 s: %s", what)
		}
		tick := time.NewTimer(time.Millisecond)
		<-tick.C
	}
}

func msg(topic, payload string, qos byte) *message.Message {
	var s message.Slab
	m := s.New(topic, []byte(payload), nil)
	m.QoS, m.From = qos, "c1"
	return m
}
