package files

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
)

// ErrByHand: the item is in a file that an operator has written.
var ErrByHand = errors.New("it is written by hand")

// RulePath is the file of a rule that a command has made.
func (f *Folder) RulePath(id string) string { return f.path("rule", id) }

// ResourcePath is the file of a resource that a command has made.
func (f *Folder) ResourcePath(id string) string { return f.path("resource", id) }

// path keeps a colon out of the name: not every system takes it.
func (f *Folder) path(kind, id string) string {
	return filepath.Join(f.dir, kind+"-"+strings.ReplaceAll(id, ":", "%3A")+".toml")
}

// PutRule writes the file of a rule. at is where the rule is now; one that is in
// another file is ErrByHand.
func (f *Folder) PutRule(id string, r Rule, at Place) error {
	return f.put(f.RulePath(id), at, file{Rules: map[string]Rule{id: r}})
}

// PutResource writes the file of a resource, as PutRule.
func (f *Folder) PutResource(id string, r Resource, at Place) error {
	return f.put(f.ResourcePath(id), at, file{Resources: map[string]Resource{id: r}})
}

// DeleteRule removes the file of a rule.
func (f *Folder) DeleteRule(id string, at Place) error { return f.remove(f.RulePath(id), at) }

// DeleteResource removes the file of a resource.
func (f *Folder) DeleteResource(id string, at Place) error { return f.remove(f.ResourcePath(id), at) }

func byHand(path string, at Place) error {
	if at.File != "" && at.File != path {
		return fmt.Errorf("%w, in %s: change it there, it is read within a second", ErrByHand, at)
	}
	return nil
}

// put writes a file whole or not at all, and waits until it is on the disk. Others
// may not read it: resources have passwords.
func (f *Folder) put(path string, at Place, what file) (err error) {
	if err := byHand(path, at); err != nil {
		return err
	}
	var text bytes.Buffer
	text.WriteString("# Written by dunlin ctl, which writes it again.\n")
	e := toml.NewEncoder(&text)
	e.Indent = ""
	if err := e.Encode(what); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(f.dir, ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	if _, err := tmp.Write(text.Bytes()); err != nil {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return f.sync()
}

// sync makes a renaming or removal safe. Systems where a folder cannot be synced
// do it by themselves.
func (f *Folder) sync() error {
	dir, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	_ = dir.Sync()
	return dir.Close()
}

func (f *Folder) remove(path string, at Place) error {
	if err := byHand(path, at); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return f.sync()
}
