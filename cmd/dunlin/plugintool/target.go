package plugintool

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/plugin/rpc"
	"github.com/dunlinmq/dunlin/core/plugin/wasm"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Target is a plugin on disk.
type Target struct {
	Path     string // of the artefact
	Manifest string // of its plugin.toml; "": beside the artefact
	CacheDir string // of compiled modules; "": none
	Log      *zap.Logger

	files fileSet
}

// fileSet is what belongs to the artefact, by the name that it has when installed.
type fileSet struct {
	name     string
	manifest []byte
	schema   []byte
	schemaAt string
	code     []byte
}

// node and version are what plugins under test see of the broker.
const (
	node    = "dunlin@test"
	version = "test"
)

// read loads the files of the target, once.
func (t *Target) read() (err error) {
	if t.files.code != nil {
		return nil
	}
	if fi, err := os.Stat(t.Path); err == nil && fi.IsDir() {
		if t.Path, err = artefactIn(t.Path); err != nil {
			return err
		}
	}
	path := cmp.Or(t.Manifest, filepath.Join(filepath.Dir(t.Path), "plugin.toml"))
	f := fileSet{}
	if f.manifest, err = os.ReadFile(path); err != nil {
		return fmt.Errorf("the manifest: %w; --manifest names one that is elsewhere", err)
	}
	m, err := manifest.ParseManifest(path, f.manifest)
	if err != nil {
		return err
	}
	f.name, f.schemaAt = m.Name, m.ConfigSchema
	if f.schemaAt != "" {
		if f.schema, err = os.ReadFile(filepath.Join(filepath.Dir(path), f.schemaAt)); err != nil {
			return fmt.Errorf("config_schema: %w", err)
		}
	}
	if f.code, err = os.ReadFile(t.Path); err != nil {
		return fmt.Errorf("the artefact: %w", err)
	}
	t.files = f
	return nil
}

// artefactIn finds the one artefact of a plugin's folder.
func artefactIn(dir string) (string, error) {
	m, err := manifest.ParseManifest("plugin.toml", readOrEmpty(filepath.Join(dir, "plugin.toml")))
	if err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	var looked []string
	for _, file := range []string{m.Name + ".wasm", m.Name, m.Name + ".exe"} {
		path := filepath.Join(dir, file)
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() {
			return path, nil
		}
		looked = append(looked, path)
	}
	return "", fmt.Errorf("there is no artefact: looked for %s; `dunlin plugin build` makes one", strings.Join(looked, ", "))
}

func readOrEmpty(path string) []byte {
	b, _ := os.ReadFile(path) // a missing file is a fault of the manifest
	return b
}

// WASM tells whether the artefact is a module.
func (t *Target) WASM() bool { return bytes.HasPrefix(t.files.code, []byte("\x00asm")) }

// load lays the plugin out as an operator would and reads it as the broker does.
func (t *Target) load(s *Scenario) (*manifest.Package, error) {
	if err := t.read(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "dunlin-plugin")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // in the system's directory for such
	name := t.files.name
	file := name
	if t.WASM() {
		file += ".wasm"
	}
	var op bytes.Buffer
	m, err := manifest.ParseManifest("plugin.toml", t.files.manifest)
	if err != nil {
		return nil, err
	}
	if err := toml.NewEncoder(&op).Encode(map[string]any{"plugin": map[string]any{"grant": s.grants(m)}, "config": s.config()}); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	own := filepath.Join(dir, name)
	files := map[string][]byte{
		filepath.Join(own, file): t.files.code, filepath.Join(own, "plugin.toml"): t.files.manifest,
		filepath.Join(dir, name+".toml"): op.Bytes(),
	}
	if t.files.schemaAt != "" {
		files[filepath.Join(own, t.files.schemaAt)] = t.files.schema
	}
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, err
		}
	}
	src := manifest.Source{Dirs: []string{dir}, ConfigDir: dir, Trust: manifest.Trust{AllowUnpinned: true}, Secrets: manifest.Secrets{Env: os.LookupEnv, Dir: filepath.Dir(t.Path)}}
	p, err := src.Read(name)
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""))
	}
	return p, nil
}

