package test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Whatever a process does, or is done to it, no client is lost and no message of
// anybody else.
func TestHostileProcesses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "hostile")
	if out, err := exec.Command("go", "build", "-o", file, "./testdata/rogue").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h := startHostile(t, "hostile", code, fmt.Sprintf("[plugin]\nsha256 = \"%x\"\n", sha256.Sum256(code)))
	for _, act := range []string{"exit", "hang", "garbage"} {
		h.attack(act, nil)
	}
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "stopped": syscall.SIGSTOP} {
		h.attack(name, func() {
			pid := h.shown().Cost.PID
			if err := syscall.Kill(pid, signal); err != nil {
				t.Fatal(err)
			}
			h.within(2*patience, "another process", func() bool {
				p := h.shown()
				return p.State == "running" && p.Cost.PID != pid
			})
		})
	}

	// A flood of lines and of host calls is no fault, and the log stays short.
	h.evil.publish("evil/flood", "x", 0)
	h.during(*hostileFor)
	h.eventually("the flood has begun", func() bool { return strings.Contains(h.log.String(), "a line of the flood") })
	h.ctl("plugins", "reload", "hostile")
	if n := strings.Count(h.log.String(), "a line of the flood"); n > 5000 {
		t.Errorf("the log took %d lines of the flood", n)
	}

	// Other bytes on the disk do not run: a reload says what is wrong, and a process that
	// is lost starts again from the bytes that were loaded.
	changed := append(code[:len(code):len(code)], 0)
	h.replace(changed, "sha256 is ")
	if err := os.WriteFile(h.file+".new", []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(h.file+".new", h.file); err != nil {
		t.Fatal(err)
	}
	pid := h.shown().Cost.PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	h.within(2*patience, "another process", func() bool {
		p := h.shown()
		return p.State == "running" && p.Cost.PID != pid
	})

	// A process that speaks something else is refused, at once or in time.
	if err := os.WriteFile(filepath.Join(h.home, "etc/plugins/hostile.toml"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	h.replace([]byte("#!/bin/sh\necho 'hello, is this MQTT?'\n"), "hostile")
	h.replace([]byte("#!/bin/sh\necho '1|99|unix|/nowhere|grpc|'\nexec sleep 60\n"), "hostile")
	h.pairs.end()
	h.alive()
}
