// Package manifest reads and checks what is written about a plugin: its place in
// loaded_plugins, its manifest (a file, or a section of the module), the
// operator's grants, pins, overrides and settings, and the artefact itself. It
// starts nothing and knows no transport.
package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// ManifestFile is the name of a plugin's manifest in its folder.
const ManifestFile = "plugin.toml"

// The kinds of artefacts.
const (
	KindWASM    = "wasm"
	KindProcess = "process"
)

// Source says where the files about plugins lie, and whose are taken.
type Source struct {
	Dirs      []string // <dir>/<name>/ holds plugin.toml and the artefact
	ConfigDir string   // of the operator files <name>.toml
	Trust     Trust
	Secrets   Secrets
}

// Package is everything that the files say about one plugin, checked. Immutable.
type Package struct {
	Manifest *Manifest
	Kind     string          // KindWASM or KindProcess
	Path     string          // of the artefact
	Code     []byte          // the artefact as it was hashed
	SHA256   string          // of Code, in hex
	Vouched  string          // who vouches for the files, in words
	Hooks    []Hook          // with the operator's overrides
	HTTP     HTTP            // what the operator says about requests
	Grants   []string        // what the operator granted
	Config   json.RawMessage // validated, secrets resolved; not to be logged

	dir    string // where the artefact lies
	schema []byte // of the configuration; nil: none
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
	if err := s.readFiles(name, op, p); err != nil {
		return nil, err
	}
	if names := missing(p.Manifest.Capabilities, op.Grant); len(names) > 0 {
		return nil, fmt.Errorf("%s: the plugin asks for %s: add it to grant under [plugin], or do not load the plugin",
			op.doc.name, strings.Join(quoted(names), ", "))
	}
	p.Manifest = p.Manifest.granted(op.Grant)
	p.Grants, p.HTTP = op.Grant, op.HTTP
	if p.Hooks, err = op.overrides(p.Manifest); err != nil {
		return nil, err
	}
	p.Config, err = op.configJSON(filepath.Join(p.dir, p.Manifest.ConfigSchema), p.schema)
	return p, err
}

// readFiles reads the files of the plugin's folder, each once, and compares every one
// with what the operator trusts before anything is made of it.
func (s *Source) readFiles(name string, op *Operator, p *Package) error {
	v, err := s.Trust.vouch(name)
	if err != nil {
		return err
	}
	if err := v.signature(p.dir); err != nil {
		return err
	}
	if err := v.check(filepath.Base(p.Path), p.Path, p.Code); err != nil {
		return err
	}
	if err := v.signed(); err != nil {
		return err
	}
	if err := p.readManifest(name, v); err != nil {
		return err
	}
	if schema := p.Manifest.ConfigSchema; schema != "" {
		path := filepath.Join(p.dir, schema)
		if p.schema, err = os.ReadFile(path); err != nil {
			return fmt.Errorf("config_schema: %w", err)
		}
		if err := v.check(filepath.ToSlash(filepath.Clean(schema)), path, p.schema); err != nil {
			return err
		}
	}
	p.Vouched = v.words(op)
	return v.pinned(op, p)
}

// maxCode bounds an artefact.
const maxCode = 1 << 30

// kinds of artefacts, in the order in which they are looked for.
var kinds = []string{KindWASM, KindProcess}

// filesOf are the names that an artefact may have here, the first that is there counts:
// a process for one system alone has that in its name.
func filesOf(name, kind string) []string {
	if kind == KindWASM {
		return []string{name + ".wasm"}
	}
	exe := ""
	if runtime.GOOS == "windows" {
		exe = ".exe"
	}
	return []string{name + "-" + runtime.GOOS + "-" + runtime.GOARCH + exe, name + exe}
}

// forSystem is what stands between a plugin's name and the end of the name of a process
// for one system.
var forSystem = regexp.MustCompile(`^(-[a-z0-9]+-[a-z0-9]+)?(\.exe)?$`)

// IsArtefact tells whether a file of that name is an artefact of the plugin, for
// whatever system: <name>.wasm, <name>, <name>-<os>-<arch>, the last two also with .exe.
func IsArtefact(name, file string) bool {
	rest, ok := strings.CutPrefix(file, name)
	return ok && (rest == ".wasm" || forSystem.MatchString(rest))
}

// RunsHere tells whether an artefact of that name is one for this system.
func RunsHere(name, file string) bool {
	return slices.Contains(filesOf(name, KindWASM), file) || slices.Contains(filesOf(name, KindProcess), file)
}

// find looks for plugin name in the order of the directories, there for a module
// before a process. want is a kind or "" for what is there.
func (s *Source) find(name, want string) (*Package, error) {
	var looked []string
	for _, dir := range s.Dirs {
		for _, kind := range kinds {
			if want != "" && want != kind {
				continue
			}
			for _, file := range filesOf(name, kind) {
				path := filepath.Join(dir, name, file)
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
				return &Package{dir: filepath.Dir(path), Path: path, Kind: kind, Code: code, SHA256: Sum(code)}, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: looked for %s", fs.ErrNotExist, strings.Join(looked, ", "))
}

// readManifest reads the manifest beside the artefact or inside it; if there
// are both they must be equal.
func (p *Package) readManifest(name string, v *vouching) error {
	path := filepath.Join(p.dir, ManifestFile)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err == nil {
		if err := v.check(ManifestFile, path, text); err != nil {
			return err
		}
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

func quoted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = `"` + n + `"`
	}
	return out
}
