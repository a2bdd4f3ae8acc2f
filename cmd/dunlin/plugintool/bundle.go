package plugintool

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/plugin/wasm"
)

// Bundle is the files of one plugin as they are handed to an operator, in memory: the
// manifest, the schema, the artefacts for all systems, the signature. Other files are
// left behind.
type Bundle struct {
	Manifest  *manifest.Manifest
	Files     map[string][]byte // by name in the plugin's folder, with slashes
	Artefacts []string          // their names, sorted
	Signature *manifest.Signature
}

// maxBundle bounds what is read of a folder or unpacked from an archive, in bytes.
const maxBundle = 1 << 30

// source is where files of a plugin come from, by name with slashes.
type source struct {
	list func() ([]string, error)
	read func(name string) ([]byte, error)
}

// ReadBundle reads a plugin's folder, one artefact of it with what lies beside, or an
// archive (.tar.gz, .tgz, .zip) of such a folder, and checks what can be checked without
// running any of it: manifest, schema, modules, and that the signature fits the files.
func ReadBundle(at string) (*Bundle, error) {
	fi, err := os.Stat(at)
	if err != nil {
		return nil, err
	}
	var b *Bundle
	switch {
	case fi.IsDir():
		b, err = collect(folder(at), "")
	case strings.HasSuffix(at, ".tar.gz"), strings.HasSuffix(at, ".tgz"):
		b, err = unpacked(at, untar)
	case strings.HasSuffix(at, ".zip"):
		b, err = unpacked(at, unzip)
	default:
		b, err = collect(folder(filepath.Dir(at)), filepath.Base(at))
	}
	if err == nil {
		err = b.check()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return b, nil
}

// folder reads regular files of a directory.
func folder(dir string) source {
	return source{
		list: func() (names []string, err error) {
			entries, err := os.ReadDir(dir)
			for _, e := range entries {
				if e.Type().IsRegular() {
					names = append(names, e.Name())
				}
			}
			return names, err
		},
		read: func(name string) ([]byte, error) {
			f, err := os.OpenInRoot(dir, filepath.FromSlash(name))
			if err != nil {
				return nil, err
			}
			defer f.Close() //nolint:errcheck // it is only read
			return readAtMost(f, maxBundle)
		},
	}
}

var errTooLarge = fmt.Errorf("larger than %d bytes", maxBundle)

func readAtMost(r io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(text)) > most {
		err = errTooLarge
	}
	return text, err
}

// unpacked reads an archive: the plugin's files at its top, or in its only folder.
func unpacked(at string, unpack func(string) (map[string][]byte, error)) (*Bundle, error) {
	files, err := unpack(at)
	if err != nil {
		return nil, err
	}
	var tops []string
	for name := range files {
		if dir, base := path.Split(name); base == manifest.ManifestFile && strings.Count(dir, "/") < 2 {
			tops = append(tops, dir)
		}
	}
	if len(tops) != 1 {
		return nil, fmt.Errorf("want one %s, at the top of the archive or in its only folder; there are %d", manifest.ManifestFile, len(tops))
	}
	inside := map[string][]byte{}
	for name, text := range files {
		if rest, ok := strings.CutPrefix(name, tops[0]); ok {
			inside[rest] = text
		}
	}
	return collect(source{
		list: func() ([]string, error) { return slices.Collect(maps.Keys(inside)), nil },
		read: func(name string) ([]byte, error) {
			text, ok := inside[name]
			if !ok {
				return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
			}
			return text, nil
		},
	}, "")
}

// untar unpacks the regular files of a .tar.gz into memory.
func untar(at string) (map[string][]byte, error) {
	f, err := os.Open(at)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it is only read
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	files, left := map[string][]byte{}, int64(maxBundle)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := keep(files, h.Name, r, &left); err != nil {
			return nil, err
		}
	}
}

