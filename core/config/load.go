package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dunlinmq/dunlin/core/listener"
)

// Options are what the command line and the environment say about a
// configuration.
type Options struct {
	// Home is where relative paths start; "": the parent of the file's directory
	// when that is called etc, else the file's directory.
	Home string
	// Dirs are directories that are not below Home.
	Dirs Dirs
	// DataDir replaces node.data_dir; "": the files'.
	DataDir string
	// Env is the environment as os.Environ gives it: the layer over the files.
	// What does not begin with DUNLIN_ is passed over.
	Env []string
	// Set are "key=value" of flags, the layer over everything; later ones win.
	Set []string
}

// DataDir reads node.data_dir of the layers and nothing else, so that a running
// node can be reached while they have faults in other keys. A file of conf.d that
// is not TOML says nothing; the main file must be, unless another layer tells.
func DataDir(path string, o Options) (string, error) {
	home, err := homeOf(path, o.Home)
	if err != nil {
		return "", err
	}
	docs, err := documents(path)
	if err != nil {
		return "", err
	}
	r := reader{file: path, at: map[string]Origin{}}
	if err := r.layers(docs, o); err != nil {
		return "", err
	}
	c := Config{Home: home, Dirs: o.Dirs.In(home)}
	nodeKeys.defaults(&c.Node)
	found := false
	for _, l := range r.leaves {
		if joinPath(l.path) == "node.data_dir" && !l.empty {
			c.Node.DataDir, found = l.text, true
		}
	}
	if r.broken && !found && slices.ContainsFunc(r.faults, func(f Fault) bool { return f.File == path }) {
		return "", r.faults.sorted()
	}
	c.join()
	return c.Node.DataDir, nil
}

// Load reads and checks the file at path, the *.toml of the conf.d beside it,
// the environment and the flags. The error is a [Faults] with every fault of
// all of them, or says why a file cannot be read.
func Load(path string, o Options) (*Config, error) {
	docs, err := documents(path)
	if err != nil {
		return nil, err
	}
	return parseAll(path, docs, o)
}

// Parse is [Load] for the text of one file; file is its name for messages. It
// also looks for the certificate files that listeners name.
func Parse(file string, doc []byte, o Options) (*Config, error) {
	return parseAll(file, []source{{file, string(doc)}}, o)
}

func parseAll(file string, docs []source, o Options) (*Config, error) {
	home, err := homeOf(file, o.Home)
	if err != nil {
		return nil, fmt.Errorf("find the home directory: %w", err)
	}
	r := reader{file: file, at: map[string]Origin{}}
	if err := r.layers(docs, o); err != nil {
		return nil, err
	}
	c := r.build()
	c.File, c.Home, c.Dirs = file, home, o.Dirs.In(home)
	c.join()
	if !r.broken { // what a broken file would have said is not known
		r.check(c)
	}
	if len(r.faults) > 0 {
		return nil, r.faults.sorted()
	}
	c.values = r.effective(c)
	return c, nil
}

// source is one file that is read.
type source struct {
	name, text string
}

// confDir is the directory beside the file whose *.toml are read after it.
const confDir = "conf.d"

// documents reads the file at path and those of the conf.d beside it, sorted by
// name. Names that begin with a dot are passed over.
func documents(path string) ([]source, error) {
	names := []string{path}
	dir := filepath.Join(filepath.Dir(path), confDir)
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && filepath.Ext(e.Name()) == ".toml" {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	docs := make([]source, 0, len(names))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		docs = append(docs, source{name, string(text)})
	}
	return docs, nil
}

// HomeOf is the home directory of a configuration file, when nobody has said
// another: the parent of its directory when that is called etc, else its
// directory. The error is that of a process without a working directory.
func HomeOf(file string) (string, error) { return homeOf(file, "") }

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
	at := func(path *string) { *path = c.path(*path) }
	at(&c.Node.DataDir)
	for i := range c.Plugins.Dirs {
		at(&c.Plugins.Dirs[i])
	}
	at(&c.Plugins.EtcDir)
	at(&c.Plugins.Loaded)
	at(&c.Plugins.Trust.LockFile)
	at(&c.Plugins.CacheDir)
	at(&c.Log.File)
	for i := range c.Listeners {
		l := &c.Listeners[i]
		if path, ok := listener.IsSocketFile(l.Bind); ok {
			at(&path)
			l.Bind = path
		}
		for _, f := range listenerFiles(&c.Listeners[i]) {
			at(f.path)
		}
	}
}
