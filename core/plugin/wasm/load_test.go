package wasm

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// renamed replaces a name in a module by one of the same length.
func renamed(t *testing.T, code []byte, from, to string) []byte {
	t.Helper()
	if len(from) != len(to) || !bytes.Contains(code, []byte(from)) {
		t.Fatalf("cannot rename %s to %s", from, to)
	}
	return bytes.ReplaceAll(code, []byte(from), []byte(to))
}

// A module that does not keep the contract is refused with the reason, before
// any of it has run.
func TestRefused(t *testing.T) {
	acts := read(t, "acts.wasm")
	all := spec(t, acts).Services
	for _, c := range []struct {
		name     string
		code     []byte
		services func(*plugin.Services)
		want     []string
	}{
		{"not a module", []byte("#!/bin/sh"), nil, []string{"not a core WASM module"}},
		{"cut short", acts[:len(acts)-9], nil, []string{"offset"}},
		{"no marker", renamed(t, acts, "dunlin_abi_v1", "dunlin_abi_v2"), nil, []string{"no export dunlin_abi_v1"}},
		{"missing export", renamed(t, acts, "dunlin_on", "dunlin_no"), nil, []string{`"dunlin_on"`}},
		{"no memory", renamed(t, acts, "memory", "memo_y"), nil, []string{`"memory"`}},
		{"forged fuel", renamed(t, acts, "memory", "__fuel"), nil, []string{`"__fuel"`}},
		{"wrong signatures", read(t, "signature.wasm"), nil, []string{
			"export dunlin_buf is (i32) -> (i64), not (i32) -> (i32)", "export dunlin_on is (i32) -> (i64)",
			"import dunlin_log.write is (i32 i32) -> (i32), not (i32 i32 i32) -> ()",
		}},
		{"unknown module", renamed(t, acts, "dunlin_kv", "dunlin_db"), nil, []string{`no module "dunlin_db"`}},
		{"unknown function", renamed(t, acts, "deliver", "destroy"), nil, []string{"dunlin_topicstore.destroy"}},
		{"unknown WASI function", renamed(t, acts, "path_open", "path_hack"), nil, []string{"path_hack"}},
		{"not granted", acts, func(s *plugin.Services) { *s = plugin.Services{} }, []string{`"publish"`, `"topicstore"`, `"metric"`, `"kv"`}},
		{"one not granted", acts, func(s *plugin.Services) { s.KV = nil }, []string{`the capability "kv" is not granted`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := spec(t, c.code)
			if s.Services = all; c.services != nil {
				c.services(&s.Services)
			}
			in, err := transport(t, 1).Open(context.Background(), s)
			if err == nil {
				_ = in.Close(context.Background())
				t.Fatal("it was loaded")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestWrongHash(t *testing.T) {
	s := spec(t, read(t, "acts.wasm"))
	s.SHA256 = strings.Repeat("0", 64)
	if _, err := transport(t, 1).Open(context.Background(), s); err == nil || !strings.Contains(err.Error(), "sha256") {
		t.Errorf("err = %v", err)
	}
}

// The guest's memory limit is the manifest's.
func TestMemoryLimit(t *testing.T) {
	s := spec(t, read(t, "acts.wasm"))
	s.Manifest = &manifest.Manifest{MemoryPages: 1}
	if _, err := transport(t, 1).Open(context.Background(), s); err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("err = %v", err)
	}
}

// The start section, _initialize and dunlin_init run in this order, and what
// they have against the configuration is the operator's to read.
func TestInit(t *testing.T) {
	for act, want := range []string{
		"", "configuration refused: no such user table", "dunlin_init: wasm error: unreachable", "dunlin_init: out of fuel",
		"dunlin_init: result of 255 bytes", "", "unreachable: no such user table",
	} {
		s := spec(t, read(t, "init.wasm"))
		s.Config = json.RawMessage(`{"act":` + string(rune('0'+act)) + `}`)
		start := time.Now()
		in, err := transport(t, 1).Open(context.Background(), s)
		switch {
		case want == "" && err != nil:
			t.Errorf("act %d: %v", act, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("act %d: %v, want %q", act, err, want)
		}
		if err == nil {
			_ = in.Close(context.Background())
		}
		t.Logf("act %d took %v", act, time.Since(start))
	}
}

// The buffer that a guest names must hold what it was asked for.
func TestBadBuffer(t *testing.T) {
	s := spec(t, read(t, "init.wasm"))
	s.Config = json.RawMessage(`{"a":"` + strings.Repeat("x", 40_000) + `","act":0}`)
	if _, err := transport(t, 1).Open(context.Background(), s); err == nil || !strings.Contains(err.Error(), "dunlin_buf") {
		t.Errorf("err = %v", err)
	}
}

// An empty verdict block is Next for every record.
func TestEmptyBlock(t *testing.T) {
	s := spec(t, read(t, "init.wasm"))
	s.Config = json.RawMessage(`{"act":0}`)
	p := open(t, 1, s)
	c := frame(1, 7, 7)
	call(t, p, c)
	for i := range 2 {
		if v, err := c.Verdict(i); err != nil || v.Action != contract.Next {
			t.Errorf("record %d: %v, %v", i, v.Action, err)
		}
	}
	if _, known := p.Hooks(); known {
		t.Error("the guest said nothing of hooks")
	}
}

// Compiled code is kept in a directory that is nobody else's.
func TestCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	for range 2 {
		tr, err := New(Config{Shards: 1, CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		in, err := tr.Open(context.Background(), spec(t, read(t, "acts.wasm")))
		if err != nil {
			t.Fatal(err)
		}
		_ = in.Close(context.Background())
	}
	st, err := os.Stat(dir)
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
	if len(files) != 1 {
		t.Errorf("cache holds %v", files)
	}
	file := filepath.Join(dir, "file")
	_ = os.WriteFile(file, nil, 0o600)
	if _, err := New(Config{CacheDir: file}); err == nil {
		t.Error("a file was taken for a directory")
	}
}

func TestEngineIsReported(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	s := spec(t, read(t, "acts.wasm"))
	s.Log = zap.New(core)
	open(t, 1, s)
	lines := logs.FilterMessage("WASM module loaded").All()
	if len(lines) != 1 || lines[0].ContextMap()["engine"] != transport(t, 1).Engine() {
		t.Errorf("log %v", lines)
	}
}

// The interpreter keeps the same contract, only slower.
func TestInterpreter(t *testing.T) {
	tr := transport(t, 1)
	tr.engine = EngineInterpreter
	in, err := tr.Open(context.Background(), spec(t, read(t, "acts.wasm")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(context.Background()) }()
	if v, err := one(t, in.(*Plugin), 1); err != nil || v.Action != contract.Allow {
		t.Errorf("%v, %v", v.Action, err)
	}
	if _, err := one(t, in.(*Plugin), 12); err == nil || !strings.Contains(err.Error(), "out of fuel") {
		t.Errorf("err = %v", err)
	}
}

// What a plugin can do without and was not granted is there and says "denied".
func TestDoneWithout(t *testing.T) {
	s := spec(t, read(t, "acts.wasm"))
	m := *s.Manifest
	m.Optional = []string{"kv", "metric"}
	s.Manifest, s.Services.KV, s.Services.Metrics = &m, nil, nil
	in, err := transport(t, 1).Open(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close(context.Background()) }()
	for module, functions := range hostFunctions {
		for name, f := range functions {
			stack := make([]uint64, 8)
			f.sig.deny(nil, stack)
			switch {
			case len(f.sig.results) == 0 && stack[0] != 0,
				len(f.sig.results) == 1 && f.sig.results[0] == i32 && int32(uint32(stack[0])) != int32(contract.ErrnoDenied),
				len(f.sig.results) == 1 && f.sig.results[0] == i64 && int64(stack[0]) != int64(contract.ErrnoDenied):
				t.Errorf("%s.%s: %x", module, name, stack[0])
			}
		}
	}
}
