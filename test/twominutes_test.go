package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// TestTwoMinutes runs the block of sh in docs/plugins.md, from nothing to a loaded
// plugin that checks logins.
func TestTwoMinutes(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join(repo, "docs", "plugins.md"))
	if err != nil {
		t.Fatal(err)
	}
	b := prepared(t, setup{etc: map[string]string{"etc/dunlin.toml": fmt.Sprintf(
		"listener.tcp.external.bind = \"127.0.0.1:0\"\n[plugins]\ndirs = [\"plugins\"]\ncache_dir = %q\n", pluginCache)}})
	bin := filepath.Join(b.home, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(bin, "dunlin")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.dunlin("stop").Run() })
	block := regexp.MustCompile("(?s)```sh\n(.*?)```").FindSubmatch(doc)
	if block == nil {
		t.Fatal("docs/plugins.md has no block of sh")
	}
	said := ""
	for line := range strings.Lines(string(block[1])) {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = b.home
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "GOPROXY=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s%v\n%s", line, err, out)
		}
		said = string(out)
	}
	if !strings.Contains(said, "acme") || !strings.Contains(said, "running") {
		t.Errorf("the last line says\n%s", said)
	}
	if err := b.status(); err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]packet.ReasonCode{"s3cret": packet.Success, "wrong": packet.BadUserNameOrPassword} {
		ack := b.dial(v5).connectWith(&packet.Connect{ClientID: "a" + password, CleanStart: true, KeepAlive: 60, HasUsername: true, Username: "alice", HasPassword: true, Password: []byte(password)})
		if ack.Code != want {
			t.Errorf("%s: %v, want %v", password, ack.Code, want)
		}
	}
}
