package fuel

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// corpus is the engine's copy of the WASM specification's tests.
func corpus(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatalf("where is wazero? %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
}

// script is one file of the specification's tests.
type script struct {
	Commands []command `json:"commands"`
}

type command struct {
	Type     string `json:"type"`
	Line     int    `json:"line"`
	Filename string `json:"filename"`
	Action   struct {
		Type   string  `json:"type"`
		Module string  `json:"module"`
		Field  string  `json:"field"`
		Args   []value `json:"args"`
	} `json:"action"`
}

type value struct {
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

// args are the arguments of a call; ok is false for kinds this test leaves out.
func (c *command) args() (args []uint64, ok bool) {
	for _, a := range c.Action.Args {
		var text string
		if json.Unmarshal(a.Value, &text) != nil || !slices.Contains([]string{"i32", "i64", "f32", "f64"}, a.Type) {
			return nil, false
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, false
		}
		args = append(args, n)
	}
	return args, true
}

// world is a store in which the modules of one script live, as they are or charged.
type world struct {
	r       wazero.Runtime
	charged bool
	cur     api.Module
}

func newWorld(t *testing.T, dir string, charged bool) *world {
	ctx := context.Background()
	w := &world{charged: charged, r: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2))}
	code, err := os.ReadFile(filepath.Join(dir, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.r.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithName("spectest")); err != nil {
		t.Fatal(err)
	}
	return w
}

// load makes a module current; false: it is not valid or cannot be linked.
func (w *world) load(t *testing.T, code []byte) bool {
	w.cur = nil
	if w.charged {
		out, _, err := Rewrite(code, Config{Start: 1 << 40})
		if err != nil {
			return false
		}
		code = out
	}
	mod, err := w.r.InstantiateWithConfig(context.Background(), code, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return false
	}
	w.cur = mod
	return true
}

// call is the outcome of a call of the current module, in words.
func (w *world) call(name string, args []uint64) string {
	f := w.cur.ExportedFunction(name)
	if f == nil {
		return "no such function"
	}
	if g, ok := w.cur.ExportedGlobal(Global).(api.MutableGlobal); ok {
		g.Set(1 << 40)
	}
	res, err := f.Call(context.Background(), args...)
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return first
	}
	text := ""
	types := f.Definition().ResultTypes()
	for i, r := range res {
		if len(types) != len(res) { // vectors are two words
			types = make([]api.ValueType, len(res))
		}
		switch types[i] {
		case api.ValueTypeI32, api.ValueTypeF32:
			r = uint64(uint32(r))
		case api.ValueTypeExternref, typeFuncref:
			r = min(r, 1) // an address
		}
		text += strconv.FormatUint(r, 16) + " "
	}
	return text
}

// The specification's own tests have the same outcome before and after the
// rewrite: what is valid, what links, what each call returns or traps with.
func TestSpecificationTests(t *testing.T) {
	dir := corpus(t)
	modules, calls := 0, 0
	for _, pattern := range []string{"v1/testdata/*.json", "v2/testdata/*.json"} {
		files, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, file := range files {
			m, c := runScript(t, dir, file)
			modules, calls = modules+m, calls+c
		}
	}
	t.Logf("%d modules, %d calls", modules, calls)
	if modules < 1000 || calls < 20_000 {
		t.Errorf("only %d modules and %d calls: the corpus is not where it was", modules, calls)
	}
}

// different are tests that ask for what the pass refuses or drops: tables of
// 4 Gi elements, modules that bring a global or a table from another one that
// was charged, opcodes with padding, names of custom sections.
func different(file string) bool {
	return slices.Contains([]string{
		"table", "imports", "linking", "utf8-custom-section-id", "custom", "binary-leb128",
		"table_grow", "table_size", "table_get", "table_set", "table_fill",
	}, strings.TrimSuffix(filepath.Base(file), ".json"))
}

func runScript(t *testing.T, dir, file string) (modules, calls int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s script
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	plain, charged := newWorld(t, dir, false), newWorld(t, dir, true)
	defer func() {
		_ = plain.r.Close(context.Background())
		_ = charged.r.Close(context.Background())
	}()
	for i := range s.Commands {
		c := &s.Commands[i]
		if c.Filename != "" && strings.HasSuffix(c.Filename, ".wasm") {
			code, err := os.ReadFile(filepath.Join(filepath.Dir(file), c.Filename))
			if err != nil {
				t.Fatal(err)
			}
			modules++
			if a, b := plain.load(t, code), charged.load(t, code); a != b && !different(file) {
				t.Errorf("%s:%d: loads: %v, charged: %v", filepath.Base(file), c.Line, a, b)
			}
		}
		args, ok := c.args()
		if plain.cur == nil || charged.cur == nil || c.Action.Type != "invoke" || c.Action.Module != "" || !ok {
			continue
		}
		calls++
		a, b := plain.call(c.Action.Field, args), charged.call(c.Action.Field, args)
		switch {
		case a == "stack overflow": // the depth is used up, and a host calls no trapped guest
			plain.cur = nil
		case a != b:
			t.Errorf("%s:%d: %s%v: %s, charged: %s", filepath.Base(file), c.Line, c.Action.Field, args, a, b)
		}
	}
	return modules, calls
}
