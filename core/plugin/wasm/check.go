package wasm

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/plugin/wasm/fuel"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
	f64 = api.ValueTypeF64

	wasiModule = "wasi_snapshot_preview1"
	initialize = "_initialize"
)

// signature is a function type of the ABI.
type signature struct{ params, results []api.ValueType }

func sig(params ...api.ValueType) signature { return signature{params: params} }

func (s signature) returns(results ...api.ValueType) signature {
	s.results = results
	return s
}

func (s signature) matches(f api.FunctionDefinition) bool {
	return slices.Equal(s.params, f.ParamTypes()) && slices.Equal(s.results, f.ResultTypes())
}

func (s signature) String() string {
	name := func(ts []api.ValueType) string {
		var words []string
		for _, t := range ts {
			words = append(words, api.ValueTypeName(t))
		}
		return "(" + strings.Join(words, " ") + ")"
	}
	return name(s.params) + " -> " + name(s.results)
}

// export is one function that the ABI knows; contract C.4.
type export struct {
	name string
	sig  signature
	need bool
}

var exports = []export{
	{contract.ExportMarker, sig().returns(i64), true},
	{contract.ExportBuf, sig(i32).returns(i32), true},
	{contract.ExportInit, sig(i32).returns(i64), true},
	{contract.ExportOn, sig(i32, i32).returns(i64), true},
	{contract.ExportHooks, sig().returns(i64), false},
	{contract.ExportDrain, sig().returns(i64), false},
	{contract.ExportRestore, sig(i32).returns(i64), false},
	{contract.ExportCommand, sig(i32, i32).returns(i64), false},
	{initialize, sig(), false},
}

// capability is the word by which a module name is granted.
var capability = map[string]string{
	contract.ModuleLog: "log", contract.ModuleTime: "time", contract.ModulePending: "pending", contract.ModulePub: "publish",
	contract.ModuleTopicStore: "topicstore", contract.ModuleMetric: "metric", contract.ModuleKV: "kv",
	contract.ModuleTimer: "timer", contract.ModuleCache: "cache", contract.ModuleHTTP: "http", contract.ModuleHash: "hash", contract.ModuleSession: "session",
	contract.ModuleSchedule: "schedule", contract.ModuleWant: "want",
}

// Inspect checks a module that is about to be installed, and runs nothing of it: the
// bounds, the exports of the ABI, and that its imports are among the capabilities that
// its manifest asks for.
func Inspect(code []byte, m *manifest.Manifest) error {
	if len(code) > maxModule {
		return fmt.Errorf("module of %d bytes, at most %d", len(code), maxModule)
	}
	_, info, err := fuel.Rewrite(code, fuel.Config{Start: callUnits})
	if err != nil {
		return err
	}
	return checkImports(info, func(c string) string {
		if slices.Contains(asked, c) && !m.Wants(c) && !m.CanDoWithout(c) {
			return "is not asked for by the manifest"
		}
		return ""
	})
}

// asked are the capabilities that a manifest has to ask for; the others come by
// themselves.
var asked = []string{"publish", "topicstore", "metric", "kv", "timer", "http", "hash", "session", "schedule"}

// checkImports compares what the module asks for with what it may have. The
// import section is the permission request: nothing ran yet.
// refused says why a capability is not to be had; "": it is.
func checkImports(info *fuel.Info, refused func(capability string) string) error {
	var errs []error
	told := map[string]bool{}
	for _, im := range info.Imports {
		c, known := capability[im.Module]
		switch {
		case im.Kind != 0:
			errs = append(errs, fmt.Errorf("import of %s.%s: a plugin imports functions only", im.Module, im.Name))
		case im.Module == wasiModule:
			if _, ok := wasi[im.Name]; !ok {
				errs = append(errs, fmt.Errorf("import of %s.%s: there is no such function", im.Module, im.Name))
			}
		case !known:
			errs = append(errs, fmt.Errorf("import of %s.%s: this broker offers no module %q", im.Module, im.Name, im.Module))
		case hostFunctions[im.Module][im.Name].fn == nil:
			errs = append(errs, fmt.Errorf("import of %s.%s: there is no such function", im.Module, im.Name))
		case refused(c) != "" && !told[c]:
			told[c] = true
			errs = append(errs, fmt.Errorf("import of %s.%s: the capability %q %s", im.Module, im.Name, c, refused(c)))
		}
	}
	return errors.Join(append(errs, checkExports(info))...)
}

// denied says why a plugin may not have capability c; "": it may, or does without.
func denied(s *plugin.Spec, c string) string {
	if granted(c, &s.Services) || s.Manifest.CanDoWithout(c) {
		return ""
	}
	return "is not granted"
}

// granted tells whether the service behind capability c is there: an operator's
// grant puts it there.
func granted(c string, v *plugin.Services) bool {
	switch c {
	case "publish":
		return v.Publish != nil
	case "topicstore":
		return v.TopicStore
	case "metric":
		return v.Metrics != nil
	case "kv":
		return v.KV != nil
	case "timer":
		return v.Timer && v.Desk != nil
	case "http":
		return v.HTTP && v.Desk != nil
	case "hash":
		return v.Hash && v.Desk != nil
	case "session":
		return v.Sessions != nil
	case "schedule":
		return v.Later != nil
	}
	return true
}

// checkExports looks for what the ABI asks of every module.
func checkExports(info *fuel.Info) error {
	have := map[string]byte{}
	for _, ex := range info.Exports {
		have[ex.Name] = ex.Kind
	}
	if kind, ok := have[contract.ExportMarker]; !ok || kind != 0 {
		return fmt.Errorf("not a plugin for this broker: there is no export %s", contract.ExportMarker)
	}
	var errs []error
	if kind, ok := have["memory"]; !ok || kind != 2 {
		errs = append(errs, errors.New(`no memory is exported as "memory"`))
	}
	for _, ex := range exports {
		kind, ok := have[ex.name]
		if (ok && kind != 0) || (!ok && ex.need) {
			errs = append(errs, fmt.Errorf("no function is exported as %q", ex.name))
		}
	}
	return errors.Join(errs...)
}

// checkSignatures compares the types of exports and imports with the ABI's.
func checkSignatures(m wazero.CompiledModule) error {
	var errs []error
	defs := m.ExportedFunctions()
	for _, ex := range exports {
		if d := defs[ex.name]; d != nil && !ex.sig.matches(d) {
			got := signature{d.ParamTypes(), d.ResultTypes()}
			errs = append(errs, fmt.Errorf("export %s is %s, not %s", ex.name, got, ex.sig))
		}
	}
	for _, d := range m.ImportedFunctions() {
		module, name, _ := d.Import()
		want := hostFunctions[module][name].sig
		if module == wasiModule {
			want = wasi[name].sig
		}
		if !want.matches(d) {
			got := signature{d.ParamTypes(), d.ResultTypes()}
			errs = append(errs, fmt.Errorf("import %s.%s is %s, not %s", module, name, got, want))
		}
	}
	return errors.Join(errs...)
}
