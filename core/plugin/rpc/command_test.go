package rpc

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Commands come back with the answer, or with the plugin's own words and kind of
// fault; none waits for the handlers, nor longer than who asks.
func TestCommands(t *testing.T) {
	r := open(t, Config{}, nil)
	c := r.inst.(plugin.Commander)
	if got, err := c.Command(t.Context(), "echo", []byte(`{"a": 1}`)); err != nil || string(got) != `{"a": 1}` {
		t.Errorf("echo: %s, %v", got, err)
	}
	for _, x := range []struct {
		name, text string
		kind       error
	}{
		{"missing", "there is no such thing", plugin.ErrNotThere},
		{"invalid", "line 3: what is this?", plugin.ErrBadCommand},
		{"refuse", "busy: denied", plugin.ErrRefused},
		{"fail", "the disk is full", nil},
		{"dance", "the plugin has no command dance", plugin.ErrNotThere},
	} {
		_, err := c.Command(t.Context(), x.name, nil)
		if err == nil || err.Error() != x.text || x.kind != nil && !errors.Is(err, x.kind) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Command(ctx, "wait", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no answer: %v", err)
	}
	busy := make(chan error, 1)
	go func() { busy <- r.inst.Call(t.Context(), frame(contract.HookPublish, "sleep 300")) }()
	if _, err := c.Command(t.Context(), "echo", nil); err != nil {
		t.Error(err)
	}
	select {
	case err := <-busy:
		t.Errorf("the command waited for the handler: %v", err)
	default:
	}
	if err := <-busy; err != nil {
		t.Error(err)
	}
	kill(t, r.pid())
	eventually(t, "commands reach the next process", func() bool {
		_, err := c.Command(t.Context(), "echo", nil)
		return err == nil && r.inst.Status().Restarts == 1
	})
}
