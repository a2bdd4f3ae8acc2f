package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/config"
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.log")
	r, err := openRotating(path, bounds{10, 2})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, line := range []string{"one1\n", "one2\n", "two1\n", "two2\n", "three\n", "much too long\n", "x\n"} {
		if _, err := io.WriteString(r, line); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"": "x\n", ".1": "much too long\n", ".2": "three\n"} {
		if got := read(t, path+name); got != want {
			t.Errorf("%q has %q, want %q", name, got, want)
		}
	}
	if _, err := os.Stat(path + ".3"); !os.IsNotExist(err) {
		t.Errorf("too many are kept: %v", err)
	}
	r.bound(bounds{100, 1})
	if _, err := io.WriteString(r, "still the same file\n"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "x\nstill the same file\n" {
		t.Errorf("with a greater bound the file has %q", got)
	}
	if _, err := os.Stat(path + ".2"); !os.IsNotExist(err) {
		t.Errorf("what is over the new count is kept: %v", err)
	}
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.log")
	log, err := newLogger(config.Log{Level: "info", Format: "text", File: path, RotateSize: 1 << 20, RotateCount: 1}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer log.close()
	log.Info("first")
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := log.reopen(); err != nil {
		t.Fatal(err)
	}
	log.Info("second")
	if got := read(t, path); strings.Contains(got, "first") || !strings.Contains(got, "second") {
		t.Errorf("the new file has %q", got)
	}
}

func TestLevelsByLogger(t *testing.T) {
	var out strings.Builder
	log, err := newLogger(config.Log{Level: "warning", Format: "text", Console: true}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.levels.SetLevel("channel", "debug"); err != nil {
		t.Fatal(err)
	}
	below := log.Named("channel").Named("x").With(zap.Int("n", 1))
	below.Debug("heard")
	log.Named("conn").Info("not heard")
	if err := log.levels.SetLevel("", "info"); err != nil {
		t.Fatal(err)
	}
	log.Named("conn").Info("now heard")
	if got := out.String(); !strings.Contains(got, "heard {\"n\": 1}") || strings.Contains(got, "not heard") || !strings.Contains(got, "now heard") {
		t.Errorf("log is %q", got)
	}
	if err := log.levels.SetLevel("", "loud"); err == nil {
		t.Error("loud is a level")
	}
}

// A node that panics leaves what the runtime says in log/crash.dump; the next
// one starts, says so, and keeps it.
func TestCrashDump(t *testing.T) {
	t.Setenv(asMain, "1")
	dir := home(t, oneListener)
	now := filepath.Join(dir, "now")
	t.Setenv(crashOn, now)
	dunlin(t, "start", "--home", dir).check(t, exitOK, "started", "")
	t.Cleanup(func() { dunlin(t, "stop", "--home", dir) })
	write(t, "", now)
	limit, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := until(limit, "the node has not crashed", func() (bool, error) {
		return !admin.Running(filepath.Join(dir, "data")), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if text := read(t, dir, "log", "crash.dump"); !strings.Contains(text, "panic: deliberate") || !strings.Contains(text, "goroutine") {
		t.Errorf("the dump is %q", text)
	}
	if err := os.Remove(now); err != nil {
		t.Fatal(err)
	}
	dunlin(t, "start", "--home", dir).check(t, exitOK, "started", "")
	if text := read(t, dir, "log", "console.log"); !strings.Contains(text, "an earlier crash") {
		t.Errorf("nobody is told of the crash: %s", text)
	}
	dunlin(t, "stop", "--home", dir).check(t, exitOK, "ok", "")
	if text := read(t, dir, "log", "crash.dump"); !strings.Contains(text, "panic: deliberate") {
		t.Errorf("the dump is now %q", text)
	}
}

func TestNotify(t *testing.T) {
	dir := home(t, oneListener)
	name := filepath.Join(dir, "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	t.Setenv("NOTIFY_SOCKET", name)
	foreground(t, dir)
	dunlin(t, "ctl", "config", "reload", "--home", dir).check(t, exitOK, "ok", "")
	dunlin(t, "stop", "--home", dir).check(t, exitOK, "ok", "")
	buf := make([]byte, 100)
	for _, want := range []string{"READY=1", "RELOADING=1\nMONOTONIC_USEC=", "READY=1", "STOPPING=1"} {
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buf)
		if got := string(buf[:n]); !strings.HasPrefix(got, want) {
			t.Errorf("systemd hears %q, %v, want %s", got, err, want)
		}
	}
}
