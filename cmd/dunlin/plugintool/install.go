package plugintool

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/dunlinmq/dunlin/cmd/dunlin/plugintool/dirlock"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/wholefile"
)

// Place is where an operator's plugins lie and whom he trusts, as the configuration
// says.
type Place struct {
	Dir    string // gets the plugins' folders: the first of plugins.dirs
	EtcDir string // of the operator files
	Loaded string // the loaded_plugins file
	Trust  manifest.Trust
}

// Added is what Add has done.
type Added struct {
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Description string            `json:"description"`
	License     string            `json:"license"`
	Folder      string            `json:"folder"`
	Lock        string            `json:"lock"`
	Replaced    string            `json:"replaced,omitempty"`  // the version that the lock named before
	SignedBy    string            `json:"signed_by,omitempty"` // a public key
	Trusted     bool              `json:"trusted"`             // the key is in plugins.trusted_keys
	SHA256      map[string]string `json:"sha256"`
	Hooks       []string          `json:"hooks"`
	AsksFor     []string          `json:"asks_for"`    // capabilities
	NotGranted  []string          `json:"not_granted"` // of those, what the operator's file does not grant
	Operator    string            `json:"operator_file"`
	Notes       []string          `json:"notes"` // what stands in the way of loading it
	Next        string            `json:"next"`  // the command that loads it
}

// AddOptions are what an operator says on the command line.
type AddOptions struct {
	Grant bool // write an operator's file that grants what the plugin asks for, if there is none
	Force bool // take a plugin although another key, or none, signs it now
}

// Add puts the plugin into its folder, in one step in place of what is there, and notes
// its sums in the lock. Until both are done it cannot be loaded; a version that runs
// goes on. Others who add or remove at the same moment wait, on this machine.
func (p *Place) Add(b *Bundle, o AddOptions) (*Added, error) {
	if p.Trust.LockFile == "" {
		return nil, errors.New("plugins.lock_file is empty: there is nowhere to note what is installed")
	}
	etc := filepath.Dir(p.Trust.LockFile)
	if err := os.MkdirAll(etc, 0o755); err != nil {
		return nil, err
	}
	unlock, err := dirlock.Take(etc)
	if err != nil {
		return nil, err
	}
	defer unlock()
	lock, err := manifest.ReadLock(p.Trust.LockFile)
	if err != nil {
		return nil, err
	}
	old, had := lock.Plugins[b.Manifest.Name]
	if err := p.accept(b, old, o.Force); err != nil {
		return nil, err
	}
	a := p.describe(b)
	if had {
		a.Replaced = old.Version
	}
	lock.Plugins[a.Name] = manifest.Locked{Version: a.Version, Key: a.SignedBy, SHA256: merge(old, a)}
	if err := p.place(b, a, func() error { return lock.Write(p.Trust.LockFile) }); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(b.Artefacts, func(file string) bool { return manifest.RunsHere(a.Name, file) }) {
		a.Notes = append(a.Notes, fmt.Sprintf("none of its artefacts is for %s/%s: %s", runtime.GOOS, runtime.GOARCH, strings.Join(b.Artefacts, ", ")))
	}
	return a, p.grants(a, b, o.Grant)
}

// accept refuses what the operator does not trust.
func (p *Place) accept(b *Bundle, old manifest.Locked, force bool) error {
	switch {
	case b.Signature != nil && p.Trust.Trusts(b.Signature.Key):
		return nil
	case p.Trust.RequireSignature && b.Signature == nil:
		return errors.New("the plugin is not signed, and plugins.require_signature is on")
	case p.Trust.RequireSignature:
		return fmt.Errorf("the plugin is signed by %s, which is not in plugins.trusted_keys, and plugins.require_signature is on", b.Signature.Key)
	case force || old.Key == "":
		return nil
	case b.Signature == nil:
		return fmt.Errorf("version %s was signed by %s, this one is not signed: ask for a signed one, or take it with --force", old.Version, old.Key)
	case b.Signature.Key.String() != old.Key:
		return fmt.Errorf("version %s was signed by %s, this one is signed by %s: ask whether that is right, then take it with --force", old.Version, old.Key, b.Signature.Key)
	}
	return nil
}

// merge are the sums for the lock: those of the files, and those of the same version
// for other systems, which another machine has noted in the same lock.
func merge(old manifest.Locked, a *Added) map[string]string {
	sums := maps.Clone(a.SHA256)
	if old.Version != a.Version || old.SHA256[manifest.ManifestFile] != a.SHA256[manifest.ManifestFile] {
		return sums
	}
	here := a.Name + "-" + runtime.GOOS + "-" + runtime.GOARCH
	for file, sum := range old.SHA256 {
		_, is := sums[file]
		if system, ok := strings.CutPrefix(file, a.Name+"-"); ok && !is && strings.Contains(system, "-") && !strings.HasPrefix(file, here) {
			sums[file] = sum
		}
	}
	return sums
}

