package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/dunlinmq/dunlin/core/wholefile"
)

// Entry is one plugin of loaded_plugins.
type Entry struct {
	Name string // without an emqx_ prefix
	On   bool
	Line int
}

// Loaded is a loaded_plugins file: which plugins start, in chain order. One
// term a line, as EMQ X 4 wrote it: `{name, true}.`, or `name.` for true.
// `%` starts a comment. Of two lines for one plugin the later counts, with its
// place in the order. Comments and unknown spacing survive edits.
type Loaded struct {
	Entries []Entry  // in chain order
	Notes   []string // what an operator should know: prefixes taken off, lines overridden

	lines []string // as read, without line ends
}

// maxLoaded bounds a loaded_plugins file.
const maxLoaded = 1 << 20

// ParseLoaded reads the text of a loaded_plugins file; name is for messages.
// All faults are reported, each with its line.
func ParseLoaded(name string, text []byte) (*Loaded, error) {
	if len(text) > maxLoaded {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxLoaded)
	}
	l := &Loaded{}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if len(text) > 0 {
		l.lines = strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
	var errs []error
	for i, line := range l.lines {
		e, ok, err := parseEntry(line)
		e.Line = i + 1
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s:%d: %w", name, i+1, err))
		case ok:
			l.add(name, e)
		}
	}
	return l, errors.Join(errs...)
}

// add appends e and notes what is remarkable about it.
func (l *Loaded) add(file string, e Entry) {
	if short, ok := strings.CutPrefix(e.Name, "emqx_"); ok && short != "" {
		l.Notes = append(l.Notes, fmt.Sprintf("%s:%d: %s is %s here", file, e.Line, e.Name, short))
		e.Name = short
	}
	if i := l.Index(e.Name); i >= 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%s:%d: %s overrides line %d", file, e.Line, e.Name, l.Entries[i].Line))
		l.Entries = append(l.Entries[:i], l.Entries[i+1:]...)
	}
	l.Entries = append(l.Entries, e)
}

// Index is the place of name in the order; -1: it is not there.
func (l *Loaded) Index(name string) int {
	for i := range l.Entries {
		if l.Entries[i].Name == name {
			return i
		}
	}
	return -1
}

// Names are the plugins that start, in chain order.
func (l *Loaded) Names() []string {
	var names []string
	for _, e := range l.Entries {
		if e.On {
			names = append(names, e.Name)
		}
	}
	return names
}

// Set turns name on or off, in its line or in a new one at the end.
func (l *Loaded) Set(name string, on bool) {
	term := fmt.Sprintf("{%s, %t}.", atom(name), on)
	if i := l.Index(name); i >= 0 {
		e := &l.Entries[i]
		if e.On == on {
			return
		}
		e.On = on
		line := l.lines[e.Line-1]
		tail := ""
		if at := commentAt(line); at >= 0 {
			tail = " " + line[at:]
		}
		l.lines[e.Line-1] = line[:len(line)-len(strings.TrimLeft(line, " \t"))] + term + strings.TrimSuffix(tail, "\r")
		return
	}
	l.lines = append(l.lines, term)
	l.Entries = append(l.Entries, Entry{Name: name, On: on, Line: len(l.lines)})
}

// Text is the file's text with the edits made by Set.
func (l *Loaded) Text() []byte {
	if len(l.lines) == 0 {
		return nil
	}
	return []byte(strings.Join(l.lines, "\n") + "\n")
}

// parseEntry reads one line; ok is false for an empty one.
func parseEntry(line string) (e Entry, ok bool, err error) {
	if at := commentAt(line); at >= 0 {
		line = line[:at]
	}
	line = strings.TrimSpace(line)
	if line == "" {
		return Entry{}, false, nil
	}
	term, dotted := strings.CutSuffix(line, ".")
	if !dotted {
		//lint:ignore ST1005 the full stop is part of the term
		return Entry{}, false, fmt.Errorf("%q: a term ends with a full stop, as in {retainer, true}.", line)
	}
	e.On = true
	name := strings.TrimSpace(term)
	if inner, ok := strings.CutPrefix(name, "{"); ok {
		inner, closed := strings.CutSuffix(inner, "}")
		n, v, comma := strings.Cut(inner, ",")
		if !closed || !comma {
			//lint:ignore ST1005 the full stop is part of the term
			return Entry{}, false, fmt.Errorf("%q: want {name, true}. or {name, false}.", line)
		}
		switch strings.TrimSpace(v) {
		case "true":
		case "false":
			e.On = false
		default:
			return Entry{}, false, fmt.Errorf("%q: %q is neither true nor false", line, strings.TrimSpace(v))
		}
		name = strings.TrimSpace(n)
	}
	if n := len(name); n >= 2 && name[0] == '\'' && name[n-1] == '\'' {
		name = name[1 : n-1]
	}
	if err := CheckName(name); err != nil {
		return Entry{}, false, err
	}
	e.Name = name
	return e, true, nil
}

// commentAt is where the comment of a line starts, or -1.
func commentAt(line string) int { return strings.IndexByte(line, '%') }

// maxName bounds a plugin's name; it is a file name and a topic level.
const maxName = 64

// CheckName accepts a plugin's name: a lower-case letter followed by lower-case letters, digits, _ and -.
func CheckName(name string) error {
	for i := 0; i < len(name); i++ {
		c := name[i]
		letter := c >= 'a' && c <= 'z'
		if !letter && (i == 0 || (c != '_' && c != '-' && (c < '0' || c > '9'))) {
			return fmt.Errorf("%q is not a plugin name: a-z first, then a-z, 0-9, _ and -", name)
		}
	}
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%q is not a plugin name: 1 to %d characters", name, maxName)
	}
	return nil
}

// atom writes a name as an Erlang atom: quoted where it must be.
func atom(name string) string {
	if strings.Contains(name, "-") {
		return "'" + name + "'"
	}
	return name
}

// ReadLoaded reads the file at path. A missing file loads nothing.
func ReadLoaded(path string) (*Loaded, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return &Loaded{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read loaded_plugins: %w", err)
	}
	return ParseLoaded(path, text)
}

// Write replaces the file at path in one step: a reader sees the old text or
// the new. The file's mode is kept.
func (l *Loaded) Write(path string) error {
	if err := wholefile.Replace(path, l.Text(), wholefile.Mode(path, 0o644), nil); err != nil {
		return fmt.Errorf("write loaded_plugins: %w", err)
	}
	return nil
}
