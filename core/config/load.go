package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/BurntSushi/toml"
)

// Options are what the command line says about a configuration.
type Options struct {
	// Home is where relative paths start; "": the parent of the file's directory
	// when that is called etc, else the file's directory.
	Home string
	// DataDir replaces node.data_dir; "": the file's.
	DataDir string
}

// DataDir reads node.data_dir of the file at path and nothing else, so that a
// running node can be reached while its file has faults.
func DataDir(path string, o Options) (string, error) {
	doc, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read configuration: %w", err)
	}
	var file struct {
		Node struct {
			DataDir string `toml:"data_dir"`
		} `toml:"node"`
	}
	if _, err := toml.Decode(string(doc), &file); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	home, err := homeOf(path, o.Home)
	if err != nil {
		return "", err
	}
	c := Config{Home: home}
	nodeKeys.defaults(&c.Node)
	if file.Node.DataDir != "" {
		c.Node.DataDir = file.Node.DataDir
	}
	c.join()
	return c.Node.DataDir, nil
}

// Load reads and checks the file at path. The error is a [Faults] with every
// fault of the file, or says why it cannot be read.
func Load(path string, o Options) (*Config, error) {
	doc, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, doc, o)
}

// Parse is [Load] for text that is already read; file is its name for messages.
// It also looks for the certificate files that listeners name.
func Parse(file string, doc []byte, o Options) (*Config, error) {
	home, err := homeOf(file, o.Home)
	if err != nil {
		return nil, fmt.Errorf("find the home directory: %w", err)
	}
	r := reader{file: file, lines: map[string]int{}}
	var tree map[string]any
	if _, err := toml.Decode(string(doc), &tree); err != nil {
		r.syntax(err)
		return nil, r.faults
	}
	r.lines = positions(string(doc))
	r.walk(nil, tree)
	c := r.build()
	if o.DataDir != "" {
		if c.Node.DataDir, err = filepath.Abs(o.DataDir); err != nil {
			return nil, fmt.Errorf("find the data directory: %w", err)
		}
	}
	c.File, c.Home = file, home
	c.join()
	r.check(c)
	if len(r.faults) > 0 {
		return nil, r.faults.sorted()
	}
	return c, nil
}

func homeOf(file, home string) (string, error) {
	if home == "" {
		home = filepath.Dir(file)
		abs, err := filepath.Abs(home)
		if err != nil {
			return "", err
		}
		if filepath.Base(abs) == "etc" {
			home = filepath.Dir(abs)
		}
	}
	return filepath.Abs(home)
}

// join makes the paths of c absolute.
func (c *Config) join() {
	at := func(path *string) {
		if *path != "" && !filepath.IsAbs(*path) {
			*path = filepath.Join(c.Home, *path)
		}
	}
	at(&c.Node.DataDir)
	for i := range c.Plugins.Dirs {
		at(&c.Plugins.Dirs[i])
	}
	at(&c.Plugins.EtcDir)
	at(&c.Plugins.Loaded)
	at(&c.Plugins.CacheDir)
	at(&c.Log.File)
	for i := range c.Listeners {
		for _, f := range listenerFiles(&c.Listeners[i]) {
			at(f.path)
		}
	}
}

// reader collects what a file says and what is wrong with it.
type reader struct {
	file   string
	lines  map[string]int
	leaves []leaf
	faults Faults
}

// leaf is one key with its value, or a table without keys.
type leaf struct {
	path []string
	value
	empty   bool
	section int // how many parts of path name its section
}

// below is l with n parts of its path read as the section.
func (l leaf) below(n int) leaf {
	l.section = n
	return l
}

func (r *reader) fault(path []string, format string, args ...any) {
	r.faults = append(r.faults, Fault{File: r.file, Line: r.line(path), Key: joinPath(path), Text: fmt.Sprintf(format, args...)})
}

// line is where path stands, or the longest part of it that has a line.
func (r *reader) line(path []string) int {
	for n := len(path); n > 0; n-- {
		if at, ok := r.lines[joinPath(path[:n])]; ok {
			return at
		}
	}
	return 0
}

func (r *reader) syntax(err error) {
	f := Fault{File: r.file, Text: err.Error()}
	var parse toml.ParseError
	if errors.As(err, &parse) {
		f.Line, f.Text = parse.Position.Line, parse.Message
		if parse.LastKey != "" {
			f.Text += fmt.Sprintf(" (after key %q)", parse.LastKey)
		}
	}
	r.faults = append(r.faults, f)
}

// walk collects the leaves below node. Arrays of tables belong to no section.
func (r *reader) walk(path []string, node map[string]any) {
	for name, v := range node {
		at := append(append([]string{}, path...), name)
		if child, ok := v.(map[string]any); ok {
			if len(child) == 0 {
				r.leaves = append(r.leaves, leaf{path: at, empty: true})
			}
			r.walk(at, child)
			continue
		}
		val, err := valueOf(v)
		if err != nil {
			r.fault(at, "%v", err)
			continue
		}
		r.leaves = append(r.leaves, leaf{path: at, value: val})
	}
}
