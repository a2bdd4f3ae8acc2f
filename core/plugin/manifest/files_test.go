package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

func TestParseLoaded(t *testing.T) {
	text := "\xef\xbb\xbf% EMQ X 4's file\n{emqx_retainer, true}.\n\n  {acl,true} . % spaced\r\nrecon.\n{dashboard, false}.\n{'acme-auth', true}.\n{acl, false}.\n"
	l, err := ParseLoaded("lp", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range l.Entries {
		got = append(got, e.Name)
	}
	if want := []string{"retainer", "recon", "dashboard", "acme-auth", "acl"}; !slices.Equal(got, want) {
		t.Errorf("entries %v, want %v", got, want)
	}
	if want := []string{"retainer", "recon", "acme-auth"}; !slices.Equal(l.Names(), want) {
		t.Errorf("names %v, want %v", l.Names(), want)
	}
	notes := strings.Join(l.Notes, "\n")
	if !strings.Contains(notes, "lp:2: emqx_retainer is retainer here") || !strings.Contains(notes, "lp:8: acl overrides line 4") {
		t.Errorf("notes %s", notes)
	}
}

// Every fault is reported with its line.
func TestParseLoadedFaults(t *testing.T) {
	text := "{a, true}\n{b, yes}.\nok.\n{c true}.\n{D, true}.\n{, true}.\n../x.\n{e, true}. {f, true}.\n"
	_, err := ParseLoaded("lp", []byte(text))
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		"lp:1: ", "full stop", "lp:2: ", `"yes" is neither true nor false`, "lp:4: ", "want {name, true}.", "lp:5: ", "not a plugin name",
		"lp:6: ", "not a plugin name", "lp:7: ", "not a plugin name", "lp:8: ", "",
	} {
		if !strings.Contains(lines[i/2], want) {
			t.Errorf("fault %d: %s, want %s", i/2, lines[i/2], want)
		}
	}
}

func TestLoadedSet(t *testing.T) {
	l, err := ParseLoaded("lp", []byte("  {a, true}.  % why\r\nb."))
	if err != nil {
		t.Fatal(err)
	}
	l.Set("a", false)
	l.Set("b", true) // already
	l.Set("c", true)
	l.Set("b", false)
	if want := "  {a, false}. % why\n{b, false}.\n{c, true}.\n"; string(l.Text()) != want {
		t.Errorf("%q, want %q", l.Text(), want)
	}
}

// The file is replaced in one step, with its mode.
func TestLoadedWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "loaded_plugins")
	if l, err := ReadLoaded(path); err != nil || len(l.Entries) != 0 {
		t.Errorf("a missing file: %v, %v", l, err)
	}
	if err := os.WriteFile(path, []byte("a.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := ReadLoaded(path)
	if err != nil {
		t.Fatal(err)
	}
	l.Set("b", true)
	if err := l.Write(path); err != nil {
		t.Fatal(err)
	}
	fi, _ := os.Stat(path)
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if text, _ := os.ReadFile(path); string(text) != "a.\n{b, true}.\n" || fi.Mode().Perm() != 0o600 || len(left) != 0 {
		t.Errorf("%q, mode %v, left %v", text, fi.Mode(), left)
	}
	if err := l.Write(filepath.Join(path, "no", "directory")); err == nil {
		t.Error("no error")
	}
}

// Whatever parses can be edited, and what was written parses to the same.
func FuzzParseLoaded(f *testing.F) {
	for _, s := range []string{"", "a.", "{a, true}.\n", "{emqx_b,false}. % c\n", "'x-y'.\r\n", "%", "{a,true}.\n{a,false}.\n", "\xef\xbb\xbfa."} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := ParseLoaded("lp", text)
		if err != nil {
			return
		}
		names := append(l.Names(), "added")
		names = slices.DeleteFunc(names, func(n string) bool { return n == "added" })
		l.Set("added", false)
		l.Set("added", true)
		again, err := ParseLoaded("lp", l.Text())
		if err != nil {
			t.Fatalf("%q became %q: %v", text, l.Text(), err)
		}
		got := slices.DeleteFunc(again.Names(), func(n string) bool { return n == "added" })
		if !slices.Equal(got, names) || again.Index("added") < 0 || !again.Entries[again.Index("added")].On {
			t.Fatalf("%q became %q: %v, want %v", text, l.Text(), again.Names(), names)
		}
	})
}

const goodManifest = `name = "acme-auth"
version = "1.4.0"
abi = 1
capabilities = ["kv", "metric"]
state = "per-connection"
memory_pages = 256
hook = [
  { name = "authenticate", class = "intercept", on_error = "deny", timeout = "3s" },
  { name = "acl", class = "intercept", filters = ["acme/#"], fields = ["username", "topic"] },
]
config_schema = "schema.json"
`

