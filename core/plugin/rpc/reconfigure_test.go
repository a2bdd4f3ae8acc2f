package rpc

import (
	"errors"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/plugin"
)

// A process takes another configuration over while it runs, and so does the one that
// comes after it; a refusal leaves everything as it was, a process that dies of it
// is no refusal.
func TestReconfigure(t *testing.T) {
	r := open(t, Config{}, func(s *plugin.Spec) { s.Config = []byte(`{"name":"one"}`) })
	named := func(want string) {
		t.Helper()
		if got, err := r.ask("name"); err != nil || got[0] != want {
			t.Errorf("name %q, %v, want %s", got, err, want)
		}
	}
	named("one")
	c, pid := r.inst.(plugin.Reconfigurer), r.pid()
	if err := c.Reconfigure(t.Context(), []byte(`{"name":"two"}`)); err != nil {
		t.Fatal(err)
	}
	named("two")
	err := c.Reconfigure(t.Context(), []byte(`{"name":"three","again":"refuse"}`))
	if err == nil || errors.Is(err, plugin.ErrNotReconfigured) || !strings.Contains(err.Error(), "again is set") {
		t.Errorf("a refusal: %v", err)
	}
	named("two")
	if r.pid() != pid {
		t.Error("it is another process")
	}
	kill(t, pid)
	eventually(t, "there is another process", func() bool { return r.pid() != pid && r.inst.Status().State == plugin.StateRunning })
	named("two")
	if err := c.Reconfigure(t.Context(), []byte(`{"name":"four","again":"fail"}`)); !errors.Is(err, plugin.ErrNotReconfigured) {
		t.Errorf("a process that dies of it: %v", err)
	}
	eventually(t, "the process is back", func() bool {
		got, err := r.ask("name")
		return err == nil && got[0] == "two"
	})
}
