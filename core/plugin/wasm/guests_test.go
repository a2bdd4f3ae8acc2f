package wasm

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// goGuest builds the guest in Go, once for all tests.
var goGuest = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "goguest")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "guest.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", file, "./testdata/goguest")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, &exec.Error{Name: string(out), Err: err}
	}
	return os.ReadFile(file)
})

func goCode(t testing.TB) []byte {
	t.Helper()
	code, err := goGuest()
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// topics makes a call with one acl record for each topic.
func topics(key uint64, names ...string) *plugin.Call {
	var w contract.Writer
	for _, n := range names {
		w.Begin(contract.Header{Hook: contract.HookACL, Conn: key, Flags: contract.FlagPublish})
		w.String(contract.SlotClientID, "client-1234")
		w.String(contract.SlotUsername, "alice")
		w.String(contract.SlotPeer, "192.0.2.1:51000")
		w.String(contract.SlotTopic, n)
		w.End()
	}
	return &plugin.Call{Hook: contract.HookACL, Frame: w.Frame(), N: w.Count(), Key: key}
}

// The same verdicts from Go and from C, through the fuel pass.
func TestRealGuests(t *testing.T) {
	for name, code := range map[string][]byte{"go": goCode(t), "c": read(t, "cguest.wasm")} {
		t.Run(name, func(t *testing.T) {
			p := open(t, 2, spec(t, code))
			for key := range uint64(100) {
				c := topics(key, "a/b", "deny/c", "den", "deny/")
				call(t, p, c)
				for i, want := range []contract.Action{contract.Allow, contract.Deny, contract.Allow, contract.Deny} {
					if v, err := c.Verdict(i); err != nil || v.Action != want {
						t.Fatalf("record %d: %v, %v", i, v.Action, err)
					}
				}
			}
			if s := p.Status(); s.Faults != 0 {
				t.Errorf("status %+v", s)
			}
			t.Logf("%d bytes, loaded with %d units of fuel, %d KiB a guest", len(code), p.loadFuel.Load(),
				p.Status().Memory>>10/int64(p.Status().Instances))
		})
	}
}

// What goes wrong inside Go's runtime is the record's fault and has its words.
func TestGoGuestFaults(t *testing.T) {
	s := spec(t, goCode(t))
	s.Manifest = &manifest.Manifest{MemoryPages: 256}
	p := open(t, 1, s)
	conn := uint64(0) // one for each fault: a connection that goes on is not asked about
	for topic, want := range map[string]string{
		"panic": "the topic says so", "exit": "exited with code 7", "hoard": "", "wait": "deadlock",
	} {
		conn++
		c := topics(conn, "a", topic, "deny/a")
		call(t, p, c)
		if _, err := c.Verdict(1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", topic, err, want)
		} else {
			t.Logf("%s: %v", topic, err)
		}
		p.faults.mu.Lock()
		p.faults.tokens = faultBurst
		p.faults.mu.Unlock()
		c = topics(conn, "a", "deny/a")
		call(t, p, c)
		if v, err := c.Verdict(1); err != nil || v.Action != contract.Deny {
			t.Errorf("after %s: %v, %v", topic, v.Action, err)
		}
	}
}

// A Go guest may make garbage within the fuel of one record.
func TestGoGuestCollectsGarbage(t *testing.T) {
	s := spec(t, goCode(t))
	s.Manifest = &manifest.Manifest{MemoryPages: 512}
	p := open(t, 1, s)
	for range 50 {
		c := topics(1, "garbage")
		call(t, p, c)
		if _, err := c.Verdict(0); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("memory %d KiB", p.Status().Memory>>10)
}

func TestGoGuestRefusesConfiguration(t *testing.T) {
	s := spec(t, goCode(t))
	s.Config = json.RawMessage(`{"what":"nothing"}`)
	if _, err := transport(t, 1).Open(context.Background(), s); err == nil || !strings.Contains(err.Error(), "nothing is configured") {
		t.Errorf("err = %v", err)
	}
}

// A call costs the host no allocation once its buffers are grown.
func TestCallAllocatesNothing(t *testing.T) {
	p := open(t, 1, spec(t, read(t, "cguest.wasm")))
	c := topics(1, "a/b", "deny/c")
	ctx := context.Background()
	records, n := c.Frame, c.N
	if got := testing.AllocsPerRun(200, func() {
		c.Reset()
		c.Frame, c.N, c.Key = records, n, 1
		if err := p.Call(ctx, c); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("%v allocations a call", got)
	}
}

func BenchmarkCall(b *testing.B) {
	for _, guest := range []string{"wat", "c", "go"} {
		var code []byte
		switch guest {
		case "wat":
			code = read(b, "acts.wasm")
		case "c":
			code = read(b, "cguest.wasm")
		case "go":
			code = goCode(b)
		}
		for _, n := range []int{1, 8, 64} {
			b.Run(guest+"/"+strconv.Itoa(n), func(b *testing.B) {
				p := open(b, 1, spec(b, code))
				names := make([]string, n)
				for i := range names {
					names[i] = "sensor/12/temperature"
				}
				c := topics(1, names...)
				frame := c.Frame
				ctx := context.Background()
				b.ReportAllocs()
				for b.Loop() {
					c.Reset()
					c.Frame, c.N, c.Key = frame, n, 1
					if err := p.Call(ctx, c); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
			})
		}
	}
}