func TestParseManifest(t *testing.T) {
	m, err := ParseManifest("plugin.toml", []byte(goodManifest))
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "acme-auth" || m.Fuel != 1_000_000 || m.MemoryPages != 256 || len(m.Hooks) != 2 || m.Hooks[1].Filters[0] != "acme/#" {
		t.Errorf("%+v", m)
	}
	if h := m.Hooks; time.Duration(h[0].Timeout) != 3*time.Second || h[0].OnError != OnErrorDeny || h[1].Timeout != 0 || len(h[1].Fields) != 2 {
		t.Errorf("%+v", h)
	}
}

// Each fault names file and line.
func TestManifestFaults(t *testing.T) {
	for _, tc := range []struct{ old, put, want string }{
		{`abi = 1`, `abi = 2`, "plugin.toml:3: abi = 2: this broker speaks 1"},
		{`abi = 1`, `abi = "1"`, "plugin.toml:3: "},
		{`abi = 1`, `abi = `, "plugin.toml:3: "},
		{`version = "1.4.0"`, ``, "version is missing"},
		{`name = "acme-auth"`, `name = "Acme"`, `plugin.toml:1: "Acme" is not a plugin name`},
		{`state = "per-connection"`, `stat = "x"`, `plugin.toml:5: unknown key "stat"; did you mean "state"?`},
		{`state = "per-connection"`, `state = "x"`, `plugin.toml:5: state = "x"`},
		{`memory_pages = 256`, `memory_pages = 0`, "plugin.toml:6: memory_pages = 0"},
		{`"kv"`, `"http:ftp://x"`, `plugin.toml:4: capability "http:ftp://x": "ftp://x": want http://host[:port] or https://host[:port]`},
		{`"kv"`, `"kv:ever"`, `capability "kv:ever": there is no such capability`},
		{`"kv"`, `"publsh"`, `there is no such capability; did you mean "publish"?`},
		{`name = "acl"`, `name = "ackl"`, `there is no such hook; did you mean "acl"?`},
		{`name = "acl"`, `name = "timer"`, `answers come by themselves`},
		{`name = "acl"`, `name = "authenticate"`, "registered twice"},
		{`"acme/#"`, `"acme/#/x"`, `filter "acme/#/x"`},
		{`"username", "topic"`, `"usrname"`, `there is no "usrname"; did you mean "username"?`},
		{`on_error = "deny"`, `on_error = "drop"`, `on_error = "drop": want one of`},
		{`on_error = "deny"`, `onerror = "deny"`, `plugin.toml:8: unknown key "hook.onerror"; did you mean "on_error"?`},
		{`timeout = "3s"`, `timeout = "soon"`, "is not a time span"},
		{`timeout = "3s"`, `timeout = "-3s"`, "is negative"},
		{`timeout = "3s"`, `filters = ["a"]`, "have no topic"},
		{`timeout = "3s"`, `when = { qos_min = 3, protocol = "6" }`, "qos_min = 3"},
		{`class = "intercept", filters`, `class = "observe", filters`, `class = "observe": this hook is of class "intercept"`},
		{`"schema.json"`, `"../schema.json"`, "plugin.toml:11: config_schema"},
	} {
		text := strings.Replace(goodManifest, tc.old, tc.put, 1)
		if _, err := ParseManifest("plugin.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %s", tc.put, err, tc.want)
		}
	}
	if _, err := ParseManifest("m", []byte("name = \"a\"\nversion = \"1\"\nabi = 1\nhook = [ { name = \"retained_store\", class = \"provide\" } ]")); err == nil || !strings.Contains(err.Error(), "topicstore") {
		t.Errorf("error %v", err)
	}
	if _, err := ParseManifest("m", []byte("name = \"a\"\nversion = \"1\"\nabi = 1\n")); err == nil || !strings.Contains(err.Error(), "no hook") {
		t.Errorf("error %v", err)
	}
}

// files is a directory with plugins and operator files.
type files struct {
	Source
	t   *testing.T
	dir string
}

func newFiles(t *testing.T) *files {
	dir := t.TempDir()
	return &files{t: t, dir: dir, Source: Source{
		Dirs: []string{filepath.Join(dir, "none"), filepath.Join(dir, "plugins")}, ConfigDir: filepath.Join(dir, "etc"),
		Trust: Trust{AllowUnpinned: true}, Secrets: Secrets{Env: os.LookupEnv, Dir: dir},
	}}
}