// Run is a plugin that runs in a host.
type Run struct {
	Package  *manifest.Package
	Services *Notes

	target   *Target
	lobby    *plugin.Lobby
	waiting  []waiting // of earlier steps
	clock    uint64    // the time of the last record of a scenario, and of answers
	host     plugin.Transport
	instance plugin.Instance
	shut     func()
}

// Open starts the plugin with the configuration of a scenario (nil: none), with all
// that its manifest asks for granted except the capabilities in deny.
func (t *Target) Open(ctx context.Context, s *Scenario, deny ...string) (*Run, error) {
	p, err := t.load(s)
	if err != nil {
		return nil, err
	}
	r := &Run{Package: p, Services: newNotes(s, p), target: t, shut: func() {}}
	r.lobby = r.Services.lobby
	if err := r.Services.grantOrigins(p.Grants); err != nil {
		return nil, err
	}
	if t.WASM() {
		r.host, err = wasm.New(wasm.Config{CacheDir: t.CacheDir, Shards: 1, Log: t.log()})
	} else {
		h := rpc.New(rpc.Config{})
		r.host, r.shut = h, h.Close
	}
	if err != nil {
		return nil, err
	}
	if r.instance, err = r.open(ctx, deny); err != nil {
		r.shut()
		return nil, err
	}
	return r, nil
}

func (t *Target) log() *zap.Logger {
	if t.Log == nil {
		return zap.NewNop()
	}
	return t.Log
}

// open starts one version of the plugin.
func (r *Run) open(ctx context.Context, deny []string) (plugin.Instance, error) {
	s := &plugin.Spec{
		Name: r.Package.Manifest.Name, Manifest: r.Package.Manifest, Code: r.Package.Code, Path: r.target.Path, SHA256: r.Package.SHA256,
		Config: r.Package.Config, Node: node, Version: version, Log: r.target.log(),
	}
	r.Services.always(&s.Services)
	for _, c := range r.Package.Grants {
		if word, _, _ := strings.Cut(c, ":"); !contains(deny, c) && !contains(deny, word) {
			s.Grants = append(s.Grants, c)
			r.Services.grant(&s.Services, c)
		}
	}
	for _, h := range r.Package.Hooks {
		k, _ := contract.ParseHook(h.Name)
		mask, _ := k.Mask(h.Fields)
		s.Hooks = append(s.Hooks, plugin.HookSpec{Hook: k, Fields: mask, Timeout: callTime, MaxPayload: h.MaxPayload})
	}
	in, err := r.host.Open(ctx, s)
	if err != nil {
		return nil, err
	}
	if has, known := in.Hooks(); known {
		for _, h := range s.Hooks {
			if !has.Has(h.Hook) {
				_ = in.Close(ctx)
				return nil, fmt.Errorf("the manifest names the hook %q, the plugin does not handle it", h.Hook)
			}
		}
	}
	return in, nil
}

// callTime is how long a process may take for a frame.
const callTime = 20 * time.Second

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// Fields are the slots that the manifest asks for; 0, false: it does not name
// the hook.
func (r *Run) Fields(k contract.Hook) (contract.SlotMask, bool) {
	for _, h := range r.Package.Hooks {
		if h.Name == k.String() {
			m, _ := k.Mask(h.Fields)
			return m, true
		}
	}
	return 0, false
}

// Call hands one frame over.
func (r *Run) Call(ctx context.Context, c *plugin.Call) error { return r.instance.Call(ctx, c) }

// Reload replaces the plugin by a new version of itself, which gets its state.
func (r *Run) Reload(ctx context.Context) error {
	next, err := r.open(ctx, nil)
	if err != nil {
		return err
	}
	old := r.instance
	r.instance = next
	if h, ok := old.(plugin.Heir); ok {
		err = h.HandOver(next)
	}
	return errors.Join(err, old.Close(ctx))
}

// Status is the host's report.
func (r *Run) Status() plugin.Status { return r.instance.Status() }

// Close ends the plugin.
func (r *Run) Close(ctx context.Context) error {
	err := r.instance.Close(ctx)
	r.shut()
	return err
}
