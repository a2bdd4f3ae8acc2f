package crash_test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/test/crash"
)

// A long run is `make crash`.
var (
	kills      = flag.Int("kills", 6, "how often the broker is killed, in each mode")
	messages   = flag.Int64("messages", 2000, "publications that have to be acknowledged, in each mode")
	writers    = flag.Int("writers", 4, "how many clients publish")
	readers    = flag.Int("readers", 2, "how many clients subscribe to all of it")
	maxUp      = flag.Duration("up", 600*time.Millisecond, "the longest time between a start and the next kill")
	seed       = flag.Uint64("seed", 1, "of everything random")
	cut        = flag.Int("cut", 0, "one packet in so many makes a client cut its connection; 0: 20,000")
	lag        = flag.Duration("lag", 0, "readers wait so long after every 32nd message, so that a backlog grows")
	durability = flag.String("durability", "", "async or sync; empty: both")
)

// TestCrash: what MQTT and the configuration promise holds over kill -9 of the
// broker and connections that are cut.
func TestCrash(t *testing.T) {
	plugins, err := filepath.Abs("../../build/plugins")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(plugins, "retainer", "retainer.wasm")); err != nil {
		t.Fatalf("the plugins are not built: run make plugins first: %v", err)
	}
	binary := os.Getenv("DUNLIN_BINARY")
	if binary == "" {
		binary = filepath.Join(t.TempDir(), "dunlin")
		if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/dunlin").CombinedOutput(); err != nil {
			t.Fatalf("build the broker: %v\n%s", err, out)
		}
	}
	cache := t.TempDir()
	for _, mode := range []string{"async", "sync"} {
		if *durability != "" && mode != *durability {
			continue
		}
		t.Run(mode, func(t *testing.T) {
			home, err := os.MkdirTemp("", "dc") // a unix socket's path is short
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(home)
			s, err := crash.Run(context.Background(), crash.Config{
				Binary: binary, Home: home, Plugins: plugins, Cache: cache, Durability: mode,
				Kills: *kills, Messages: *messages, Writers: *writers, Readers: *readers, MaxUp: *maxUp, Seed: *seed, Cut: *cut, Lag: *lag, Log: t.Logf,
			})
			if s != nil {
				t.Logf("%s:\n%s", mode, s)
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Bad() > 0 || s.Kills != *kills || s.Acknowledged < *messages || s.RetainedOK == 0 || s.SubscribedOK == 0 {
				t.Errorf("%d promises are broken", s.Bad())
			}
		})
	}
}
