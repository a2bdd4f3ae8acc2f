package plugintool

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
)

// module is what built compiles once; these tests are not parallel.
var module []byte

// built is the folder of a plugin "p" that asks for kv and has a schema.
func built(t *testing.T) string {
	t.Helper()
	if module == nil {
		module = readOrEmpty(guest(t, `void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) { dunlin_kv_del(0, 0); }`,
			"capabilities = [\"kv\"]\n"+interceptPublish).Path)
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, "p.wasm"), string(module))
	put(t, filepath.Join(dir, "plugin.toml"), "name = \"p\"\nversion = \"1\"\nabi = 1\ncapabilities = [\"kv\"]\nconfig_schema = \"schema.json\"\n"+interceptPublish)
	put(t, filepath.Join(dir, "schema.json"), `{"type":"object","additionalProperties":false}`)
	put(t, filepath.Join(dir, "notes.txt"), "not of the plugin")
	return dir
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// placeIn is an operator's directories.
func placeIn(t *testing.T) *Place {
	home := t.TempDir()
	return &Place{
		Dir: filepath.Join(home, "plugins"), EtcDir: filepath.Join(home, "etc", "plugins"), Loaded: filepath.Join(home, "loaded_plugins"),
		Trust: manifest.Trust{LockFile: filepath.Join(home, "etc", "plugins.lock")},
	}
}

