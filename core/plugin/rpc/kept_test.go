package rpc

import (
	"slices"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
)

// What a process publishes once goes with its key to who keeps both; without a key
// space there is none.
func TestPublishOnce(t *testing.T) {
	r := open(t, Config{}, func(s *plugin.Spec) { s.Services.KV = plugin.NewKV(time.Now) })
	const want = "<nil> denied invalid arguments <nil>"
	if got, err := r.ask("once"); err != nil || got[0] != want {
		t.Errorf("%q, %v", got, err)
	}
	r.services.mu.Lock()
	defer r.services.mu.Unlock()
	if got := r.services.published; !slices.Equal(got, []string{"k 1h0m0s 1", "k 0s 0"}) {
		t.Errorf("published %q", got)
	}
}

func TestPublishOnceNeedsKeys(t *testing.T) {
	r := open(t, Config{}, nil)
	if got, err := r.ask("once"); err != nil || got[0] != "denied denied denied denied" {
		t.Errorf("%q, %v", got, err)
	}
}
