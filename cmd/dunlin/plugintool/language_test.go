package plugintool

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin"
)

// workshop is a folder where npm's packages are found.
func workshop(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	modules, err := filepath.Abs("../../../pluginsdk/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(modules); err != nil {
		t.Fatalf("%v: run npm ci --prefix pluginsdk", err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// made scaffolds and builds a plugin.
func made(t *testing.T, dir, lang, example string) string {
	t.Helper()
	at := filepath.Join(dir, lang+"-"+example)
	if err := New(at, lang+"-"+example, lang, example); err != nil {
		t.Fatal(err)
	}
	b, err := Build(t.Context(), at, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if b.Language != lang || b.Bytes == 0 {
		t.Errorf("%+v", b)
	}
	return b.Artefact
}

// passes runs the scenario of a plugin that made has built.
func passes(t *testing.T, target *Target) {
	t.Helper()
	s, err := ReadScenario(filepath.Join(filepath.Dir(target.Path), "..", "..", "scenario.toml"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := target.Test(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Failures) > 0 || res.Records < 70 {
		t.Errorf("%d records, failures %+v", res.Records, res.Failures)
	}
}

// ofAll builds an example of each language and runs its scenario. A compiler takes
// seconds, so each example is built once in all: rewrite by [TestSDKsConform].
func ofAll(t *testing.T, example string) {
	t.Setenv("GOPROXY", "off")
	dir := workshop(t)
	for _, l := range Languages() {
		t.Run(l.Name, func(t *testing.T) {
			passes(t, &Target{Path: made(t, dir, l.Name, example), CacheDir: cache(t)})
		})
	}
}

// A new plugin of each language builds without a download and gives the verdicts
// of the one scenario.
func TestScaffoldsBuildAndPass(t *testing.T) { ofAll(t, "auth") }

func TestAccessExamplesPass(t *testing.T) { ofAll(t, "acl") }

func cache(t *testing.T) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		return t.TempDir()
	}
	return filepath.Join(dir, "dunlin", "plugins")
}

// An example fits on a screen.
func TestExamplesAreShort(t *testing.T) {
	for _, l := range Languages() {
		for _, example := range Examples() {
			path := strings.Replace("pluginsdk/"+l.example, "%s", example, 1)
			text, err := dunlin.SDK.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			if n := bytes.Count(text, []byte("\n")); n > 30 {
				t.Errorf("%s has %d lines", path, n)
			}
		}
	}
}

// Without a compiler the error names the package that has it, once.
func TestMissingToolchain(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for lang, want := range map[string]string{
		"go": "Go 1.26 or later", "assemblyscript": "npm install (the package assemblyscript)", "c": "clang: apt-get install clang; wasm-ld: apt-get install lld",
		"rust": "apt-get install lld", "node": "apt-get install nodejs", "python": "apt-get install python3",
	} {
		at := filepath.Join(dir, lang)
		if err := New(at, "p", lang, "acl"); err != nil {
			t.Fatal(err)
		}
		_, err := Build(t.Context(), at, "", false)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", lang, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ at, name, lang, example, want string }{
		{"a", "Acme", "go", "auth", "not a plugin name"},
		{"a", "acme", "cobol", "auth", `no language "cobol"; there are go, assemblyscript`},
		{"a", "acme", "go", "nothing", `no example "nothing"; there are auth, acl, rewrite`},
		{"", "acme", "go", "auth", "exists already"},
	} {
		err := New(filepath.Join(dir, c.at), c.name, c.lang, c.example)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := Build(t.Context(), dir, "", false); err == nil || !strings.Contains(err.Error(), "there is no source") {
		t.Errorf("an empty folder: %v", err)
	}
}

// A compiler's complaint reaches the author, with the command.
func TestBuildShowsTheCompilersError(t *testing.T) {
	at := filepath.Join(t.TempDir(), "p")
	if err := New(at, "p", "c", "acl"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(at, "plugin.c"), []byte("#include \"dunlin.h\"\nint broken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Build(t.Context(), at, "", false)
	if err == nil || !strings.Contains(err.Error(), "clang --target=wasm32") || !strings.Contains(err.Error(), "expected ';'") {
		t.Errorf("%v", err)
	}
	if _, err := Build(t.Context(), at, "", true); err == nil || !strings.Contains(err.Error(), "becomes a module") {
		t.Errorf("a process in C: %v", err)
	}
}
