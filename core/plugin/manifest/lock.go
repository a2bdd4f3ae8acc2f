package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/BurntSushi/toml"

	"github.com/dunlinmq/dunlin/core/wholefile"
)

// Lock is a plugins.lock: what `dunlin plugin add` has installed, to the byte. A
// plugin that it names loads from exactly these files.
type Lock struct {
	Plugins map[string]Locked `toml:"plugin"`
}

// Locked is one plugin of a [Lock].
type Locked struct {
	Version string `toml:"version"`
	// Key has signed the files; "": nobody.
	Key string `toml:"key,omitempty"`
	// SHA256 is the sums in hex by file name, relative to the plugin's folder, with
	// slashes. Artefacts for other systems than this one may be among them.
	SHA256 map[string]string `toml:"sha256"`
}

const lockHead = "# What `dunlin plugin add` has installed. A plugin that is named here loads only if its\n# files are these, to the byte. Do not edit: add the plugin anew.\n\n"

// maxLock bounds a lock file.
const maxLock = 8 << 20

// ReadLock reads the file at path. A missing file locks nothing.
func ReadLock(path string) (*Lock, error) {
	l := &Lock{Plugins: map[string]Locked{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || path == "" {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the lock of the plugins: %w", err)
	}
	if len(text) > maxLock {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxLock)
	}
	doc, err := decodeTOML(path, text, l, "")
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(l.Plugins)) {
		p := l.Plugins[name]
		if p.Key != "" {
			if _, err := ParsePublicKey(p.Key); err != nil {
				doc.fault(err.Error(), "plugin", name, "key")
			}
		}
		if len(p.SHA256) == 0 {
			doc.fault("no file is named", "plugin", name)
		}
		for _, file := range slices.Sorted(maps.Keys(p.SHA256)) {
			if err := checkSum(p.SHA256[file]); err != nil {
				doc.fault(err.Error(), "plugin", name, "sha256", file)
			}
		}
	}
	return l, doc.err()
}

// Write replaces the file at path in one step.
func (l *Lock) Write(path string) error {
	var b bytes.Buffer
	b.WriteString(lockHead)
	enc := toml.NewEncoder(&b)
	enc.Indent = ""
	if err := enc.Encode(l); err != nil {
		return fmt.Errorf("write the lock of the plugins: %w", err)
	}
	if err := wholefile.Replace(path, b.Bytes(), wholefile.Mode(path, 0o644), nil); err != nil {
		return fmt.Errorf("write the lock of the plugins: %w", err)
	}
	return nil
}
