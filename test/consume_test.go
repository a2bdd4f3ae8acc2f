package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

const keeperManifest = `name = "keeper"
version = "1.0.0"
abi = 1
capabilities = ["publish"]
state = "shared"

[[hook]]
name = "message"
class = "consume"
filters = ["keep/#"]
`

// keeperConfig is the operator's file.
func keeperConfig(take bool) string {
	return fmt.Sprintf("[plugin]\ngrant = [\"publish\"]\n[config]\ntake = %v\n", take)
}

// buildKeeper puts the plugin into the broker's home, as a module or a process.
func buildKeeper(b *broker, transport string) {
	b.t.Helper()
	cmd := exec.Command("go", "build", "-o", filepath.Join(b.home, "plugins", "keeper", "keeper"), "./testdata/keeper")
	if transport == "wasm" {
		cmd = exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", filepath.Join(b.home, "plugins", "keeper", "keeper.wasm"), "./testdata/keeper")
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("build the plugin: %v\n%s", err, out)
	}
}

// TestConsumeSurvives: what a publisher was told is taken reaches a plugin of the
// class consume, in order, although the plugin refuses it at first and the broker is
// killed before it takes anything.
func TestConsumeSurvives(t *testing.T) {
	for _, transport := range []string{"wasm", "process"} {
		t.Run(transport, func(t *testing.T) {
			b := start(t, setup{etc: map[string]string{
				"plugins/keeper/plugin.toml": keeperManifest, "etc/plugins/keeper.toml": keeperConfig(false),
			}})
			buildKeeper(b, transport)
			b.ctl("plugins", "load", "keeper")
			c := b.dial(v5)
			c.connect("publisher")
			const n = 50
			for i := range n {
				c.publishSync(&packet.Publish{Topic: "keep/it", Payload: fmt.Append(nil, i), QoS: byte(1 + i%2)})
			}
			c.publishSync(&packet.Publish{Topic: "other", Payload: []byte("x"), QoS: 1})
			b.kill()
			b.run()
			watch := b.dial(v5)
			watch.connect("watch")
			watch.subscribe("done/#", 1)
			if err := os.WriteFile(filepath.Join(b.home, "etc/plugins/keeper.toml"), []byte(keeperConfig(true)), 0o644); err != nil {
				t.Fatal(err)
			}
			b.ctl("plugins", "reload", "keeper")
			next := 0
			for next < n {
				p := watch.message()
				i := -1
				if _, err := fmt.Sscan(string(p.Payload), &i); err != nil || p.Topic != "done/keep/it" || i > next {
					t.Fatalf("got %s %q, want %d", p.Topic, p.Payload, next)
				}
				if i == next { // what came before may come again
					next++
				}
			}
			if out := b.ctl("plugins", "list"); !strings.Contains(out, "keeper") {
				t.Errorf("plugins list: %s", out)
			}
		})
	}
}
