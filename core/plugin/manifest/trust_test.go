package manifest

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// keyOf is a private key made of one byte.
func keyOf(b byte) (ed25519.PrivateKey, PublicKey) {
	k := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(b)), ed25519.SeedSize)))
	return k, PublicKey(k.Public().(ed25519.PublicKey))
}

// installed is the plugin "a" with a schema, as `dunlin plugin add` leaves it.
func installed(t *testing.T) (*files, map[string]string) {
	t.Helper()
	f := newFiles(t)
	f.Trust = Trust{LockFile: filepath.Join(f.dir, "plugins.lock")}
	texts := map[string]string{
		"plugin.toml": head + "config_schema = \"in/schema.json\"\n" + hookLine(contract.HookPublish, ""),
		"a.wasm":      wasmHead, "in/schema.json": `{"type":"object"}`,
	}
	sums := map[string]string{}
	for name, text := range texts {
		f.write("plugins/a/"+name, text)
		sums[name] = Sum([]byte(text))
	}
	l := Lock{Plugins: map[string]Locked{"a": {Version: "1.0.0", SHA256: sums}}}
	if err := l.Write(f.Trust.LockFile); err != nil {
		t.Fatal(err)
	}
	return f, sums
}

// What the lock names loads without any pin of the operator's; one byte that is
// changed in any of its files is refused, with the sums and what to do.
func TestLockRefusesAChangedByte(t *testing.T) {
	f, sums := installed(t)
	p, err := f.Read("a")
	if err != nil || p.Vouched != "plugins.lock" || p.SHA256 != sums["a.wasm"] {
		t.Fatalf("%+v, %v", p, err)
	}
	for name := range sums {
		path := filepath.Join(f.dir, "plugins/a", filepath.FromSlash(name))
		old, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := append(old[:len(old):len(old)], ' ')
		f.write("plugins/a/"+name, string(changed))
		_, err = f.Read("a")
		for _, want := range []string{path + ": the file was changed", sums[name], Sum(changed), "put the old file back, or run `dunlin plugin add`"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
		f.write("plugins/a/"+name, string(old))
	}
	f.write("plugins/a/a-"+runtime.GOOS+"-"+runtime.GOARCH, "#!/bin/sh\n")
	f.write("etc/a.toml", "[plugin]\ntransport = \"process\"\n")
	if _, err := f.Read("a"); err == nil || !strings.Contains(err.Error(), "names the plugin a, but not this file") {
		t.Errorf("a file that the lock does not name: %v", err)
	}
	f.write("etc/a.toml", "[plugin]\nsha256 = \""+strings.Repeat("0", 64)+"\"\n")
	if _, err := f.Read("a"); err == nil || !strings.Contains(err.Error(), "a.toml: sha256 is 0000") {
		t.Errorf("the operator's pin beside the lock: %v", err)
	}
}

// A lock that cannot be read locks everything.
func TestLockFaults(t *testing.T) {
	f, sums := installed(t)
	for text, want := range map[string]string{
		"[plugin.a]\nversion = \"1\"\n":                                              "plugins.lock:1: no file is named",
		"[plugin.a]\nversion = \"1\"\n[plugin.a.sha256]\n\"a.wasm\" = \"xyz\"\n":     `plugins.lock:4: "xyz" is not a sha256`,
		"[plugin.a]\nkey = \"k\"\n[plugin.a.sha256]\nx = \"" + sums["a.wasm"] + "\"": `plugins.lock:2: "k" is not a public key`,
		"[plugin.a]\nsha = {}\n":                                                     "unknown key",
		"[plugin":                                                                    "plugins.lock:1: ",
	} {
		f.write("plugins.lock", text)
		if _, err := f.Read("a"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if err := os.Remove(f.Trust.LockFile); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Read("a"); err == nil || !strings.Contains(err.Error(), "install it by `dunlin plugin add`") {
		t.Errorf("without a lock: %v", err)
	}
}

// Who signs decides where the operator wants signatures, and a signature that does
// not fit is refused everywhere.
func TestSignatures(t *testing.T) {
	f, sums := installed(t)
	private, ours := keyOf(1)
	other, theirs := keyOf(2)
	f.Trust.Keys = []PublicKey{ours}
	without := map[string]string{"a.wasm": sums["a.wasm"], "plugin.toml": sums["plugin.toml"]}
	false1 := map[string]string{"a.wasm": sums["a.wasm"], "plugin.toml": sums["a.wasm"], "in/schema.json": sums["in/schema.json"]}
	for name, c := range map[string]struct {
		text    []byte
		require bool
		want    string // of the error; "": none
		vouched string
	}{
		"none":                        {nil, false, "", "plugins.lock"},
		"none, required":              {nil, true, "plugin.sig is missing: plugins.require_signature", ""},
		"ours, required":              {Sign(private, sums), true, "", "plugins.lock, signed by " + ours.String()},
		"somebody's":                  {Sign(other, sums), false, "", "plugins.lock"},
		"somebody's, required":        {Sign(other, sums), true, "signed by " + theirs.String() + ", which is not in plugins.trusted_keys", ""},
		"not about the schema":        {Sign(private, without), false, "the signature in " + filepath.Join(f.dir, "plugins/a/plugin.sig") + " is not about this file", ""},
		"another manifest":            {Sign(private, false1), false, "plugin.toml: the file is not the one that " + ours.String() + " has signed", ""},
		"somebody's, not of the file": {Sign(other, false1), false, "has signed", ""},
	} {
		path := filepath.Join(f.dir, "plugins/a", SignatureFile)
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if c.text != nil {
			f.write("plugins/a/"+SignatureFile, string(c.text))
		}
		f.Trust.RequireSignature = c.require
		p, err := f.Read("a")
		switch {
		case c.want == "" && (err != nil || p.Vouched != c.vouched):
			t.Errorf("%s: %v, %+v", name, err, p)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A change of any byte of a signature file is found, and the fault has its line.
func TestSignatureFile(t *testing.T) {
	private, key := keyOf(3)
	text := Sign(private, map[string]string{"plugin.toml": Sum(nil), "a b.wasm": Sum([]byte("x"))})
	s, err := ParseSignature("plugin.sig", text)
	if err != nil || s.Key != key || len(s.Sums) != 2 || s.Sums["a b.wasm"] != Sum([]byte("x")) {
		t.Fatalf("%+v, %v\n%s", s, err, text)
	}
	for i := range text {
		changed := append([]byte(nil), text...)
		changed[i] ^= 1
		if _, err := ParseSignature("plugin.sig", changed); err == nil {
			t.Fatalf("byte %d was changed from %q", i, text[i])
		}
		if _, err := ParseSignature("plugin.sig", text[:i]); err == nil {
			t.Fatalf("cut to %d bytes", i)
		}
	}
	lines := strings.SplitAfter(string(text), "\n")
	for _, c := range []struct{ text, want string }{
		{"", "plugin.sig:1: not a signature"},
		{lines[0] + "sha256 xyz f\n", `plugin.sig:2: "xyz" is not a sha256`},
		{lines[0] + lines[1] + lines[1], "plugin.sig:3: the file \"a b.wasm\" is named twice"},
		{lines[0] + "size 3\n", "plugin.sig:2: want sha256 lines"},
		{lines[0] + "key rsa:x\n", `plugin.sig:2: "rsa:x" is not a public key`},
		{lines[0] + lines[3] + lines[3], "plugin.sig:3: want sha256 lines"},
		{strings.Join(lines[:4], ""), "the signature is missing"},
		{string(text) + "x\n", "plugin.sig:5: want sha256 lines"},
		{strings.Repeat("x", maxSignature+1), "larger than"},
	} {
		if _, err := ParseSignature("plugin.sig", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestPublicKey(t *testing.T) {
	_, k := keyOf(4)
	if back, err := ParsePublicKey(k.String()); err != nil || back != k {
		t.Errorf("%v %v", back, err)
	}
	for _, bad := range []string{"", "ed25519:", "ed25519:AAAA", k.String()[8:], k.String() + "=", k.String() + " "} {
		if _, err := ParsePublicKey(bad); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
}

// What a lock is written as is read again, and an artefact for another system is
// none for this one.
func TestLockAndArtefacts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plugins.lock")
	_, k := keyOf(5)
	l := Lock{Plugins: map[string]Locked{"a-b": {Version: "1", Key: k.String(), SHA256: map[string]string{"x y.wasm": Sum(nil), "in/s.json": Sum(nil)}}}}
	if err := l.Write(path); err != nil {
		t.Fatal(err)
	}
	back, err := ReadLock(path)
	if err != nil || fmt.Sprint(back.Plugins) != fmt.Sprint(l.Plugins) {
		t.Errorf("%v, %v", back, err)
	}
	for file, want := range map[string]bool{
		"a.wasm": true, "a": true, "a.exe": true, "a-linux-arm64": true, "a-windows-amd64.exe": true,
		"b.wasm": false, "a.wasm.old": false, "a-linux": false, "a.sig": false, "a-linux-arm64.wasm": false, "ab": false,
	} {
		if IsArtefact("a", file) != want {
			t.Errorf("%s: %v", file, !want)
		}
	}
	f := newFiles(t)
	f.write("plugins/a/plugin.toml", head+hookLine(contract.HookPublish, ""))
	f.write("plugins/a/a-plan9-mips", "x")
	if _, err := f.Read("a"); err == nil || !strings.Contains(err.Error(), "a-"+runtime.GOOS+"-"+runtime.GOARCH) {
		t.Errorf("%v", err)
	}
	f.write("plugins/a/a-"+runtime.GOOS+"-"+runtime.GOARCH, "x")
	if p, err := f.Read("a"); err != nil || p.Kind != KindProcess {
		t.Errorf("%+v %v", p, err)
	}
}

// Whatever parses as a signature was signed by the key that it names, and is written
// again as it was.
func FuzzParseSignature(f *testing.F) {
	private, _ := keyOf(6)
	f.Add(Sign(private, nil))
	f.Add(Sign(private, map[string]string{"plugin.toml": Sum(nil)}))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseSignature("plugin.sig", text)
		if err == nil && (s == nil || s.Key == PublicKey{}) {
			t.Fatalf("%q: %+v", text, s)
		}
	})
}
