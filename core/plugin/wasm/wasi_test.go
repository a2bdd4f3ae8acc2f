package wasm

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// bare is a guest to call host functions of, with plenty of fuel, and its log.
func bare(t *testing.T) (*guest, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	s := spec(t, read(t, "acts.wasm"))
	s.Log = zap.New(core)
	g := open(t, 1, s).shards[0].g
	g.fuel.Set(1 << 40)
	logs.TakeAll()
	return g, logs
}

// sys calls a WASI function; negative arguments stand for garbage in the upper
// half of an i32.
func sys(g *guest, name string, args ...uint64) uint32 {
	stack := make([]uint64, max(1, len(args)))
	for i, a := range args {
		stack[i] = a | 0xdead<<32
	}
	if name == "clock_time_get" {
		stack[1] = args[1]
	}
	wasi[name].fn(g, stack)
	return uint32(stack[0])
}

// write puts bytes into the guest's memory.
func write(t *testing.T, g *guest, at uint32, b []byte) {
	t.Helper()
	if !g.mem.Write(at, b) {
		t.Fatal("out of memory bounds")
	}
}

func word(t *testing.T, g *guest, at uint32) uint32 {
	t.Helper()
	v, ok := g.mem.ReadUint32Le(at)
	if !ok {
		t.Fatal("out of memory bounds")
	}
	return v
}

const beyond = 0xfffffff0 // no memory reaches so far

func TestFdWrite(t *testing.T) {
	g, logs := bare(t)
	iovec := func(at uint32, parts ...string) {
		p := uint32(9000)
		for i, s := range parts {
			write(t, g, p, []byte(s))
			var v [8]byte
			binary.LittleEndian.PutUint32(v[:], p)
			binary.LittleEndian.PutUint32(v[4:], uint32(len(s)))
			write(t, g, at+uint32(i)*8, v[:])
			p += uint32(len(s))
		}
	}
	iovec(8000, "one line\nand half", " of another\n", "and a rest")
	if got := sys(g, "fd_write", 1, 8000, 3, 8200); got != wasiOK || word(t, g, 8200) != 39 {
		t.Errorf("fd_write = %d, %d bytes", got, word(t, g, 8200))
	}
	g.flushLine()
	var lines []string
	for _, e := range logs.TakeAll() {
		lines = append(lines, e.Message)
	}
	if got := strings.Join(lines, "|"); got != "one line|and half of another|and a rest" {
		t.Errorf("lines %q", got)
	}
	for _, c := range []struct {
		args []uint64
		want uint32
	}{
		{[]uint64{0, 8000, 1, 8200}, wasiBadf}, {[]uint64{3, 8000, 1, 8200}, wasiBadf},
		{[]uint64{1, beyond, 1, 8200}, wasiFault}, {[]uint64{1, 8000, 1, beyond}, wasiFault},
		{[]uint64{1, 8000, 4096, 8200}, wasiInval}, {[]uint64{2, 8000, 0, 8200}, wasiOK},
		{[]uint64{1, 104, 1, 8200}, wasiFault}, // an iovec that points beyond the memory
	} {
		if got := sys(g, "fd_write", c.args...); got != c.want {
			t.Errorf("fd_write%v = %d, want %d", c.args, got, c.want)
		}
	}
}

// A line without an end is cut, and a line in the log has a price.
func TestLongOutput(t *testing.T) {
	g, logs := bare(t)
	g.print(2, bytes.Repeat([]byte("x"), 100_000))
	g.print(2, []byte("\n\n\n"))
	if n := logs.Len(); n != 1 {
		t.Fatalf("%d lines", n)
	}
	if n := len(logs.All()[0].Message); n > maxText+40 {
		t.Errorf("a line of %d bytes", n)
	}
	if len(g.said.text()) > 540 || cap(g.line) > 2*maxLine {
		t.Errorf("kept %d and %d bytes", len(g.said.text()), cap(g.line))
	}
	before := int64(g.fuel.Get())
	g.print(1, bytes.Repeat([]byte("y\n"), 100))
	if used := before - int64(g.fuel.Get()); used < 100*hostUnits {
		t.Errorf("100 lines cost %d", used)
	}
}

func TestClocks(t *testing.T) {
	g, _ := bare(t)
	read := func() uint64 {
		v, _ := g.mem.ReadUint64Le(8000)
		return v
	}
	if got := sys(g, "clock_time_get", 0, 1, 8000); got != wasiOK || time.Since(time.Unix(0, int64(read()))) > time.Minute {
		t.Errorf("clock_time_get = %d, %v", got, time.Unix(0, int64(read())))
	}
	last := uint64(0)
	for range 100 {
		if got := sys(g, "clock_time_get", 1, 1, 8000); got != wasiOK || read() < last || read() == 0 {
			t.Fatalf("monotonic clock: %d, %d after %d", got, read(), last)
		}
		last = read()
	}
	if got := sys(g, "clock_time_get", 9, 1, 8000); got != wasiInval {
		t.Errorf("clock 9 = %d", got)
	}
	if got := sys(g, "clock_time_get", 0, 1, beyond); got != wasiFault {
		t.Errorf("clock to nowhere = %d", got)
	}
	if a, b, c := sys(g, "clock_res_get", 0, 8000), sys(g, "clock_res_get", 7, 8000), sys(g, "clock_res_get", 0, beyond); a != wasiOK || b != wasiInval || c != wasiFault {
		t.Errorf("clock_res_get = %d, %d, %d", a, b, c)
	}
}

