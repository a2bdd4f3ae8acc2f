// Package files keeps rules and resources in a folder of TOML files, where
// operators write them and `ctl rules create` does. It owns the form of the files,
// reads again what has changed, and says what is wrong with file, line and hint. It
// refuses to know what a statement or a parameter means.
package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// The limits of a folder.
const (
	maxFile  = 4 << 20
	maxFiles = 20_000
)

// Action is an action of a rule as a file has it.
type Action struct {
	Name      string         `toml:"name" json:"name"`
	ID        string         `toml:"id,omitempty" json:"id,omitempty"`
	Params    map[string]any `toml:"params,omitempty" json:"params,omitempty"`
	Fallbacks []Action       `toml:"fallback,omitempty" json:"fallbacks,omitempty"`
}

// Rule is a rule as a file has it.
type Rule struct {
	SQL            string   `toml:"sql"`
	Enabled        *bool    `toml:"enabled,omitempty"` // nil: true
	Description    string   `toml:"description,omitempty"`
	OnActionFailed string   `toml:"on_action_failed,omitempty"`
	Actions        []Action `toml:"action"`
}

// Resource is a resource as a file has it.
type Resource struct {
	Type        string         `toml:"type"`
	Description string         `toml:"description,omitempty"`
	Config      map[string]any `toml:"config,omitempty"`
}

// file is the form of a file.
type file struct {
	Rules     map[string]Rule     `toml:"rule,omitempty"`
	Resources map[string]Resource `toml:"resource,omitempty"`
}

// Place is where something is written.
type Place struct {
	File string // the path
	Line int    // 0: not known
}

// String is file:line.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Content is all that the folder has. Immutable.
type Content struct {
	Rules      map[string]Rule
	Resources  map[string]Resource
	RuleAt     map[string]Place // of the statement
	ResourceAt map[string]Place
}

// Folder is a folder of *.toml. It belongs to one goroutine.
type Folder struct {
	dir  string
	read map[string]*one
}

// one is a file that was read.
type one struct {
	size int64
	at   time.Time
	good file // what it said when it was last right
	err  error

	rules, resources map[string]int // their lines
}

// Open is the folder of a path, which need not exist.
func Open(dir string) *Folder { return &Folder{dir: dir, read: map[string]*one{}} }

// Dir is the folder's path.
func (f *Folder) Dir() string { return f.dir }

// Scan reads what has changed since the last Scan. changed tells whether anything
// has. The error says all that is wrong now, and the content is the rest: a file
// that cannot be read keeps what it had, a name that is there twice is the first's.
func (f *Folder) Scan() (c *Content, changed bool, err error) {
	paths, err := filepath.Glob(filepath.Join(f.dir, "*.toml"))
	if err != nil {
		return nil, false, err
	}
	if len(paths) > maxFiles {
		return nil, false, fmt.Errorf("%s has %d files, at most %d are read", f.dir, len(paths), maxFiles)
	}
	slices.Sort(paths)
	for path := range f.read {
		if !slices.Contains(paths, path) {
			delete(f.read, path)
			changed = true
		}
	}
	for _, path := range paths {
		changed = f.refresh(path) || changed
	}
	c, err = f.content(paths)
	return c, changed, err
}

// refresh reads a file if it has changed.
func (f *Folder) refresh(path string) bool {
	old := f.read[path]
	info, err := os.Stat(path)
	if err == nil && old != nil && old.size == info.Size() && old.at.Equal(info.ModTime()) {
		return false
	}
	next := &one{}
	if old != nil {
		next.good = old.good
	}
	f.read[path] = next
	if err != nil {
		next.err = err
		return true
	}
	next.size, next.at = info.Size(), info.ModTime()
	if info.Size() > maxFile {
		next.err = fmt.Errorf("%s: larger than %d bytes", path, maxFile)
		return true
	}
	text, err := os.ReadFile(path)
	if err != nil {
		next.err = err
		return true
	}
	lines := strings.Split(string(text), "\n")
	next.rules, next.resources = places(lines, "rule", "sql"), places(lines, "resource", "type")
	var got file
	if next.err = decode(path, string(text), lines, &got); next.err == nil {
		next.good = got
	}
	return true
}

