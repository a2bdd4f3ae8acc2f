// Package wasm carries plugins that are WASM modules: it checks a module
// against its grants, bounds it with fuel, compiles it, keeps its guest
// instances by connection and hands them frames. It is the only package that
// imports wazero. It refuses to know what a frame is about: hooks, policies and
// on_error are the manager's.
//
// What a guest can do to the host is spend a bounded time and a bounded memory.
// Guests run on the caller's goroutine and cannot be preempted, so everything
// that a guest can ask for has a price in fuel; no host function blocks or
// calls back into a guest.
package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/plugin/wasm/fuel"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Engines, as [Transport.Engine] names them.
const (
	EngineCompiler    = "compiler"
	EngineInterpreter = "interpreter" // 8 to 15 times slower
)

// Defaults and bounds; contract C.4.
const (
	callUnits   = 1_000_000   // per call, unless the manifest says otherwise
	recordUnits = 100_000     // more for each record of the call
	loadUnits   = 300_000_000 // for _initialize and dunlin_init of the first instance
	hostUnits   = 200         // per host call
	pageLimit   = 1024        // memory, unless the manifest says otherwise
	maxModule   = 64 << 20    // bytes
	maxBlock    = 8 << 20     // bytes of a verdict block
)

// Config is what all WASM plugins of a broker share.
type Config struct {
	// CacheDir keeps compiled code between runs; it is made with mode 0700 and
	// holds native code, which is trusted as the broker itself is. "": none.
	CacheDir string
	// Shards bounds the guest instances of one plugin. 0: GOMAXPROCS.
	Shards int
	// Log is for what is not about one plugin.
	Log *zap.Logger
}

// Transport opens WASM plugins. It implements [plugin.Transport].
type Transport struct {
	cfg    Config
	engine string
}

// New makes a transport and finds out which engine runs here. An error means
// that the cache directory cannot be used.
func New(cfg Config) (*Transport, error) {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Shards <= 0 {
		cfg.Shards = runtime.GOMAXPROCS(0)
	}
	if cfg.CacheDir != "" {
		if err := os.MkdirAll(cfg.CacheDir, 0o700); err != nil {
			return nil, fmt.Errorf("compilation cache: %w", err)
		}
		if err := os.Chmod(cfg.CacheDir, 0o700); err != nil {
			return nil, fmt.Errorf("compilation cache: %w", err)
		}
	}
	t := &Transport{cfg: cfg, engine: EngineCompiler}
	if err := probe(wazero.NewRuntimeConfigCompiler()); err != nil {
		t.engine = EngineInterpreter
		cfg.Log.Warn("WASM plugins are INTERPRETED, 8 to 15 times slower: this host does not let the broker run compiled code",
			zap.Error(err))
	}
	return t, nil
}

// Engine is how guests run on this host: compiled or interpreted.
func (t *Transport) Engine() string { return t.engine }

// Blocking is false: a call lasts as long as its fuel.
func (t *Transport) Blocking() bool { return false }

// MaxRecords bounds what one call of a guest can cost.
func (t *Transport) MaxRecords() int { return contract.MaxRecordsWASM }

// probe runs the smallest module there is: (func (export "f")).
func probe(cfg wazero.RuntimeConfig) (err error) {
	defer func() {
		if p := recover(); p != nil { // the engine's way to say "not here"
			err = fmt.Errorf("%v", p)
		}
	}()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, cfg)
	defer func() { _ = r.Close(ctx) }()
	mod, err := r.Instantiate(ctx, []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x07\x05\x01\x01f\x00\x00\x0a\x04\x01\x02\x00\x0b"))
	if err != nil {
		return err
	}
	_, err = mod.ExportedFunction("f").Call(ctx)
	return err
}

// Open implements [plugin.Transport]: it verifies, rewrites, compiles and
// starts the module, and configures a first instance of it. An error is about
// the module (imports, exports, fuel pass), the configuration (the guest's own
// text) or the host.
func (t *Transport) Open(ctx context.Context, s *plugin.Spec) (plugin.Instance, error) {
	p, err := t.open(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("plugin %s: %w", s.Name, err)
	}
	return p, nil
}