// describe fills in what the files say.
func (p *Place) describe(b *Bundle) *Added {
	m := b.Manifest
	a := &Added{
		Name: m.Name, Version: m.Version, Description: m.Description, License: m.License,
		Folder: filepath.Join(p.Dir, m.Name), Lock: p.Trust.LockFile, SHA256: b.Sums(), Hooks: []string{}, AsksFor: []string{}, NotGranted: []string{},
		Operator: filepath.Join(p.EtcDir, m.Name+".toml"), Notes: []string{}, Next: "dunlin ctl plugins load " + m.Name,
	}
	a.AsksFor = append(a.AsksFor, m.Capabilities...)
	for _, h := range m.Hooks {
		a.Hooks = append(a.Hooks, h.Name)
	}
	if b.Signature != nil {
		a.SignedBy, a.Trusted = b.Signature.Key.String(), p.Trust.Trusts(b.Signature.Key)
	}
	if l, err := manifest.ReadLoaded(p.Loaded); err == nil && slices.Contains(l.Names(), m.Name) {
		a.Next = "dunlin ctl plugins reload " + m.Name
	}
	return a
}

// place writes the files beside the folder, swaps, and has the lock written; if that
// fails the old files come back.
func (p *Place) place(b *Bundle, a *Added, lock func() error) (err error) {
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return err
	}
	stage, err := os.MkdirTemp(p.Dir, ".add-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(stage)) }()
	fresh := filepath.Join(stage, "new")
	for name, text := range b.Files {
		mode := os.FileMode(0o644)
		if slices.Contains(b.Artefacts, name) && !strings.HasSuffix(name, ".wasm") {
			mode = 0o755
		}
		to := filepath.Join(fresh, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := wholefile.Replace(to, text, mode, nil); err != nil {
			return err
		}
	}
	back, err := swap(fresh, a.Folder, filepath.Join(stage, "old"))
	if err != nil {
		return err
	}
	if err := lock(); err != nil {
		return errors.Join(fmt.Errorf("nothing was changed: %w", err), back())
	}
	return nil
}

// swap puts fresh in the place of folder. What was there moves to aside or to fresh;
// back undoes it all.
func swap(fresh, folder, aside string) (back func() error, err error) {
	if _, err := os.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
		return func() error { return os.Rename(folder, fresh) }, os.Rename(fresh, folder)
	}
	if err := exchange(fresh, folder); err == nil {
		return func() error { return exchange(fresh, folder) }, nil
	}
	if err := os.Rename(folder, aside); err != nil {
		return nil, err
	}
	if err := os.Rename(fresh, folder); err != nil {
		return nil, errors.Join(err, os.Rename(aside, folder))
	}
	return func() error { return errors.Join(os.Rename(folder, fresh), os.Rename(aside, folder)) }, nil
}

// grants compares what the plugin asks for with the operator's file, and writes that if
// it shall.
func (p *Place) grants(a *Added, b *Bundle, write bool) error {
	_, err := os.Stat(a.Operator)
	if write && errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(p.EtcDir, 0o755); err != nil {
			return err
		}
		if err := writeNew(a.Operator, operatorText(b.Manifest), 0o640); err != nil {
			return err
		}
	}
	op, err := manifest.ReadOperator(a.Operator, manifest.Secrets{Env: os.LookupEnv, Dir: p.EtcDir})
	if err != nil {
		a.Notes = append(a.Notes, err.Error())
		return nil
	}
	if a.NotGranted = op.Missing(b.Manifest); len(a.NotGranted) > 0 {
		a.Notes = append(a.Notes, fmt.Sprintf("%s does not grant what the plugin asks for: under [plugin], grant = %s", a.Operator, quotedList(a.NotGranted)))
	} else {
		a.NotGranted = []string{}
	}
	if op.SHA256 != "" && !slices.Contains(slices.Collect(maps.Values(a.SHA256)), op.SHA256) {
		a.Notes = append(a.Notes, fmt.Sprintf("%s states the sha256 of another artefact: take it out, the lock has the new one", a.Operator))
	}
	return nil
}

// operatorText is an operator's file that grants what m asks for. Which servers a plugin
// with the bare capability http may ask, only the operator knows.
func operatorText(m *manifest.Manifest) []byte {
	grants := slices.DeleteFunc(slices.Clone(m.Capabilities), func(c string) bool { return c == "http" })
	return fmt.Appendf(nil, "# What the plugin %s may do, and its own keys.\n[plugin]\ngrant = %s\n\n[config]\n", m.Name, quotedList(grants))
}

func quotedList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// Remove takes a plugin's folder and its place in the lock away. One that the next start
// loads stays. fs.ErrNotExist: there is no such plugin.
func (p *Place) Remove(name string) error {
	if err := manifest.CheckName(name); err != nil {
		return err
	}
	unknown := fmt.Errorf("%s: %w in %s: only what `dunlin plugin add` has installed can be removed", name, fs.ErrNotExist, p.Trust.LockFile)
	unlock, err := dirlock.Take(filepath.Dir(p.Trust.LockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return unknown
	}
	if err != nil {
		return err
	}
	defer unlock()
	l, err := manifest.ReadLoaded(p.Loaded)
	if err != nil {
		return err
	}
	if slices.Contains(l.Names(), name) {
		return fmt.Errorf("%s is on in %s: `dunlin ctl plugins unload %[1]s` first", name, p.Loaded)
	}
	lock, err := manifest.ReadLock(p.Trust.LockFile)
	if err != nil {
		return err
	}
	folder := filepath.Join(p.Dir, name)
	if _, ok := lock.Plugins[name]; !ok {
		return unknown
	}
	delete(lock.Plugins, name)
	if err := lock.Write(p.Trust.LockFile); err != nil {
		return err
	}
	return os.RemoveAll(folder)
}
