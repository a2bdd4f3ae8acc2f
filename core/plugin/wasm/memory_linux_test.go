package wasm

import (
	"bytes"
	"context"
	"math/bits"
	"os"
	"strconv"
	"testing"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// addresses is how many bytes of address space this process holds.
func addresses(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(string(bytes.Fields(b)[0]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n * int64(os.Getpagesize())
}

// What a guest had goes back when it traps, when its module turns out to be bad, and
// when the plugin is closed. The guests here may grow to 4 GiB, so that one that is
// kept shows beside all else.
func TestMemoryIsGivenBack(t *testing.T) {
	if bits.UintSize < 64 {
		t.Log("guests live in the heap here")
		return
	}
	const guest, slack = 4 << 30, 2 << 30
	before := addresses(t)
	s := spec(t, read(t, "acts.wasm"))
	s.Manifest = &manifest.Manifest{MemoryPages: guest >> 16}
	p := open(t, 1, s)
	if n := addresses(t) - before; n < guest || n > guest+slack {
		t.Errorf("one guest holds %d bytes of addresses", n)
	}
	for key := range uint64(5) {
		c := frame(100+key, 10)
		call(t, p, c)
		if _, err := c.Verdict(0); err == nil {
			t.Fatal("it did not trap")
		}
	}
	if v, err := one(t, p, 1); err != nil || v.Action != contract.Allow {
		t.Fatalf("%v, %v", v.Action, err)
	}
	if n := addresses(t) - before; n > guest+slack {
		t.Errorf("a guest after %d traps holds %d bytes of addresses", p.Status().Faults, n)
	}
	_ = p.Close(context.Background())
	for range 3 {
		bad := spec(t, read(t, "init.wasm"))
		bad.Manifest, bad.Config = s.Manifest, []byte(`{"act":2}`)
		if _, err := transport(t, 1).Open(context.Background(), bad); err == nil {
			t.Fatal("a guest that traps at its start was loaded")
		}
	}
	if n := addresses(t) - before; n > slack {
		t.Errorf("%d bytes of addresses are left", n)
	}
}
