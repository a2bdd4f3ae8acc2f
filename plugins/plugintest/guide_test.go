//go:build !wasip1

package plugintest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// block is the first block of the guide in a language that starts with head.
func block(t *testing.T, guide, lang, head string) string {
	t.Helper()
	for _, b := range strings.Split(guide, "```"+lang+"\n")[1:] {
		if b, _, _ := strings.Cut(b, "```"); strings.HasPrefix(b, head) {
			return b
		}
	}
	t.Fatalf("the guide has no %s block that starts with %s", lang, head)
	return ""
}

// The plugin of docs/plugins.md builds, loads and does what the guide says, as
// module and as process.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(block(t, string(text), "go", "package main")), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../auth_demo/main.go")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {root: source}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	src := Source{Package: "../auth_demo", Overlay: list, Manifest: []byte(block(t, string(text), "toml", "name = "))}
	for _, kind := range []Kind{WASM, Process} {
		t.Run(string(kind), func(t *testing.T) {
			p, err := src.TryOpen(t, kind, `{"alice":"s3cret"}`)
			if err != nil {
				t.Fatal(err)
			}
			checkLogins(t, p)
			if _, err := src.TryOpen(t, kind, `{"alice":7}`); err == nil || !strings.Contains(err.Error(), "the password of alice is not a text") {
				t.Errorf("a bad configuration: %v", err)
			}
		})
	}
}

func checkLogins(t *testing.T, p *Plugin) {
	t.Helper()
	w := p.Frame(contract.HookAuthenticate)
	for _, l := range [][2]string{{"alice", "s3cret"}, {"alice", "wrong"}, {"bob", "s3cret"}} {
		w.Begin(contract.Header{Hook: contract.HookAuthenticate})
		w.String(contract.SlotUsername, l[0])
		w.String(contract.SlotPassword, l[1])
		w.End()
	}
	vs := p.Call(t, contract.HookAuthenticate, w, nil)
	perms, ok := vs[0].Permissions()
	if vs[0].Action != contract.Allow || !ok || len(perms) != 1 || perms[0].Filter != "u/alice/#" {
		t.Errorf("alice: %v %+v", vs[0].Action, perms)
	}
	if vs[1].Action != contract.Deny || vs[1].Reason != 0x86 || vs[1].Text() != "wrong password" {
		t.Errorf("alice with a wrong password: %+v %q", vs[1].Action, vs[1].Text())
	}
	if vs[2].Action != contract.Next {
		t.Errorf("bob: %v", vs[2].Action)
	}
}
