package plugin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// artefact is a plugin as found on disk.
type artefact struct {
	dir      string // where its files lie
	path     string
	kind     string // "wasm" or "process"
	code     []byte // as it was hashed
	manifest *Manifest
}

// maxCode bounds an artefact.
const maxCode = 1 << 30

// kinds of artefacts, in the order in which they are looked for.
var kinds = []string{"wasm", "process"}

// fileOf is an artefact's file name.
func fileOf(name, kind string) string {
	switch {
	case kind == "wasm":
		return name + ".wasm"
	case runtime.GOOS == "windows":
		return name + ".exe"
	}
	return name
}

// find looks for plugin name: <dir>/<name>/<name>.wasm or <dir>/<name>/<name>,
// in the order of dirs. want is "wasm", "process" or "" for what is there.
func find(dirs []string, name, want string) (*artefact, error) {
	var looked []string
	for _, dir := range dirs {
		for _, kind := range kinds {
			path := filepath.Join(dir, name, fileOf(name, kind))
			if want != "" && want != kind {
				continue
			}
			looked = append(looked, path)
			fi, err := os.Stat(path)
			if err != nil || !fi.Mode().IsRegular() {
				continue
			}
			if fi.Size() > maxCode {
				return nil, fmt.Errorf("%s: larger than %d bytes", path, maxCode)
			}
			code, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			return &artefact{dir: filepath.Dir(path), path: path, kind: kind, code: code}, nil
		}
	}
	return nil, fmt.Errorf("%w: looked for %s", fs.ErrNotExist, strings.Join(looked, ", "))
}

// readManifest reads the manifest beside the artefact or inside it; if there
// are both they must be equal.
func (a *artefact) readManifest(name string) error {
	path := filepath.Join(a.dir, "plugin.toml")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if a.kind == "wasm" {
		inside, err := findManifest(a.code)
		if err != nil {
			return fmt.Errorf("%s: %w", a.path, err)
		}
		switch {
		case inside == nil:
		case text == nil:
			text, path = inside, a.path+"("+manifestSection+")"
		case !bytes.Equal(bytes.TrimSpace(inside), bytes.TrimSpace(text)):
			return fmt.Errorf("%s and the manifest inside %s differ", path, a.path)
		}
	}
	if text == nil {
		return fmt.Errorf("%s is missing", path)
	}
	if a.manifest, err = ParseManifest(path, text); err != nil {
		return err
	}
	if a.manifest.Name != name {
		return fmt.Errorf("%s: name = %q, but loaded_plugins calls it %q", path, a.manifest.Name, name)
	}
	return nil
}

// prepared is everything that is known about a plugin before it is opened.
type prepared struct {
	spec      *Spec
	kind      string
	transport Transport
	hooks     []Hook // with the operator's overrides
}

// prepare reads and checks all files of plugin name. services are what the
// plugin would be granted if it asked for everything.
func (h *host) prepare(name string, services Services, log *zap.Logger) (*prepared, error) {
	op, err := ReadOperator(filepath.Join(h.ConfigDir, name+".toml"), h.Secrets)
	if err != nil {
		return nil, err
	}
	a, err := find(h.Dirs, name, op.Transport)
	if err != nil {
		return nil, err
	}
	if err := a.readManifest(name); err != nil {
		return nil, err
	}
	hash := sha256.Sum256(a.code)
	sum := hex.EncodeToString(hash[:])
	if err := h.pinned(op, a, sum); err != nil {
		return nil, err
	}
	m := a.manifest
	if names := missing(m.Capabilities, op.Grant); len(names) > 0 {
		return nil, fmt.Errorf("%s: the plugin asks for %s: add it to grant under [plugin], or do not load the plugin",
			op.doc.name, strings.Join(quoted(names), ", "))
	}
	hooks, err := op.overrides(m)
	if err != nil {
		return nil, err
	}
	config, err := a.config(op)
	if err != nil {
		return nil, err
	}
	t := map[string]Transport{"wasm": h.WASM, "process": h.Process}[a.kind]
	if t == nil {
		return nil, fmt.Errorf("%s: this broker runs no plugins of kind %s", a.path, a.kind)
	}
	p := &prepared{kind: a.kind, transport: t, hooks: hooks}
	if err := p.check(); err != nil {
		return nil, err
	}
	p.spec = &Spec{
		Name: name, Manifest: m, Hooks: specs(hooks), Code: a.code, SHA256: sum, Path: a.path, Config: config,
		Grants: op.Grant, Services: services.only(m.Capabilities), Node: h.Node, Version: h.Version,
		Log: log.With(zap.String("version", m.Version)),
	}
	return p, nil
}

