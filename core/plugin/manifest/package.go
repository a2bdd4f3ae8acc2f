// Package manifest reads and checks what is written about a plugin: its place in
// loaded_plugins, its manifest (a file, or a section of the module), the
// operator's grants, pins, overrides and settings, and the artefact itself. It
// starts nothing and knows no transport.
package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// The kinds of artefacts.
const (
	KindWASM    = "wasm"
	KindProcess = "process"
)

// Source says where the files about plugins lie.
type Source struct {
	Dirs          []string // <dir>/<name>/ holds plugin.toml and the artefact
	ConfigDir     string   // of the operator files <name>.toml
	AllowUnpinned bool     // read artefacts whose operator file has no sha256
	Secrets       Secrets
}

// Package is everything that the files say about one plugin, checked. Immutable.
type Package struct {
	Manifest *Manifest
	Kind     string          // KindWASM or KindProcess
	Path     string          // of the artefact
	Code     []byte          // the artefact as it was hashed
	SHA256   string          // of Code, in hex
	Hooks    []Hook          // with the operator's overrides
	HTTP     HTTP            // what the operator says about requests
	Grants   []string        // what the operator granted
	Config   json.RawMessage // validated, secrets resolved; not to be logged

	dir string // where the artefact lies
}

// Read reads everything about the plugin name. Errors say which file, where one
// is at fault which line, and what to do; fs.ErrNotExist: there is no such plugin.
func (s *Source) Read(name string) (*Package, error) {
	op, err := ReadOperator(filepath.Join(s.ConfigDir, name+".toml"), s.Secrets)
	if err != nil {
		return nil, err
	}
	p, err := s.find(name, op.Transport)
	if err != nil {
		return nil, err
	}
	if err := p.readManifest(name); err != nil {
		return nil, err
	}
	if err := s.pinned(op, p); err != nil {
		return nil, err
	}
	if names := missing(p.Manifest.Capabilities, op.Grant); len(names) > 0 {
		return nil, fmt.Errorf("%s: the plugin asks for %s: add it to grant under [plugin], or do not load the plugin",
			op.doc.name, strings.Join(quoted(names), ", "))
	}
	p.Grants, p.HTTP = op.Grant, op.HTTP
	if p.Hooks, err = op.overrides(p.Manifest); err != nil {
		return nil, err
	}
	p.Config, err = p.config(op)
	return p, err
}

// maxCode bounds an artefact.
const maxCode = 1 << 30

// kinds of artefacts, in the order in which they are looked for.
var kinds = []string{KindWASM, KindProcess}

// fileOf is an artefact's file name.
func fileOf(name, kind string) string {
	switch {
	case kind == KindWASM:
		return name + ".wasm"
	case runtime.GOOS == "windows":
		return name + ".exe"
	}
	return name
}

// find looks for plugin name: <dir>/<name>/<name>.wasm or <dir>/<name>/<name>,
// in the order of the directories. want is a kind or "" for what is there.
func (s *Source) find(name, want string) (*Package, error) {
	var looked []string
	for _, dir := range s.Dirs {
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
			sum := sha256.Sum256(code)
			return &Package{dir: filepath.Dir(path), Path: path, Kind: kind, Code: code, SHA256: hex.EncodeToString(sum[:])}, nil
		}
	}
	return nil, fmt.Errorf("%w: looked for %s", fs.ErrNotExist, strings.Join(looked, ", "))
}

// readManifest reads the manifest beside the artefact or inside it; if there
// are both they must be equal.
func (p *Package) readManifest(name string) error {
	path := filepath.Join(p.dir, "plugin.toml")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if p.Kind == KindWASM {
		inside, err := findManifest(p.Code)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Path, err)
		}
		switch {
		case inside == nil:
		case text == nil:
			text, path = inside, p.Path+"("+manifestSection+")"
		case !bytes.Equal(bytes.TrimSpace(inside), bytes.TrimSpace(text)):
			return fmt.Errorf("%s and the manifest inside %s differ", path, p.Path)
		}
	}
	if text == nil {
		return fmt.Errorf("%s is missing", path)
	}
	if p.Manifest, err = ParseManifest(path, text); err != nil {
		return err
	}
	if p.Manifest.Name != name {
		return fmt.Errorf("%s: name = %q, but loaded_plugins calls it %q", path, p.Manifest.Name, name)
	}
	return nil
}

// pinned checks the artefact's hash against the operator's.
func (s *Source) pinned(op *Operator, p *Package) error {
	switch {
	case op.SHA256 == "" && !s.AllowUnpinned:
		return fmt.Errorf("%s: sha256 is missing under [plugin]; %s has %s (plugins.allow_unpinned is for development)", op.doc.name, p.Path, p.SHA256)
	case op.SHA256 != "" && op.SHA256 != p.SHA256:
		return fmt.Errorf("%s: sha256 is %s, but %s has %s", op.doc.name, op.SHA256, p.Path, p.SHA256)
	}
	return nil
}

// config validates and encodes the plugin's configuration.
func (p *Package) config(op *Operator) (json.RawMessage, error) {
	if p.Manifest.ConfigSchema == "" {
		return op.configJSON("", nil)
	}
	path := filepath.Join(p.dir, p.Manifest.ConfigSchema)
	schema, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config_schema: %w", err)
	}
	return op.configJSON(path, schema)
}

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = `"` + n + `"`
	}
	return out
}
