package plugintool

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
)

// Built is what a build has made.
type Built struct {
	Name     string `json:"name"`
	Language string `json:"language"`
	Artefact string `json:"artefact"`
	Bytes    int64  `json:"bytes"`
}

// Build builds the plugin in dir into out (""; dir/build), as <out>/<name>/ with
// everything that an operator copies. A Go plugin becomes a process if process
// is set.
func Build(ctx context.Context, dir, out string, process bool) (*Built, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	l, err := languageOf(dir)
	if err != nil {
		return nil, err
	}
	if process && l.Name != "go" && !l.Process {
		return nil, fmt.Errorf("a plugin in %s becomes a module, not a process", l.Name)
	}
	text, err := os.ReadFile(filepath.Join(dir, "plugin.toml"))
	if err != nil {
		return nil, err
	}
	m, err := manifest.ParseManifest(filepath.Join(dir, "plugin.toml"), text)
	if err != nil {
		return nil, err
	}
	if out == "" {
		out = filepath.Join(dir, "build")
	}
	if out, err = filepath.Abs(filepath.Join(out, m.Name)); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	b := &build{dir: dir, out: filepath.Join(out, m.Name+".wasm"), process: process || l.Process, env: os.Environ()}
	if b.process {
		b.out = filepath.Join(out, executable(m.Name))
	}
	if err := l.run(ctx, b); err != nil {
		return nil, err
	}
	if err := copyBeside(dir, out, m); err != nil {
		return nil, err
	}
	fi, err := os.Stat(b.out)
	if err != nil {
		return nil, err
	}
	return &Built{Name: m.Name, Language: l.Name, Artefact: b.out, Bytes: fi.Size()}, nil
}

// run runs the language's compiler.
func (l *Language) run(ctx context.Context, b *build) (err error) {
	if b.paths, err = l.find(b.dir); err != nil {
		return err
	}
	if l.command == nil {
		return zipApp(b)
	}
	args, err := l.command(b)
	if err != nil {
		return err
	}
	name := args[0]
	if p := b.paths[name]; p != "" {
		name = p
	}
	cmd := exec.CommandContext(ctx, name, args[1:]...)
	cmd.Dir, cmd.Env = b.dir, b.env
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(text))
	}
	if b.process {
		return os.Chmod(b.out, 0o755)
	}
	return nil
}

// copyBeside puts the manifest and the schema beside the artefact.
func copyBeside(dir, out string, m *manifest.Manifest) error {
	for _, name := range []string{"plugin.toml", m.ConfigSchema} {
		if name == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		to := filepath.Join(out, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// zipApp packs a Python plugin and its SDK into one executable file, so that one
// hash covers both.
func zipApp(b *build) error {
	var body bytes.Buffer
	body.WriteString("#!/usr/bin/env python3\n")
	z := zip.NewWriter(&body)
	z.SetOffset(int64(body.Len()))
	add := func(name, path string) error {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err == nil {
			_, err = w.Write(text)
		}
		return err
	}
	err := filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		if err != nil {
			return err
		}
		if d.IsDir() && path != b.dir && (name == "build" || name == "tests" || name == "__pycache__" || strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		rel, err := filepath.Rel(b.dir, path)
		if err != nil || d.IsDir() || filepath.Ext(name) != ".py" {
			return err
		}
		if rel == "plugin.py" {
			rel = "__main__.py"
		}
		return add(filepath.ToSlash(rel), path)
	})
	if err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(b.out, body.Bytes(), 0o755)
}
