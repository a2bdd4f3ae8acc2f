//go:build !linux

package rpc

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// image is the plugin's executable as it was hashed, in a private directory
// that only this user can change.
type image struct{ dir, path string }

func newImage(name string, code []byte) (*image, error) {
	dir, err := os.MkdirTemp("", "dunlin-plugin-")
	if err != nil {
		return nil, err
	}
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	i := &image{dir: dir, path: filepath.Join(dir, name)}
	if err := os.WriteFile(i.path, code, 0o700); err != nil {
		return nil, errors.Join(err, i.close())
	}
	return i, nil
}

func (i *image) command(name string) *exec.Cmd {
	return &exec.Cmd{Path: i.path, Args: []string{name}}
}

func (i *image) close() error { return os.RemoveAll(i.dir) }
