package manifest

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// document is a TOML text with what is wrong in it, by line.
type document struct {
	name  string
	lines []string
	errs  []error
}

// typeFault is the library's text of a value that has the wrong type.
var typeFault = regexp.MustCompile(`^toml: line (\d+) \(last key "([^"]*)"\): (.*)$`)

// decodeTOML decodes text into v; name is for messages. Syntax and type faults
// end it; unknown keys are collected, except in the table free.
func decodeTOML(name string, text []byte, v any, free string) (*document, error) {
	if len(text) > maxManifest {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxManifest)
	}
	d := &document{name: name, lines: strings.Split(string(text), "\n")}
	md, err := toml.Decode(string(text), v)
	if err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return nil, fmt.Errorf("%s:%d: %s", name, pe.Position.Line, strings.TrimPrefix(pe.Message, "toml: "))
		}
		if m := typeFault.FindStringSubmatch(err.Error()); m != nil {
			return nil, fmt.Errorf("%s:%s: %s: %s", name, m[1], m[2], m[3])
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	known := keysOf(reflect.TypeOf(v), nil)
	for _, k := range md.Undecoded() {
		if k[0] == free {
			continue
		}
		d.fault(fmt.Sprintf("unknown key %q%s", k.String(), didYouMean(k[len(k)-1], known)), k...)
	}
	return d, nil
}

// keysOf lists the TOML keys that t and the structs in it know.
func keysOf(t reflect.Type, to []string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return to
	}
	for f := range t.Fields() {
		if tag := f.Tag.Get("toml"); tag != "" {
			to = keysOf(f.Type, append(to, tag))
		}
	}
	return to
}

// didYouMean names the candidate nearest to word, if one is near.
func didYouMean(word string, candidates []string) string {
	best, at := "", 3
	for _, c := range candidates {
		if d := distance(word, c); d < at {
			best, at = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the edit distance of two short words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diag
			if a[i-1] != b[j-1] {
				cost = min(diag, row[j], row[j-1]) + 1
			}
			diag, row[j] = row[j], cost
		}
	}
	return row[len(b)]
}

// fault notes what is wrong with key.
func (d *document) fault(text string, key ...string) {
	d.errs = append(d.errs, fmt.Errorf("%s:%d: %s", d.name, d.line(key), text))
}

func (d *document) err() error { return errors.Join(d.errs...) }

// line finds the line where key is set: by table header and assignment, else
// the nearest line that sets its last part; 1 if there is none.
func (d *document) line(key []string) int {
	want := strings.Join(key, ".")
	var table []string
	near := 0
	for i, raw := range d.lines {
		line := strings.TrimSpace(raw)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") && strings.Contains(line, "]") && !strings.Contains(line, "=") {
			table = splitKey(strings.Trim(line[:strings.LastIndexByte(line, ']')], "[]"))
			if strings.Join(table, ".") == want {
				return i + 1
			}
			continue
		}
		name, _, ok := strings.Cut(line, "=")
		if ok && strings.Join(append(table[:len(table):len(table)], splitKey(name)...), ".") == want {
			return i + 1
		}
		if near == 0 && setsKey(line, key[len(key)-1]) {
			near = i + 1
		}
	}
	return max(near, 1)
}

// setsKey tells whether line assigns name, possibly inside an inline table.
func setsKey(line, name string) bool {
	for at := 0; ; {
		i := strings.Index(line[at:], name)
		if i < 0 {
			return false
		}
		i += at
		at = i + len(name)
		before := i == 0 || strings.ContainsRune(" \t{,.\"", rune(line[i-1]))
		after := strings.TrimLeft(strings.TrimPrefix(line[at:], "\""), " \t")
		if before && strings.HasPrefix(after, "=") {
			return true
		}
	}
}

// splitKey splits a dotted key; quotes are taken off.
func splitKey(s string) []string {
	parts := strings.Split(s, ".")
	for i, p := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(p), `"'`)
	}
	return parts
}