// unzip unpacks the regular files of a .zip into memory.
func unzip(at string) (map[string][]byte, error) {
	z, err := zip.OpenReader(at)
	if err != nil {
		return nil, err
	}
	defer z.Close() //nolint:errcheck // it is only read
	files, left := map[string][]byte{}, int64(maxBundle)
	for _, f := range z.File {
		if !f.Mode().IsRegular() {
			continue
		}
		r, err := f.Open()
		if err == nil {
			err = errors.Join(keep(files, f.Name, r, &left), r.Close())
		}
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// keep reads one file of an archive. left is what may still be unpacked.
func keep(files map[string][]byte, name string, r io.Reader, left *int64) error {
	clean := path.Clean(name)
	if !filepath.IsLocal(filepath.FromSlash(clean)) || strings.Contains(name, "\\") {
		return fmt.Errorf("the archive has a file %q, which would lie outside", name)
	}
	if _, twice := files[clean]; twice {
		return fmt.Errorf("the archive has two files %q", clean)
	}
	text, err := readAtMost(r, *left)
	*left -= int64(len(text))
	files[clean] = text
	return err
}

// collect takes the files of a plugin out of a folder: all artefacts, or the one called
// only.
func collect(s source, only string) (*Bundle, error) {
	b := &Bundle{Files: map[string][]byte{}}
	text, err := s.read(manifest.ManifestFile)
	if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(only, ".wasm") {
		text, err = b.inside(s, only)
	} else if err == nil {
		b.Files[manifest.ManifestFile] = text
	}
	if err != nil {
		return nil, err
	}
	if b.Manifest, err = manifest.ParseManifest(manifest.ManifestFile, text); err != nil {
		return nil, err
	}
	names, err := s.list()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if manifest.IsArtefact(b.Manifest.Name, name) && (only == "" || only == name) {
			b.Artefacts = append(b.Artefacts, name)
		}
	}
	slices.Sort(b.Artefacts)
	if b.Artefacts == nil {
		return nil, fmt.Errorf("there is no artefact of the plugin %s: looked for %[1]s.wasm, %[1]s and %[1]s-<os>-<arch>; `dunlin plugin build` makes one", b.Manifest.Name)
	}
	want := slices.Clone(b.Artefacts)
	if schema := b.Manifest.ConfigSchema; schema != "" {
		want = append(want, path.Clean(filepath.ToSlash(schema)))
	}
	if slices.Contains(names, manifest.SignatureFile) {
		want = append(want, manifest.SignatureFile)
	}
	for _, name := range want {
		if b.Files[name], err = s.read(name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return b, nil
}

// inside is the manifest that a module carries.
func (b *Bundle) inside(s source, name string) ([]byte, error) {
	code, err := s.read(name)
	if err != nil {
		return nil, err
	}
	text, err := manifest.Inside(code)
	if err == nil && text == nil {
		err = fmt.Errorf("neither a %s beside it nor a manifest inside", manifest.ManifestFile)
	}
	return text, err
}

// check looks at everything that needs no configuration.
func (b *Bundle) check() error {
	if schema := b.Manifest.ConfigSchema; schema != "" {
		if err := manifest.CheckSchema(schema, b.Files[path.Clean(filepath.ToSlash(schema))]); err != nil {
			return err
		}
	}
	for _, name := range b.Artefacts {
		if !strings.HasSuffix(name, ".wasm") {
			continue
		}
		if err := wasm.Inspect(b.Files[name], b.Manifest); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		text, err := manifest.Inside(b.Files[name])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if beside := b.Files[manifest.ManifestFile]; text != nil && beside != nil && !bytes.Equal(bytes.TrimSpace(text), bytes.TrimSpace(beside)) {
			return fmt.Errorf("%s and the manifest inside %s differ", manifest.ManifestFile, name)
		}
	}
	text, ok := b.Files[manifest.SignatureFile]
	if !ok {
		return nil
	}
	sig, err := manifest.ParseSignature(manifest.SignatureFile, text)
	if err != nil {
		return err
	}
	b.Signature = sig
	for name, sum := range b.Sums() {
		if sig.Sums[name] != sum {
			return fmt.Errorf("%s: the file is not the one that %s has signed: have the plugin signed anew, or get it from where it came", name, sig.Key)
		}
	}
	return nil
}

// Sums are the sha256 of the files that a signature and a lock are about.
func (b *Bundle) Sums() map[string]string {
	sums := map[string]string{}
	for name, text := range b.Files {
		if name != manifest.SignatureFile {
			sums[name] = manifest.Sum(text)
		}
	}
	return sums
}
