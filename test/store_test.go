package test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// TestBackupAndRestore: an operator saves the store of a running node and makes
// another node of it; nothing is overwritten, and files are the owner's alone.
func TestBackupAndRestore(t *testing.T) {
	b := start(t, setup{plugins: []string{"retainer"}, config: quietSys})
	pub := b.dial(v5)
	pub.connect("publisher")
	keep := func(n int, value string) {
		pub.publishSync(&packet.Publish{Topic: fmt.Sprintf("home/%d", n), Payload: []byte(value), QoS: 1, Retain: true})
	}
	want := map[string]string{}
	for i := range 20 {
		keep(i, "saved")
		want[fmt.Sprintf("home/%d", i)] = "saved"
	}
	if got := b.ctl("store", "check"); !strings.HasPrefix(got, "ok: ") {
		t.Errorf("check says %q", got)
	}
	backup := filepath.Join(b.home, "backup")
	b.ctl("store", "backup", backup)
	keep(0, "later")
	b.ctl("store", "compact")
	if out, err := b.tryCtl("store", "backup", backup); err == nil || !strings.Contains(out, "exist") {
		t.Errorf("a second backup to one directory: %v, %s", err, out)
	}
	if got := b.retained("home/0"); got["home/0"] != "later" {
		t.Errorf("after backup and compaction: %v", got)
	}
	if out := b.ctl("store", "info", "-o", "json"); !strings.Contains(out, "disk/written_bytes") {
		t.Errorf("info says %s", out)
	}
	if out, err := b.tryCtl("store", "restore", backup); err == nil || !strings.Contains(out, "stop it first") {
		t.Errorf("restore under a running node: %v, %s", err, out)
	}
	private(t, filepath.Join(b.home, "data", "store"))
	private(t, backup)

	b.stop()
	if out, err := b.tryCtl("store", "restore", backup); err == nil || !strings.Contains(out, "moved away") {
		t.Errorf("restore over a store: %v, %s", err, out)
	}
	if err := os.Rename(filepath.Join(b.home, "data", "store"), filepath.Join(b.home, "old")); err != nil {
		t.Fatal(err)
	}
	b.ctl("store", "restore", backup)
	private(t, filepath.Join(b.home, "data", "store"))
	b.run()
	if got := b.retained("home/#"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("restored: %v, want %v", got, want)
	}
}

// private insists that nobody but the owner can read anything below dir.
func private(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		files++
		return nil
	})
	if err != nil || files < 3 {
		t.Errorf("%s: %d files, %v", dir, files, err)
	}
}

// TestNewerStoreIsRefused: a store that a later version has written is left as it
// is, and the start says so.
func TestNewerStoreIsRefused(t *testing.T) {
	b := start(t, setup{config: quietSys})
	b.stop()
	format := filepath.Join(b.home, "data", "store", "FORMAT")
	old, err := os.ReadFile(format)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(format, []byte("dunlin store 99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := b.dunlin("foreground").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "layout 99") || !strings.Contains(string(out), "restore a backup") {
		t.Errorf("%v, %s", err, out)
	}
	if err := os.WriteFile(format, old, 0o600); err != nil {
		t.Fatal(err)
	}
	b.run()
	b.alive()
}
