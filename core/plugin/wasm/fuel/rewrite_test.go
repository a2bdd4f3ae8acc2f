package fuel

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// instance is a module in the engine, with the counter if it has one.
type instance struct {
	mod  api.Module
	fuel api.MutableGlobal
}

func (i *instance) set(units int64) { i.fuel.Set(uint64(units)) }
func (i *instance) left() int64     { return int64(i.fuel.Get()) }

// open instantiates a module; it must be valid.
func open(t testing.TB, code []byte) *instance {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2))
	t.Cleanup(func() { _ = r.Close(ctx) })
	_, err := r.NewHostModuleBuilder("env").NewFunctionBuilder().
		WithGoFunction(api.GoFunc(func(_ context.Context, s []uint64) { s[0] *= 2 }),
			[]api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI32}).
		Export("twice").Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := r.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	f, _ := mod.ExportedGlobal(Global).(api.MutableGlobal)
	return &instance{mod, f}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func rewritten(t testing.TB, code []byte) []byte {
	t.Helper()
	out, _, err := Rewrite(code, Config{Start: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Everything endless ends when a million units are used up, soon.
func TestEndlessGuestsStop(t *testing.T) {
	code := rewritten(t, read(t, "evil.wasm"))
	_, info, err := Rewrite(read(t, "evil.wasm"), Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, ex := range info.Exports {
		t.Run(ex.Name, func(t *testing.T) {
			in := open(t, code)
			in.set(1_000_000)
			start := time.Now()
			_, err := in.mod.ExportedFunction(ex.Name).Call(context.Background())
			took := time.Since(start)
			if err == nil {
				t.Fatal("it came to an end by itself")
			}
			deep := ex.Name == "recurse" || ex.Name == "indirect"
			if left := in.left(); left >= 0 && !deep {
				t.Fatalf("stopped with %d units left: %v", left, err)
			}
			t.Logf("stopped after %v: %s", took, strings.SplitN(err.Error(), "\n", 2)[0])
			if took > 10*time.Second { // alone on a machine: under 0.1 s
				t.Errorf("it ran for %v", took)
			}
			if n := in.mod.Memory(); n != nil && n.Size() > 16<<20 {
				t.Errorf("memory is %d", n.Size())
			}
		})
	}
}

type outcome struct {
	results []uint64
	err     string
}

func call(in *instance, name string, args ...uint64) outcome {
	res, err := in.mod.ExportedFunction(name).Call(context.Background(), args...)
	o := outcome{results: res}
	if err != nil {
		o.err = strings.SplitN(err.Error(), "\n", 2)[0]
	}
	return o
}

// What a guest computes is the same with and without charges.
func TestResultsAreUnchanged(t *testing.T) {
	code := read(t, "good.wasm")
	plain, charged := open(t, code), open(t, rewritten(t, code))
	charged.set(1_000_000)
	calls := []struct {
		name string
		args []uint64
	}{
		{"count", nil}, {"count", nil}, {"fac", []uint64{12}}, {"fac", []uint64{0}}, {"fib", []uint64{17}},
		{"pick", []uint64{0}}, {"pick", []uint64{1}}, {"pick", []uint64{2}}, {"pick", []uint64{77}},
		{"apply", []uint64{0, 3, 4}}, {"apply", []uint64{1, 3, 4}}, {"apply", []uint64{3, 3, 4}}, {"apply", []uint64{9, 3, 4}},
		{"swap", []uint64{1, 2}}, {"sum3", []uint64{40}}, {"bulk", []uint64{9}}, {"bulk", []uint64{9}},
		{"tables", nil}, {"tables", nil}, {"grow", []uint64{1}}, {"grow", []uint64{100}}, {"floats", []uint64{math.Float64bits(200)}},
		{"simd", []uint64{5}}, {"dead", nil},
	}
	for _, c := range calls {
		want, got := call(plain, c.name, c.args...), call(charged, c.name, c.args...)
		if want.err != got.err || len(want.results) != len(got.results) {
			t.Fatalf("%s%v: %v, charged %v", c.name, c.args, want, got)
		}
		for i := range want.results {
			if want.results[i] != got.results[i] {
				t.Errorf("%s%v: %v, charged %v", c.name, c.args, want, got)
			}
		}
	}
	a, _ := plain.mod.Memory().Read(0, 1024)
	b, _ := charged.mod.Memory().Read(0, 1024)
	if !bytes.Equal(a, b) {
		t.Error("memories differ")
	}
	if g := charged.mod.ExportedGlobal("answer").Get(); g != 42 {
		t.Errorf("exported global = %d", g)
	}
	if left := charged.left(); left <= 0 || left >= 1_000_000 {
		t.Errorf("%d units left", left)
	}
}

// The initial value is the budget of the start section.
func TestStartSectionIsCharged(t *testing.T) {
	code := read(t, "good.wasm")
	out, _, err := Rewrite(code, Config{Start: 0})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	defer r.Close(ctx)
	_, _ = r.NewHostModuleBuilder("env").NewFunctionBuilder().WithFunc(func(a uint32) uint32 { return a }).Export("twice").Instantiate(ctx)
	if _, err := r.Instantiate(ctx, out); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Fatalf("start ran with no fuel: %v", err)
	}
	if in := open(t, rewritten(t, code)); in.left() != 999 {
		t.Errorf("start left %d of 1000 units", in.left())
	}
}

// Fuel is used in proportion to work, and the counter is exact.
func TestConsumptionIsDeterministic(t *testing.T) {
	in := open(t, rewritten(t, read(t, "good.wasm")))
	used := func(name string, args ...uint64) int64 {
		in.set(1 << 40)
		if o := call(in, name, args...); o.err != "" {
			t.Fatal(o.err)
		}
		return 1<<40 - in.left()
	}
	if a, b := used("fac", 10), used("fac", 20); b-a != 10 {
		t.Errorf("10 more rounds cost %d", b-a)
	}
	if n := used("fib", 10); n != 177 {
		t.Errorf("177 calls cost %d", n)
	}
	if n := used("grow", 1); n < pageUnits || n > pageUnits+4 {
		t.Errorf("a page costs %d", n)
	}
}

func TestCustomSection(t *testing.T) {
	code := read(t, "good.wasm")
	with := append(bytes.Clone(code), 0, 8, 3, 'a', 'b', 'c', 'x', 'y', 'z', '!')
	if got := Custom(with, "abc"); string(got) != "xyz!" {
		t.Errorf("section = %q", got)
	}
	for _, b := range [][]byte{code, nil, code[:40], with[:len(with)-1]} {
		if got := Custom(b, "abc"); got != nil {
			t.Errorf("section = %q", got)
		}
	}
	out := rewritten(t, with)
	if bytes.Contains(out, []byte("xyz!")) {
		t.Error("custom section was kept")
	}
	if !bytes.Equal(out, rewritten(t, code)) {
		t.Error("a custom section changes the result")
	}
}

func TestInfo(t *testing.T) {
	_, info, err := Rewrite(read(t, "good.wasm"), Config{})
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Imports) != 1 || info.Imports[0] != (Import{"env", "twice", kindFunc}) {
		t.Errorf("imports %v", info.Imports)
	}
	if len(info.Exports) < 14 || info.Exports[0].Name != "memory" || info.Exports[0].Kind != kindMemory {
		t.Errorf("exports %v", info.Exports)
	}
	if info.Functions < 14 || info.Charges < info.Functions {
		t.Errorf("%d functions, %d charges", info.Functions, info.Charges)
	}
}

// A rewritten module is refused: it exports the counter.
func TestTwice(t *testing.T) {
	_, _, err := Rewrite(rewritten(t, read(t, "good.wasm")), Config{})
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Msg, Global) {
		t.Errorf("err = %v", err)
	}
}