func TestRandom(t *testing.T) {
	g, _ := bare(t)
	write(t, g, 8000, make([]byte, 64))
	before := int64(g.fuel.Get())
	if got := sys(g, "random_get", 8000, 64); got != wasiOK {
		t.Errorf("random_get = %d", got)
	}
	if b, _ := g.mem.Read(8000, 64); bytes.Equal(b, make([]byte, 64)) {
		t.Error("64 random bytes are zero")
	}
	if used := before - int64(g.fuel.Get()); used < 64 {
		t.Errorf("64 random bytes cost %d", used)
	}
	if a, b := sys(g, "random_get", beyond, 64), sys(g, "random_get", 0, maxRandom+1); a != wasiFault || b != wasiInval {
		t.Errorf("random_get = %d, %d", a, b)
	}
}

// poll_oneoff says at once that clocks have run out and that nothing else can
// be waited for. The two ranges may overlap.
func TestPollOneoff(t *testing.T) {
	g, _ := bare(t)
	var subs [2 * subscriptionSize]byte
	binary.LittleEndian.PutUint64(subs[0:], 77)
	binary.LittleEndian.PutUint64(subs[subscriptionSize:], 78)
	subs[subscriptionSize+8] = 1 // readable
	for _, out := range []uint64{8200, 8000} {
		write(t, g, 8000, subs[:])
		if got := sys(g, "poll_oneoff", 8000, out, 2, 8400); got != wasiOK || word(t, g, 8400) != 2 {
			t.Fatalf("poll_oneoff = %d, %d events", got, word(t, g, 8400))
		}
		ev, _ := g.mem.Read(uint32(out), 2*eventSize)
		if ev[0] != 77 || ev[8] != 0 || ev[eventSize] != 78 || ev[eventSize+8] != wasiNotSup || ev[eventSize+10] != 1 {
			t.Errorf("events %x", ev)
		}
	}
	for _, c := range []struct {
		args []uint64
		want uint32
	}{
		{[]uint64{8000, 8200, 0, 8400}, wasiInval}, {[]uint64{8000, 8200, maxEvents + 1, 8400}, wasiInval},
		{[]uint64{beyond, 8200, 1, 8400}, wasiFault}, {[]uint64{8000, beyond, 1, 8400}, wasiFault},
		{[]uint64{8000, 8200, 1, beyond}, wasiFault},
	} {
		if got := sys(g, "poll_oneoff", c.args...); got != c.want {
			t.Errorf("poll_oneoff%v = %d, want %d", c.args, got, c.want)
		}
	}
}

// What is not offered says so, and leaves the memory alone.
func TestNotOffered(t *testing.T) {
	g, _ := bare(t)
	before, _ := g.mem.Read(0, g.mem.Size())
	before = bytes.Clone(before)
	for name, f := range wasi {
		switch {
		case strings.HasPrefix(name, "path_"), strings.HasPrefix(name, "sock_"):
			if got := sys(g, name, make([]uint64, len(f.sig.params))...); got != wasiNoSys {
				t.Errorf("%s = %d", name, got)
			}
		case name == "fd_read", name == "fd_prestat_get", name == "fd_close", name == "fd_seek":
			if got := sys(g, name, make([]uint64, len(f.sig.params))...); got != wasiBadf {
				t.Errorf("%s = %d", name, got)
			}
		}
	}
	if after, _ := g.mem.Read(0, g.mem.Size()); !bytes.Equal(before, after) {
		t.Error("memory was written")
	}
}

func TestFdStat(t *testing.T) {
	g, _ := bare(t)
	if a, b, c := sys(g, "fd_fdstat_get", 2, 8000), sys(g, "fd_fdstat_get", 3, 8000), sys(g, "fd_fdstat_get", 1, beyond); a != wasiOK || b != wasiBadf || c != wasiFault {
		t.Errorf("fd_fdstat_get = %d, %d, %d", a, b, c)
	}
	if b, _ := g.mem.Read(8000, 1); b[0] != 2 {
		t.Errorf("stderr is of type %d", b[0])
	}
	if a, b := sys(g, "args_sizes_get", 8000, 8004), sys(g, "environ_sizes_get", 8000, beyond); a != wasiOK || b != wasiFault || word(t, g, 8000) != 0 {
		t.Errorf("sizes = %d, %d", a, b)
	}
}

// Every function of the table can be imported: its type is sound, and a call
// with wild arguments neither panics nor succeeds in writing beyond the memory.
func TestWildArguments(t *testing.T) {
	g, _ := bare(t)
	wild := []uint64{0, 1, 2, 0xffffffff, beyond, 1 << 31, 0xffffffffffffffff, 1 << 63}
	for module, functions := range hostFunctions {
		for name, f := range functions {
			for i := range 64 {
				stack := make([]uint64, max(1, len(f.sig.params)))
				for j := range stack {
					stack[j] = wild[(i+j*3+i/8)%len(wild)]
				}
				f.fn(g, stack)
			}
			if len(f.sig.results) > 1 {
				t.Errorf("%s.%s has %d results", module, name, len(f.sig.results))
			}
		}
	}
	for name, f := range wasi {
		for i := range 64 {
			stack := make([]uint64, max(1, len(f.sig.params)))
			for j := range stack {
				stack[j] = wild[(i+j*3+i/8)%len(wild)]
			}
			if name != "proc_exit" {
				f.fn(g, stack)
			}
		}
	}
	if g.fuel.Get()>>63 != 0 && int64(g.fuel.Get()) < -1<<40 {
		t.Errorf("fuel = %d", int64(g.fuel.Get()))
	}
}