// write puts a file below the directory.
func (f *files) write(name, text string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// wasmHead is a module without sections.
const wasmHead = "\x00asm\x01\x00\x00\x00"

// head is what every manifest of plugin a begins with.
const head = "name = \"a\"\nversion = \"1.0.0\"\nabi = 1\n"

// hookLine is a manifest with one hook.
func hookLine(h contract.Hook, more string) string {
	return fmt.Sprintf("hook = [ { name = %q, class = %q%s } ]\n", h, h.Class(), more)
}

// failure reads one plugin "a" with an operator file and returns the error.
func failure(t *testing.T, manifest, operator string, change func(f *files)) (string, *Package) {
	t.Helper()
	f := newFiles(t)
	f.write("plugins/a/plugin.toml", head+manifest)
	f.write("plugins/a/a.wasm", wasmHead)
	f.write("etc/a.toml", operator)
	if change != nil {
		change(f)
	}
	p, err := f.Read("a")
	if err != nil {
		return err.Error(), nil
	}
	return "", p
}

const schema = `{"type":"object","additionalProperties":false,"required":["issuer"],
 "properties":{"issuer":{"type":"string","pattern":"^https:"},"limit":{"type":"integer","minimum":1},"deep":{"type":"object","properties":{"n":{"type":"integer"}}}}}`

// What the operator configures: grants, pins, overrides, settings, secrets.
func TestOperator(t *testing.T) {
	pub := hookLine(contract.HookPublish, "")
	withSchema := "config_schema = \"schema.json\"\n" + pub
	put := func(f *files) { f.write("plugins/a/schema.json", schema) }
	secret := func(f *files) {
		put(f)
		f.write("secret", "s3cret\n")
		f.t.Setenv("DUNLIN_TEST_ISSUER", "https://x")
	}
	pin := "[plugin]\nsha256 = \"" + Sum([]byte(wasmHead)) + "\"\n"
	unpinned := func(f *files) { f.Trust.AllowUnpinned = false }
	for name, tc := range map[string]struct {
		manifest, operator string
		change             func(*files)
		want               string
	}{
		"no operator file":   {pub, "", nil, ""},
		"granted":            {"capabilities = [\"kv\", \"log\"]\n" + pub, "[plugin]\ngrant = [\"kv\"]\n", nil, ""},
		"done without":       {"capabilities = [\"kv\"]\noptional = [\"http\", \"timer\"]\n" + pub, "[plugin]\ngrant = [\"kv\"]\n", nil, ""},
		"optional unknown":   {"optional = [\"kx\"]\n" + pub, "", nil, `capability "kx": there is no such capability`},
		"optional twice":     {"capabilities = [\"kv\"]\noptional = [\"kv\"]\n" + pub, "[plugin]\ngrant = [\"kv\"]\n", nil, `"kv" is asked for already`},
		"not granted":        {"capabilities = [\"kv\", \"publish\"]\n" + pub, "[plugin]\ngrant = [\"kv\"]\n", nil, `the plugin asks for "publish": add it to grant`},
		"bad grant":          {pub, "[plugin]\n\ngrant = [\"kx\"]\n", nil, `a.toml:3: capability "kx": there is no such capability; did you mean "kv"?`},
		"unknown key":        {pub, "[plugin]\ngrnat = []\n", nil, `a.toml:2: unknown key "plugin.grnat"; did you mean "grant"?`},
		"pinned":             {pub, pin, unpinned, ""},
		"not pinned":         {pub, "", unpinned, "nobody vouches for the file"},
		"another pin":        {pub, "[plugin]\nsha256 = \"" + strings.Repeat("0", 64) + "\"\n", nil, "has " + Sum([]byte(wasmHead)) + ": put the old file back"},
		"bad pin":            {pub, "[plugin]\nsha256 = \"xyz\"\n", nil, "a.toml:2: sha256 is not 64 hex digits"},
		"bad transport":      {pub, "[plugin]\ntransport = \"rpc\"\n", nil, "want wasm or process"},
		"no such transport":  {pub, "[plugin]\ntransport = \"process\"\n", nil, "looked for"},
		"override":           {pub, "[plugin.hook.publish]\nfilters = [\"a/#\"]\non_error = \"next\"\ntimeout = \"2s\"\n", nil, ""},
		"override of other":  {pub, "[plugin]\n[plugin.hook.acl]\non_error = \"deny\"\n", nil, `a.toml:2: a does not use the hook "acl"`},
		"bad override":       {pub, "[plugin.hook.publish]\non_error = \"maybe\"\n", nil, `a.toml:1: hook "publish": on_error = "maybe"`},
		"override of fields": {pub, "[plugin.hook.publish]\nfields = [\"topic\"]\n", nil, "are the manifest's"},
		"settings":           {withSchema, "[config]\nissuer = \"https://x\"\nlimit = 3\n", put, ""},
		"missing setting":    {withSchema, "\n[config]\nlimit = 3\n", put, "a.toml:2: config: missing property 'issuer'"},
		"bad setting":        {withSchema, "[config]\nissuer = \"https://x\"\nlimit = 0\n", put, "a.toml:3: config.limit: "},
		"deep setting":       {withSchema, "[config]\nissuer = \"https://x\"\n[config.deep]\n\nn = \"x\"\n", put, "a.toml:5: config.deep.n: got string, want integer"},
		"unknown setting":    {withSchema, "[config]\nissuer = \"https://x\"\nlimt = 0\n", put, "'limt' not allowed"},
		"no schema":          {withSchema, "", nil, "schema.json"},
		"bad schema":         {withSchema, "", func(f *files) { f.write("plugins/a/schema.json", `{"type":7}`) }, "schema.json"},
		"outside schema":     {withSchema, "", func(f *files) { f.write("plugins/a/schema.json", `{"$ref":"file:///etc/passwd"}`) }, "not followed"},
		"secrets":            {withSchema, "[config]\nissuer = \"${env:DUNLIN_TEST_ISSUER}/${file:secret}\"\n", secret, ""},
		"secret not shown":   {withSchema, "[config]\nissuer = \"${file:secret}\"\n", secret, "'***' does not match pattern"},
		"no variable":        {withSchema, "[config]\nissuer = \"${env:DUNLIN_TEST_NONE}\"\n", secret, "a.toml:2: ${env:DUNLIN_TEST_NONE}: the variable is not set"},
		"no file":            {withSchema, "[config]\nissuer = \"${file:none}\"\n", secret, "a.toml:2: ${file:none}: "},
		"bad reference":      {withSchema, "[config]\nissuer = \"${vault:x}\"\n", secret, "want ${env:NAME} or ${file:PATH}"},
		"open reference":     {withSchema, "[config]\nissuer = \"${env:x\"\n", secret, "the closing } is missing"},
		"another name":       {pub, "", func(f *files) { f.write("plugins/a/plugin.toml", goodManifest) }, `but loaded_plugins calls it "a"`},
		"not a module":       {pub, "", func(f *files) { f.write("plugins/a/a.wasm", "ELF") }, "not a WASM module"},
	} {
		got, _ := failure(t, tc.manifest, tc.operator, tc.change)
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%s: error %q, want %q", name, got, tc.want)
		}
	}
}

