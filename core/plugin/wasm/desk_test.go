package wasm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// fakeDesk notes what guests want to have done.
type fakeDesk struct {
	mu   sync.Mutex
	got  []string
	gone []uint64
}

func (d *fakeDesk) note(format string, args ...any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got = append(d.got, fmt.Sprintf(format, args...))
	return nil
}

func (d *fakeDesk) SetTimer(guest uint64, id uint32, after time.Duration) error {
	if after < 0 {
		return contract.ErrnoInvalid
	}
	return d.note("timer %d %d %v", guest, id, after)
}

func (d *fakeDesk) Request(guest, id uint64, request []byte, timeout time.Duration) error {
	return d.note("request %d %d %.20q %v", guest, id, request, timeout)
}

func (d *fakeDesk) Verify(guest, id uint64, hash string, password []byte) error {
	return d.note("verify %d %d %.20q %.20q", guest, id, hash, password)
}

func (d *fakeDesk) Get(dst []byte, id string) ([]byte, error) {
	if id != "known" {
		return dst, contract.ErrnoNotFound
	}
	return append(dst, "a record"...), nil
}

func (d *fakeDesk) Kick(id string) error { return d.note("kick %.20q", id) }

func (d *fakeDesk) Resume(guest, token uint64, block []byte) error {
	return d.note("resume %d %d %d", guest, token, len(block))
}

func (d *fakeDesk) Gone(guest uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone = append(d.gone, guest)
}

// What a guest asks for reaches the desk with the guest's id and its arguments.
func TestDesk(t *testing.T) {
	g, _ := bare(t)
	d := g.p.spec.Services.Desk.(*fakeDesk)
	if !g.mem.Write(8000, []byte("known password")) {
		t.Fatal("no memory")
	}
	call := func(module, name string, args ...uint64) int32 {
		stack := append(args, 0)
		hostFunctions[module][name].fn(g, stack)
		return int32(uint32(stack[0]))
	}
	const junk = 1 << 40 // in the upper half of an i32
	if got := call(contract.ModuleTimer, contract.ImportTimerSet, 7|junk, 1500|junk); got != 0 {
		t.Errorf("timer: %d", got)
	}
	if got := call(contract.ModuleTimer, contract.ImportTimerSet, 7, 0xffffffff); got != int32(contract.ErrnoInvalid) {
		t.Errorf("a negative timer: %d", got)
	}
	if got := call(contract.ModuleHTTP, contract.ImportHTTPStart, 1<<50, 8000|junk, 5|junk, 2000); got != 0 {
		t.Errorf("http: %d", got)
	}
	if got := call(contract.ModuleHash, contract.ImportHashVerify, 3, 8000, 5, 8006, 8); got != 0 {
		t.Errorf("hash: %d", got)
	}
	if got := call(contract.ModulePending, contract.ImportPendingResume, 1<<60, 8000, 14); got != 0 {
		t.Errorf("resume: %d", got)
	}
	if got := call(contract.ModuleSession, contract.ImportSessionKick, 8000, 5); got != 0 {
		t.Errorf("kick: %d", got)
	}
	for _, c := range []struct {
		n, size uint64
		want    int32
	}{{5, 100, 8}, {5, 7, 8}, {4, 100, int32(contract.ErrnoNotFound)}} {
		if got := call(contract.ModuleSession, contract.ImportSessionGet, 8000, c.n, 8100, c.size); got != c.want {
			t.Errorf("get of %d bytes with room for %d: %d, want %d", c.n, c.size, got, c.want)
		}
	}
	if b, _ := g.mem.Read(8100, 8); string(b) != "a record" {
		t.Errorf("written %q", b)
	}
	want := []string{
		fmt.Sprintf("timer %d 7 1.5s", g.id), fmt.Sprintf(`request %d %d "known" 2s`, g.id, uint64(1)<<50),
		fmt.Sprintf(`verify %d 3 "known" "password"`, g.id), fmt.Sprintf("resume %d %d 14", g.id, uint64(1)<<60), `kick "known"`,
	}
	for i, w := range want {
		if i >= len(d.got) || d.got[i] != w {
			t.Errorf("%d: got %q, want %q", i, d.got, w)
		}
	}
}

// A frame for one guest goes to that guest, is not tried again, and not given to
// another in its place.
func TestAddressedFrames(t *testing.T) {
	s := spec(t, read(t, "acts.wasm"))
	p := open(t, 2, s)
	one(t, p, 0) //nolint:errcheck // makes the guest of the shard
	first := frame(1, 0)
	call(t, p, first)
	guest := first.Guest
	if guest == 0 {
		t.Fatal("the call does not say who answered")
	}
	addressed := func(act uint32) *plugin.Call {
		c := frame(99, act) // whatever its connection
		c.Guest = guest
		return c
	}
	c := addressed(0)
	call(t, p, c)
	if _, err := c.Verdict(0); err != nil || c.Guest != guest {
		t.Errorf("guest %d, %v", c.Guest, err)
	}
	c = addressed(10) // a poisonous one
	call(t, p, c)
	if _, err := c.Verdict(0); err == nil {
		t.Error("no fault")
	}
	if n := p.Status().Faults; n != 1 {
		t.Errorf("%d faults: it was tried again", n)
	}
	if gone := s.Services.Parked.(*fakeDesk).gone; len(gone) != 1 || gone[0] != guest {
		t.Errorf("gone %v, want %d", gone, guest)
	}
	if err := p.Call(context.Background(), addressed(0)); !errors.Is(err, plugin.ErrGone) {
		t.Errorf("to a guest that is gone: %v", err)
	}
}