func (t *Transport) open(ctx context.Context, s *plugin.Spec) (*Plugin, error) {
	if len(s.Code) > maxModule {
		return nil, fmt.Errorf("module of %d bytes, at most %d", len(s.Code), maxModule)
	}
	if sum := sha256.Sum256(s.Code); s.SHA256 != "" && hex.EncodeToString(sum[:]) != s.SHA256 {
		return nil, fmt.Errorf("sha256 is %x, not %s", sum, s.SHA256)
	}
	code, info, err := fuel.Rewrite(s.Code, fuel.Config{Start: callUnits})
	if err != nil {
		return nil, err
	}
	if err := checkImports(info, func(c string) string { return denied(s, c) }); err != nil {
		return nil, err
	}
	p := t.plugin(s)
	if err := p.start(ctx, code); err != nil {
		_ = p.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	p.log.Info("WASM module loaded", zap.String("engine", t.engine), zap.Int("bytes", len(s.Code)),
		zap.Int("shards", len(p.shards)), zap.Int64("load_fuel", p.loadFuel.Load()))
	return p, nil
}

// plugin lays out the plugin of a spec; nothing is started.
func (t *Transport) plugin(s *plugin.Spec) *Plugin {
	p := &Plugin{
		spec: s, t: t, log: s.Log, units: callUnits, pages: pageLimit,
		faults: bucket{tokens: faultBurst},
	}
	if p.log == nil {
		p.log = zap.NewNop()
	}
	n := t.cfg.Shards
	if m := s.Manifest; m != nil {
		if m.Fuel > 0 {
			p.units = int64(min(m.Fuel, loadUnits))
		}
		if m.MemoryPages > 0 {
			p.pages = m.MemoryPages
		}
		if m.MaxInstances > 0 {
			n = min(n, m.MaxInstances)
		}
		if m.State == manifest.StateShared {
			n = 1
		}
	}
	p.shards = make([]shard, n)
	for i := range p.shards {
		p.shards[i].p, p.shards[i].number = p, i
	}
	return p
}

// start compiles the module and makes the first instance.
func (p *Plugin) start(ctx context.Context, code []byte) error {
	cfg := wazero.NewRuntimeConfigCompiler()
	if p.t.engine == EngineInterpreter {
		cfg = wazero.NewRuntimeConfigInterpreter()
	}
	cfg = cfg.WithCoreFeatures(api.CoreFeaturesV2).WithMemoryLimitPages(p.pages).WithDebugInfoEnabled(false)
	if dir := p.t.cfg.CacheDir; dir != "" {
		cache, err := wazero.NewCompilationCacheWithDir(dir)
		if err != nil {
			return fmt.Errorf("compilation cache: %w", err)
		}
		p.cache = cache
		cfg = cfg.WithCompilationCache(cache)
	}
	p.rt = wazero.NewRuntimeWithConfig(ctx, cfg)
	if err := p.compile(ctx, code); err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	compiled := p.compiled
	if err := checkSignatures(compiled); err != nil {
		return err
	}
	if err := p.hostModules(ctx, compiled); err != nil {
		return err
	}
	sh := &p.shards[0]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	began := time.Now()
	g, err := p.newGuest(0)
	if err != nil {
		return err
	}
	p.built.instantiate = time.Since(began)
	sh.g = g
	p.live.Add(1)
	sh.made = true
	sh.measure()
	p.hooks, p.says, err = g.hooks()
	return err
}

// Errors of calls.
var (
	errFuel       = errors.New("out of fuel")
	errBlock      = errors.New("verdict block lies outside the memory")
	errCulprit    = errors.New("records of this connection have faulted again and again: it is not asked about for a while")
	errFaultRate  = errors.New("too many faults: the plugin is quarantined")
	errFaultLimit = errors.New("too many faulty records in one frame")
)
