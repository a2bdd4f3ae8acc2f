package test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// hostileFor is how long each attack of a plugin lasts; make bench-hostile sets it.
var hostileFor = flag.Duration("hostile", 200*time.Millisecond, "how long each attack of a hostile plugin lasts")

const hostileManifest = `name = "hostile"
version = "1"
abi = 1
memory_pages = 64
[[hook]]
name = "publish"
class = "intercept"
filters = ["evil/#", "shared/#"]
on_error = "next"
timeout = "300ms"
`

// hostileModule is the module of testdata/hostile.
func hostileModule(t *testing.T) []byte {
	t.Helper()
	at := filepath.Join(t.TempDir(), "hostile")
	if out, err := exec.Command(binary, "plugin", "new", "hostile", "--lang", "c", "--dir", at).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	source, err := os.ReadFile("testdata/hostile/plugin.c")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"plugin.c": source, "plugin.toml": []byte(hostileManifest)} {
		if err := os.WriteFile(filepath.Join(at, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(binary, "plugin", "build", at).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	code, err := os.ReadFile(filepath.Join(at, "build/hostile/hostile.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// hostile is a broker with a plugin that means it ill, a client that makes it do so, and
// clients that mind their own business: some out of the plugin's reach, some whose
// messages it is asked about.
type hostile struct {
	*broker
	file  string // the artefact
	evil  *client
	pairs *pairs
	calm  time.Duration // p99 of the pairs while nothing happens
}

func startHostile(t *testing.T, artefact string, code []byte, operator string) *hostile {
	t.Helper()
	b := start(t, setup{
		plugins: []string{"hostile"}, listeners: "[listener.tcp.external]\nbind = \"127.0.0.1:0\"\n",
		etc: map[string]string{"plugins/hostile/plugin.toml": hostileManifest, "plugins/hostile/" + artefact: string(code), "etc/plugins/hostile.toml": operator},
	})
	h := &hostile{broker: b, file: filepath.Join(b.home, "plugins/hostile", artefact), evil: b.dial(v311)}
	h.evil.connect("evil")
	h.pairs = b.pairs("good", "good/a", "good/b", "shared/c", "shared/d")
	h.pairs.fresh()
	h.during(*hostileFor)
	h.calm, _ = h.pairs.p99()
	return h
}

// during waits for a span, with messages on their way.
func (h *hostile) during(span time.Duration) {
	h.t.Helper()
	over := time.NewTimer(span)
	defer over.Stop()
	h.eventually("the span is over", func() bool {
		select {
		case <-over.C:
			return true
		default:
			return span == 0
		}
	})
	h.pairs.flows()
}

// shownPlugin is what ctl says of a plugin.
type shownPlugin struct {
	State  string
	Error  string
	Faults uint64
	Cost   struct{ PID int }
}

func (h *hostile) shown() (p shownPlugin) {
	h.t.Helper()
	if err := json.Unmarshal([]byte(h.ctl("plugins", "show", "hostile", "-o", "json")), &p); err != nil {
		h.t.Fatal(err)
	}
	return p
}

// attack publishes below evil/ for as long as attacks last, while something is done
// about the plugin, and prints what it meant for the others. The plugin faults, ctl and
// the log say so, the client is served afterwards, and so is everybody else all the time.
func (h *hostile) attack(act string, meanwhile func()) {
	h.t.Helper()
	faults, said := h.shown().Faults, len(h.log.String())
	h.pairs.fresh()
	var stop atomic.Bool
	done := make(chan error, 1)
	go func() {
		id := uint16(0)
		for !stop.Load() {
			id = id%60000 + 1
			err := h.evil.trySend(&packet.Publish{Topic: "evil/" + act, Payload: []byte("x"), QoS: 1, PacketID: id})
			if err == nil {
				err = h.evil.await(1)
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	if meanwhile != nil {
		meanwhile()
	}
	h.during(*hostileFor)
	h.eventually("the fault is in ctl and in the log", func() bool {
		now := h.log.String()[said:]
		return h.shown().Faults > faults && (strings.Contains(now, "plugin fault") || strings.Contains(now, "plugin process lost"))
	})
	stop.Store(true)
	if err := <-done; err != nil {
		h.t.Fatalf("%s: the client that sent it: %v", act, err)
	}
	p99, n := h.pairs.p99()
	h.t.Logf("%-8s p99 of the others %8v, %.1f times the undisturbed %v (%d messages)", act, p99.Round(time.Microsecond), float64(p99)/float64(h.calm), h.calm.Round(time.Microsecond), n)
	h.ctl("plugins", "reload", "hostile") // out of quarantine
}

// replace puts other bytes in the place of the artefact and insists that a reload is
// refused with want.
func (h *hostile) replace(code []byte, want string) {
	h.t.Helper()
	old, err := os.ReadFile(h.file)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, text := range [][]byte{code, old} {
		// Not into the old file: a process may run from it.
		if err := os.WriteFile(h.file+".new", text, 0o755); err != nil {
			h.t.Fatal(err)
		}
		if err := os.Rename(h.file+".new", h.file); err != nil {
			h.t.Fatal(err)
		}
		if bytes.Equal(text, old) {
			break
		}
		out, err := h.tryCtl("plugins", "reload", "hostile")
		h.says(out, err, want)
	}
	h.pairs.flows()
}

// Whatever a module does on every message, no client is lost and no message of
// anybody else.
func TestHostileModules(t *testing.T) {
	t.Parallel()
	h := startHostile(t, "hostile.wasm", hostileModule(t), "")
	for _, act := range []string{"loop", "tree", "stack", "trap", "bomb", "fill", "leak", "garbage"} {
		h.attack(act, nil)
	}
	before := strings.Count(h.log.String(), "a line of the flood")
	h.attack("flood", nil)
	if n := strings.Count(h.log.String(), "a line of the flood") - before; n == 0 || n > 3000 {
		t.Errorf("the log took %d lines of the flood", n)
	}
	h.attack("loop", func() { // a storm of reloads
		for range 20 {
			h.ctl("plugins", "reload", "hostile")
		}
	})
	testdata := filepath.Join(repo, "core/plugin/wasm/testdata")
	acts, err := os.ReadFile(filepath.Join(testdata, "acts.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	signatures, err := os.ReadFile(filepath.Join(testdata, "signature.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	h.replace(signatures, "export dunlin_buf is (i32) -> (i64), not (i32) -> (i32)")
	h.replace(bytes.ReplaceAll(acts, []byte("memory"), []byte("__fuel")), `"__fuel"`)
	h.replace(acts, "is not granted")
	h.replace(acts[:len(acts)-9], "not a WASM module")
	h.replace([]byte("#!/bin/sh\n"), "not a WASM module")
	h.pairs.end()
	h.alive()
}