func add(t *testing.T, p *Place, from string, o AddOptions) *Added {
	t.Helper()
	b, err := ReadBundle(from)
	if err != nil {
		t.Fatal(err)
	}
	a, err := p.Add(b, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// reads is what the broker makes of the installed plugin.
func (p *Place) reads() error {
	s := manifest.Source{Dirs: []string{p.Dir}, ConfigDir: p.EtcDir, Trust: p.Trust, Secrets: manifest.Secrets{Env: os.LookupEnv}}
	_, err := s.Read("p")
	return err
}

// archives pack the folder dir as its maker would, with a folder around it or not.
func archives(t *testing.T, dir string) map[string]string {
	t.Helper()
	var tgz, zipped bytes.Buffer
	gz := gzip.NewWriter(&tgz)
	tw, zw := tar.NewWriter(gz), zip.NewWriter(&zipped)
	for _, name := range []string{"plugin.toml", "p.wasm", "schema.json", "notes.txt"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		err = tw.WriteHeader(&tar.Header{Name: "./p-1/" + name, Typeflag: tar.TypeReg, Size: int64(len(text)), Mode: 0o777})
		_, err1 := tw.Write(text)
		w, err2 := zw.Create(name)
		_, err3 := w.Write(text)
		if err := errors.Join(err, err1, err2, err3); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), gz.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	put(t, filepath.Join(out, "p.tar.gz"), tgz.String())
	put(t, filepath.Join(out, "p.zip"), zipped.String())
	return map[string]string{"folder": dir, "module": filepath.Join(dir, "p.wasm"), "tar": filepath.Join(out, "p.tar.gz"), "zip": filepath.Join(out, "p.zip")}
}

// However a plugin comes, what is installed is the same, and the broker takes it
// without any other pin; one changed byte and it does not.
func TestAdd(t *testing.T) {
	dir := built(t)
	for kind, from := range archives(t, dir) {
		p := placeIn(t)
		a := add(t, p, from, AddOptions{})
		if a.Name != "p" || a.Version != "1" || !slices.Equal(a.AsksFor, []string{"kv"}) || !slices.Equal(a.NotGranted, []string{"kv"}) || len(a.SHA256) != 3 {
			t.Errorf("%s: %+v", kind, a)
		}
		if len(a.Notes) != 1 || !strings.Contains(a.Notes[0], `p.toml does not grant what the plugin asks for: under [plugin], grant = ["kv"]`) {
			t.Errorf("%s: notes %q", kind, a.Notes)
		}
		if err := p.reads(); err == nil || !strings.Contains(err.Error(), `the plugin asks for "kv"`) {
			t.Errorf("%s: without a grant: %v", kind, err)
		}
		if a = add(t, p, from, AddOptions{Grant: true}); len(a.Notes) != 0 || a.Replaced != "1" {
			t.Errorf("%s: again, with its grants: %+v", kind, a)
		}
		if err := p.reads(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		names := listed(t, p.Dir)
		if want := []string{"p", "p/p.wasm", "p/plugin.toml", "p/schema.json"}; !slices.Equal(names, want) {
			t.Errorf("%s: %v, want %v", kind, names, want)
		}
		f, err := os.OpenFile(filepath.Join(p.Dir, "p", "p.wasm"), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([]byte{0xff}, 40)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if err := p.reads(); err == nil || !strings.Contains(err.Error(), "p.wasm: the file was changed after `dunlin plugin add`") {
			t.Errorf("%s: one byte later: %v", kind, err)
		}
	}
}

// listed are the files and folders below dir.
func listed(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); rel != "." {
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// What is wrong with a plugin is found before anything is installed.
func TestAddRefuses(t *testing.T) {
	dir := built(t)
	text := func(name string) string { return string(readOrEmpty(filepath.Join(dir, name))) }
	for name, c := range map[string]struct {
		change map[string]string // files; "": removed
		want   string
	}{
		"no manifest":         {map[string]string{"plugin.toml": ""}, "plugin.toml"},
		"a bad manifest":      {map[string]string{"plugin.toml": "nam = 1\n"}, `plugin.toml:1: unknown key "nam"; did you mean "name"?`},
		"no artefact":         {map[string]string{"p.wasm": ""}, "there is no artefact of the plugin p"},
		"no module":           {map[string]string{"p.wasm": "ELF"}, "p.wasm: "},
		"a bad schema":        {map[string]string{"schema.json": `{"type":7}`}, "schema.json"},
		"no schema":           {map[string]string{"schema.json": ""}, "schema.json"},
		"more than asked for": {map[string]string{"plugin.toml": strings.Replace(text("plugin.toml"), `["kv"]`, `["timer"]`, 1)}, `p.wasm: import of dunlin_kv.del: the capability "kv" is not asked for by the manifest`},
		"a bad signature":     {map[string]string{"plugin.sig": "x"}, "plugin.sig:1: not a signature"},
	} {
		from := t.TempDir()
		for _, file := range []string{"plugin.toml", "p.wasm", "schema.json"} {
			put(t, filepath.Join(from, file), text(file))
		}
		for file, text := range c.change {
			put(t, filepath.Join(from, file), text)
			if text == "" {
				if err := os.Remove(filepath.Join(from, file)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := ReadBundle(from); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A signature decides what an operator who wants signatures takes, and the key of an
// installed plugin stays its key.
func TestSign(t *testing.T) {
	dir, keys := built(t), t.TempDir()
	ours, theirs := filepath.Join(keys, "ours"), filepath.Join(keys, "theirs")
	key, err := NewKey(ours)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(ours); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", fi.Mode(), err)
	}
	if text := string(readOrEmpty(ours + ".pub")); text != key.String()+"\n" {
		t.Errorf("public key %q", text)
	}
	if _, err := NewKey(ours); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another key: %v", err)
	}
	if _, err := NewKey(theirs); err != nil {
		t.Fatal(err)
	}
	p := placeIn(t)
	refuse := func(what, want string) {
		t.Helper()
		b, err := ReadBundle(dir)
		if err == nil {
			_, err = p.Add(b, AddOptions{})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	sign := func(key string) {
		t.Helper()
		if _, err := Sign(dir, key); err != nil {
			t.Fatal(err)
		}
	}
	p.Trust.RequireSignature, p.Trust.Keys = true, []manifest.PublicKey{key}
	refuse("not signed", "the plugin is not signed")
	sign(theirs)
	refuse("signed by somebody", "which is not in plugins.trusted_keys")
	sign(ours)
	if a := add(t, p, dir, AddOptions{Grant: true}); !a.Trusted || a.SignedBy != key.String() {
		t.Errorf("%+v", a)
	}
	if err := p.reads(); err != nil {
		t.Error(err)
	}
	p.Trust.RequireSignature, p.Trust.Keys = false, nil
	sign(theirs)
	refuse("another key", "version 1 was signed by "+key.String()+", this one is signed by")
	put(t, filepath.Join(dir, "schema.json"), `{"type":"object"}`)
	refuse("a schema that is not signed", "schema.json: the file is not the one that")
	if err := os.Remove(filepath.Join(dir, "plugin.sig")); err != nil {
		t.Fatal(err)
	}
	refuse("no signature any more", "this one is not signed: ask for a signed one, or take it with --force")
	if a := add(t, p, dir, AddOptions{Force: true}); a.SignedBy != "" || p.reads() != nil {
		t.Errorf("%+v, %v", a, p.reads())
	}
}

// A key that others can read, or that is none, does not sign.
func TestKeysOfOthers(t *testing.T) {
	dir, key := built(t), filepath.Join(t.TempDir(), "k")
	if _, err := NewKey(key); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		mode os.FileMode
		text string
		want string
	}{
		"readable": {0o640, "", "others can use the key; chmod 600 it"},
		"a text":   {0o600, "secret", "not a private key"},
		"garbage":  {0o600, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "k: "},
	} {
		if c.text != "" {
			put(t, key, c.text)
		}
		if err := os.Chmod(key, c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Sign(dir, key); runtime.GOOS != "windows" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A lock that two machines share keeps the sums for both systems, of one version.
func TestLockOfSeveralSystems(t *testing.T) {
	p, from := placeIn(t), t.TempDir()
	version := func(v string, files map[string]string) *Added {
		t.Helper()
		dir := filepath.Join(from, v, strings.Join(slices.Sorted(maps.Keys(files)), ""))
		put(t, filepath.Join(dir, "plugin.toml"), "name = \"p\"\nversion = \""+v+"\"\nabi = 1\n"+interceptPublish)
		for file, text := range files {
			put(t, filepath.Join(dir, file), text)
		}
		return add(t, p, dir, AddOptions{})
	}
	here := "p-" + runtime.GOOS + "-" + runtime.GOARCH
	if a := version("1", map[string]string{"p-plan9-mips": "other"}); len(a.Notes) != 1 || !strings.Contains(a.Notes[0], "none of its artefacts is for") {
		t.Errorf("%+v", a)
	}
	version("1", map[string]string{here: "mine"})
	files := func() []string {
		l, err := manifest.ReadLock(p.Trust.LockFile)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Sorted(maps.Keys(l.Plugins["p"].SHA256))
	}
	if want := []string{here, "p-plan9-mips", "plugin.toml"}; !slices.Equal(files(), want) {
		t.Errorf("%v, want %v", files(), want)
	}
	if err := p.reads(); err != nil {
		t.Error(err)
	}
	if fi, err := os.Stat(filepath.Join(p.Dir, "p", here)); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o755 {
		t.Errorf("%v %v", fi, err)
	}
	if a := version("2", map[string]string{here: "mine"}); a.Replaced != "1" || len(files()) != 2 {
		t.Errorf("%v after %s", files(), a.Replaced)
	}
}

// When the lock cannot be written nothing has changed.
func TestAddIsAllOrNothing(t *testing.T) {
	dir, p := built(t), placeIn(t)
	add(t, p, dir, AddOptions{Grant: true})
	old := readOrEmpty(filepath.Join(p.Dir, "p", "schema.json"))
	put(t, filepath.Join(dir, "schema.json"), `{"type":"object"}`)
	b, err := ReadBundle(dir)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("disk full")
	if err := p.place(b, p.describe(b), func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if err := p.reads(); err != nil || !bytes.Equal(readOrEmpty(filepath.Join(p.Dir, "p", "schema.json")), old) {
		t.Errorf("%v", err)
	}
	if names := listed(t, p.Dir); len(names) != 4 {
		t.Errorf("left behind: %v", names)
	}
}

// What is on stays, what was not added too.
func TestRemove(t *testing.T) {
	dir, p := built(t), placeIn(t)
	add(t, p, dir, AddOptions{})
	put(t, p.Loaded, "{p, true}.\n")
	if a := add(t, p, dir, AddOptions{}); a.Next != "dunlin ctl plugins reload p" {
		t.Errorf("next %q", a.Next)
	}
	if err := p.Remove("p"); err == nil || !strings.Contains(err.Error(), "p is on in") {
		t.Errorf("%v", err)
	}
	put(t, p.Loaded, "{p, false}.\n")
	if err := p.Remove("p"); err != nil || len(listed(t, p.Dir)) != 0 {
		t.Errorf("%v, left %v", err, listed(t, p.Dir))
	}
	if err := p.Remove("p"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("again: %v", err)
	}
	if err := p.Remove("../p"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