// pinned checks the artefact's hash against the operator's.
func (h *host) pinned(op *Operator, a *artefact, sum string) error {
	switch {
	case op.SHA256 == "" && !h.AllowUnpinned:
		return fmt.Errorf("%s: sha256 is missing under [plugin]; %s has %s (plugins.allow_unpinned is for development)", op.doc.name, a.path, sum)
	case op.SHA256 != "" && op.SHA256 != sum:
		return fmt.Errorf("%s: sha256 is %s, but %s has %s", op.doc.name, op.SHA256, a.path, sum)
	}
	return nil
}

// config validates and encodes the plugin's configuration.
func (a *artefact) config(op *Operator) ([]byte, error) {
	if a.manifest.ConfigSchema == "" {
		return op.configJSON("", nil)
	}
	path := filepath.Join(a.dir, a.manifest.ConfigSchema)
	schema, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config_schema: %w", err)
	}
	return op.configJSON(path, schema)
}

// check refuses what does not go together.
func (p *prepared) check() error {
	for _, h := range p.hooks {
		if h.Name == contract.HookDeliver.String() && p.transport.Blocking() {
			return errors.New("the hook deliver is not for processes: a fan-out would wait for each subscriber")
		}
	}
	return nil
}

// specs are the registrations in the transports' form, defaults filled in.
func specs(hooks []Hook) []HookSpec {
	out := make([]HookSpec, 0, len(hooks))
	for _, h := range hooks {
		k, _ := contract.ParseHook(h.Name)
		fields, _ := k.Mask(h.Fields)
		out = append(out, HookSpec{
			Hook: k, Fields: fields, MaxPayload: h.MaxPayload,
			Timeout: pick(time.Duration(h.Timeout), defaults[k].timeout),
			Park:    pick(time.Duration(h.Park), defaultPark),
		})
	}
	return out
}

// only leaves the services that caps ask for.
func (s Services) only(caps []string) Services {
	if !slices.Contains(caps, "publish") {
		s.Publish = nil
	}
	if !slices.Contains(caps, "kv") {
		s.KV = nil
	}
	if !slices.Contains(caps, "metric") {
		s.Metrics = nil
	}
	s.TopicStore = s.TopicStore && slices.Contains(caps, "topicstore")
	return s
}

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = `"` + n + `"`
	}
	return out
}

// open opens the plugin and makes a version of it.
func (p *prepared) open(ctx context.Context) (*version, error) {
	inst, err := p.transport.Open(ctx, p.spec)
	if err != nil {
		return nil, err
	}
	v := &version{
		spec: p.spec, inst: inst, kind: p.kind, blocking: p.transport.Blocking(),
		maxRecords: max(1, p.transport.MaxRecords()), drained: make(chan struct{}),
	}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	has, known := inst.Hooks()
	for i, h := range p.hooks {
		s := p.spec.Hooks[i]
		if known && !has.Has(s.Hook) {
			return nil, errors.Join(fmt.Errorf("the manifest names the hook %q, which the plugin does not handle", h.Name), v.retire(drainPatience))
		}
		d := defaults[s.Hook]
		v.hooks[s.Hook] = &hookBinding{HookSpec: s, scope: newScope(&h), onError: pick(h.OnError, d.onError), reason: d.reason}
		v.set = v.set.With(s.Hook)
	}
	return v, nil
}
