package config

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// reader collects what the layers say and what is wrong with it.
type reader struct {
	file   string            // the main file, to blame for what is missing
	at     map[string]Origin // where a key or table stands: in the last layer that has it
	leaves []leaf            // in the order of the layers; the last of a key counts
	faults Faults
	layer  int  // the number of the layer that is read, from 1
	broken bool // a file is not TOML
}

// leaf is one key with its value, or a table without keys.
type leaf struct {
	path []string
	value
	from    Origin
	layer   int
	empty   bool
	section int // how many parts of path name its section
}

// below is l with n parts of its path read as the section.
func (l leaf) below(n int) leaf {
	l.section = n
	return l
}

// layers reads all of them. What cannot be read is a fault; the error is of the
// process (there is no working directory).
func (r *reader) layers(docs []source, o Options) error {
	for _, d := range docs {
		r.layer++
		r.document(d)
	}
	r.layer++
	r.environment(o.Env)
	r.layer++
	if o.DataDir != "" {
		dir, err := filepath.Abs(o.DataDir)
		if err != nil {
			return fmt.Errorf("find the data directory: %w", err)
		}
		r.add([]string{"node", "data_dir"}, value{text: dir}, Origin{Layer: LayerFlag, Name: "--data-dir"})
	}
	for _, s := range o.Set {
		r.flag(s)
	}
	// By place: stable, so that flags and variables stay in their order.
	slices.SortStableFunc(r.leaves, func(a, b leaf) int {
		c := cmp.Or(cmp.Compare(a.layer, b.layer), cmp.Compare(a.from.Line, b.from.Line))
		if c == 0 && a.from.Layer == LayerFile {
			c = slices.Compare(a.path, b.path)
		}
		return c
	})
	return nil
}

// document reads a file.
func (r *reader) document(d source) {
	var tree map[string]any
	if _, err := toml.Decode(d.text, &tree); err != nil {
		r.syntax(d.name, err)
		return
	}
	lines := positions(d.text)
	for path, line := range lines {
		r.at[path] = Origin{Layer: LayerFile, Name: d.name, Line: line}
	}
	r.walk(fileLines{d.name, lines}, nil, tree)
}

func (r *reader) syntax(file string, err error) {
	f := Fault{File: file, Text: err.Error(), layer: r.layer}
	var parse toml.ParseError
	if errors.As(err, &parse) {
		f.Line, f.Text = parse.Position.Line, parse.Message
		if parse.LastKey != "" {
			f.Text += fmt.Sprintf(" (after key %q)", parse.LastKey)
		}
	}
	r.faults = append(r.faults, f)
	r.broken = true
}

// fileLines are the lines of a file's keys.
type fileLines struct {
	name  string
	lines map[string]int
}

// origin is where path stands in the file, or the longest part of it that has a
// line.
func (f fileLines) origin(path []string) Origin {
	o := Origin{Layer: LayerFile, Name: f.name}
	for n := len(path); n > 0 && o.Line == 0; n-- {
		o.Line = f.lines[joinPath(path[:n])]
	}
	return o
}

// walk collects the leaves below node. Arrays of tables belong to no section.
func (r *reader) walk(f fileLines, path []string, node map[string]any) {
	for name, v := range node {
		at := append(append([]string{}, path...), name)
		from := f.origin(at)
		if child, ok := v.(map[string]any); ok {
			if len(child) == 0 {
				r.leaves = append(r.leaves, leaf{path: at, empty: true, from: from, layer: r.layer})
			}
			r.walk(f, at, child)
			continue
		}
		val, err := valueOf(v)
		if err != nil {
			r.faultOf(leaf{path: at, from: from, layer: r.layer}, "%v", err)
			continue
		}
		r.leaves = append(r.leaves, leaf{path: at, value: val, from: from, layer: r.layer})
	}
}

// add takes a value of a layer that is no file.
func (r *reader) add(path []string, v value, from Origin) {
	r.leaves = append(r.leaves, leaf{path: path, value: v, from: from, layer: r.layer})
	r.at[joinPath(path)] = from
}

// flag takes "key=value".
func (r *reader) flag(s string) {
	name, text, ok := strings.Cut(s, "=")
	from := Origin{Layer: LayerFlag, Name: "--set"}
	key := scanner{doc: strings.TrimSpace(name)}
	path := key.key()
	if !ok || len(path) == 0 || key.i < len(key.doc) {
		r.faults = append(r.faults, Fault{File: from.Name, Text: fmt.Sprintf("%q is not key=value", s), layer: r.layer})
		return
	}
	r.add(path, textValue(text), from)
}

// textValue is a value outside of a file: a TOML list, or text as it stands.
func textValue(text string) value {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "[") || strings.HasPrefix(text, `"`) {
		var tree map[string]any
		if _, err := toml.Decode("v = "+text, &tree); err == nil && len(tree) == 1 {
			if v, err := valueOf(tree["v"]); err == nil {
				return v
			}
		}
	}
	return value{text: text}
}

// faultOf blames the place of l.
func (r *reader) faultOf(l leaf, format string, args ...any) {
	r.faults = append(r.faults, Fault{
		File: l.from.Name, Line: l.from.Line, Key: joinPath(l.path), Text: fmt.Sprintf(format, args...), layer: l.layer,
	})
}

// fault blames the place of path in the last layer that has it, or has the
// longest part of it; else the main file.
func (r *reader) fault(path []string, format string, args ...any) {
	from := Origin{Name: r.file}
	for n := len(path); n > 0; n-- {
		if o, ok := r.at[joinPath(path[:n])]; ok {
			from = o
			break
		}
	}
	r.faultOf(leaf{path: path, from: from}, format, args...)
}