// A WASM module may carry its manifest; beside a plugin.toml it must be equal.
func TestManifestInside(t *testing.T) {
	text := head + hookLine(contract.HookPublish, "")
	section := func(text string) string {
		body := string(rune(len(manifestSection))) + manifestSection + text
		return wasmHead + "\x01\x02xx" + "\x00" + string([]byte{byte(len(body)&0x7f | 0x80), byte(len(body) >> 7)}) + body
	}
	got, err := findManifest([]byte(section(text)))
	if err != nil || string(got) != text {
		t.Fatalf("%q, %v", got, err)
	}
	for n := range len(section(text)) {
		if got, err := findManifest([]byte(section(text)[:n])); err == nil && got != nil {
			t.Errorf("found in %d bytes", n)
		}
	}
	pub := hookLine(contract.HookPublish, "")
	inside := func(f *files) {
		f.write("plugins/a/a.wasm", section(text))
		_ = os.Remove(filepath.Join(f.dir, "plugins/a/plugin.toml"))
	}
	if err, _ := failure(t, pub, "", inside); err != "" {
		t.Error(err)
	}
	both := func(f *files) { f.write("plugins/a/a.wasm", section(text)) }
	if err, _ := failure(t, pub, "", both); err != "" {
		t.Error(err)
	}
	differ := func(f *files) { f.write("plugins/a/a.wasm", section(text+"#")) }
	if err, _ := failure(t, pub, "", differ); !strings.Contains(err, "differ") {
		t.Errorf("error %q", err)
	}
}

// A plugin has those of its optional capabilities that the operator grants.
func TestOptionalCapabilities(t *testing.T) {
	m := &Manifest{Capabilities: []string{"kv"}, Optional: []string{"http", "timer", "kv:durable"}}
	got := m.granted([]string{"kv", "http:https://a", "publish"})
	if !slices.Equal(got.Capabilities, []string{"kv", "http"}) || !got.Wants("http") || !got.CanDoWithout("timer") || got.CanDoWithout("publish") || len(m.Capabilities) != 1 {
		t.Errorf("%v, from %v", got.Capabilities, m.Capabilities)
	}
}