// typeFault is the library's text of a value that has the wrong type.
var typeFault = regexp.MustCompile(`^toml: line (\d+) \(last key "([^"]*)"\): (.*)$`)

// decode reads a text. An unknown key is a fault.
func decode(path, text string, lines []string, to *file) error {
	md, err := toml.Decode(text, to)
	if err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return fmt.Errorf("%s:%d: %s", path, pe.Position.Line, strings.TrimPrefix(pe.Message, "toml: "))
		}
		if m := typeFault.FindStringSubmatch(err.Error()); m != nil {
			return fmt.Errorf("%s:%s: %s: %s", path, m[1], m[2], m[3])
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	var errs []error
	for _, k := range md.Undecoded() {
		if above := k[:len(k)-1]; slices.Contains(above, "params") || slices.Contains(above, "config") {
			continue // the library misses tables in them
		}
		line := lineOf(lines, k[len(k)-1])
		errs = append(errs, fmt.Errorf("%s: unknown key %q; a rule has sql, enabled, description, on_action_failed and [[action]] (name, id, params, [[fallback]]), a resource has type, description and config",
			Place{path, line}, k.String()))
	}
	return errors.Join(errs...)
}

// lineOf is the first line that gives a key a value or heads its table; 0: none.
func lineOf(lines []string, key string) int {
	for i, l := range lines {
		l = strings.TrimSpace(l)
		if rest, ok := strings.CutPrefix(l, key); ok && strings.HasPrefix(strings.TrimSpace(rest), "=") {
			return i + 1
		}
		if strings.HasPrefix(l, "[") && strings.HasSuffix(strings.Trim(l, "[]"), key) {
			return i + 1
		}
	}
	return 0
}

// places are the lines of the tables [kind.x] or [kind."x"], by x; with key, that of
// its value where there is one.
func places(lines []string, kind, key string) map[string]int {
	at := map[string]int{}
	name := ""
	for i, l := range lines {
		l = strings.TrimSpace(l)
		if strings.HasPrefix(l, "[") {
			name = ""
			inner, mine := strings.CutPrefix(l, "["+kind+".")
			if inner, closed := strings.CutSuffix(inner, "]"); mine && closed {
				name = strings.Trim(inner, `"'`)
				at[name] = i + 1
			}
			continue
		}
		if rest, ok := strings.CutPrefix(l, key); ok && name != "" && strings.HasPrefix(strings.TrimSpace(rest), "=") {
			at[name] = i + 1
		}
	}
	return at
}

// content puts the files together.
func (f *Folder) content(paths []string) (*Content, error) {
	c := &Content{Rules: map[string]Rule{}, Resources: map[string]Resource{}, RuleAt: map[string]Place{}, ResourceAt: map[string]Place{}}
	var errs []error
	for _, path := range paths {
		o := f.read[path]
		errs = append(errs, o.err)
		for name, r := range o.good.Rules {
			at := Place{path, o.rules[name]}
			if first, ok := c.RuleAt[name]; ok {
				errs = append(errs, fmt.Errorf("%s: there is a rule %s in %s already: give one of them another name", at, name, first))
				continue
			}
			c.Rules[name], c.RuleAt[name] = r, at
		}
		for name, r := range o.good.Resources {
			at := Place{path, o.resources[name]}
			if first, ok := c.ResourceAt[name]; ok {
				errs = append(errs, fmt.Errorf("%s: there is a resource %s in %s already: give one of them another name", at, name, first))
				continue
			}
			c.Resources[name], c.ResourceAt[name] = r, at
		}
	}
	return c, errors.Join(errs...)
}
