package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Trust says whose plugins a broker takes.
type Trust struct {
	LockFile         string      // plugins.lock; it need not exist. "": there is none
	Keys             []PublicKey // of those who sign plugins
	RequireSignature bool        // refuse what none of Keys has signed
	AllowUnpinned    bool        // take artefacts that neither the lock nor the operator's file pins
}

// vouching is what is known about the files of one plugin before they are read.
// Every file is compared as it was read: what is checked is what runs.
type vouching struct {
	trust  *Trust
	name   string
	locked *Locked    // nil: the lock does not name the plugin
	sig    *Signature // nil: there is no signature
	sigAt  string
}

// vouch reads the lock about the plugin name.
func (t *Trust) vouch(name string) (*vouching, error) {
	l, err := ReadLock(t.LockFile)
	if err != nil {
		return nil, err
	}
	v := &vouching{trust: t, name: name}
	if p, ok := l.Plugins[name]; ok {
		v.locked = &p
	}
	return v, nil
}

// signature reads the signature in the plugin's folder, if there is one.
func (v *vouching) signature(dir string) error {
	v.sigAt = filepath.Join(dir, SignatureFile)
	text, err := os.ReadFile(v.sigAt)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	v.sig, err = ParseSignature(v.sigAt, text)
	return err
}

// check compares the contents of a file of the plugin with the lock and with the
// signature. file is its name there, path is for messages.
func (v *vouching) check(file, path string, text []byte) error {
	sum := Sum(text)
	if v.locked != nil {
		switch want, named := v.locked.SHA256[file]; {
		case !named:
			return fmt.Errorf("%s: %s names the plugin %s, but not this file (sha256 %s): "+
				"remove it, or run `dunlin plugin add` with a plugin that has it", path, v.trust.LockFile, v.name, sum)
		case want != sum:
			return fmt.Errorf("%s: the file was changed after `dunlin plugin add`: %s has sha256 %s, found is %s: "+
				"put the old file back, or run `dunlin plugin add` with the new plugin if you trust it", path, v.trust.LockFile, want, sum)
		}
	}
	if v.sig != nil {
		switch want, named := v.sig.Sums[file]; {
		case !named:
			return fmt.Errorf("%s: the signature in %s is not about this file", path, v.sigAt)
		case want != sum:
			return fmt.Errorf("%s: the file is not the one that %s has signed: %s has sha256 %s, found is %s: "+
				"get the plugin anew from where it came", path, v.sig.Key, v.sigAt, want, sum)
		}
	}
	return nil
}

// signed refuses a plugin that nobody has signed whom the operator trusts, if the
// operator wants that.
func (v *vouching) signed() error {
	switch {
	case !v.trust.RequireSignature:
		return nil
	case v.sig == nil:
		return fmt.Errorf("%s is missing: plugins.require_signature takes only plugins that a key of plugins.trusted_keys has signed", v.sigAt)
	case !v.trust.Trusts(v.sig.Key):
		return fmt.Errorf("%s: the plugin is signed by %s, which is not in plugins.trusted_keys: add the key there if you trust whoever has it", v.sigAt, v.sig.Key)
	}
	return nil
}

// Trusts tells whether the operator trusts k.
func (t *Trust) Trusts(k PublicKey) bool { return slices.Contains(t.Keys, k) }

// pinned checks the artefact's hash against the operator's, and that somebody pins it.
func (v *vouching) pinned(op *Operator, p *Package) error {
	switch {
	case op.SHA256 != "" && op.SHA256 != p.SHA256:
		return fmt.Errorf("%s: sha256 is %s, but %s has %s: put the old file back, or state the new sum if you trust the file", op.doc.name, op.SHA256, p.Path, p.SHA256)
	case op.SHA256 == "" && v.locked == nil && !v.trust.AllowUnpinned:
		return fmt.Errorf("%s: nobody vouches for the file, which has sha256 %s: install it by `dunlin plugin add`, or state that as sha256 under [plugin] in %s (plugins.allow_unpinned is for development)",
			p.Path, p.SHA256, op.doc.name)
	}
	return nil
}

// words says who vouches for the plugin, for operators.
func (v *vouching) words(op *Operator) string {
	var who []string
	if v.locked != nil {
		who = append(who, filepath.Base(v.trust.LockFile))
	}
	if op.SHA256 != "" {
		who = append(who, filepath.Base(op.doc.name))
	}
	if v.sig != nil && v.trust.Trusts(v.sig.Key) {
		who = append(who, "signed by "+v.sig.Key.String())
	}
	if who == nil {
		return "nobody"
	}
	return strings.Join(who, ", ")
}

// Sum is the sha256 of a file's contents in hex.
func Sum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
