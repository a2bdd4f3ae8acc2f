package rpc

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// topics note what a plugin wants.
type topics struct {
	mu   sync.Mutex
	list []string
}

func (w *topics) Want(k contract.Hook, filters []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Contains(filters, "bad/#/") {
		return contract.ErrnoInvalid
	}
	w.list = append(w.list, k.String()+" "+strings.Join(filters, " "))
	return nil
}

func (w *topics) Refuse(k contract.Hook, filters []string) error {
	if k != contract.HookMessage {
		return contract.ErrnoDenied
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, "refused "+strings.Join(filters, " "))
	return nil
}

func (w *topics) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.list)
}

// What a process wants in its configuration holds before the first frame, of every
// process anew; later it may change its mind. It knows its directories.
func TestWants(t *testing.T) {
	w := &topics{}
	r := open(t, Config{}, func(sp *plugin.Spec) {
		sp.Services.Wants = w
		sp.Config = []byte(`{"want": "a/#"}`)
		sp.DataDir, sp.ConfigDir = "/data/plug", "/etc/plug"
	})
	want := []string{"publish a/#"}
	if got := w.all(); !slices.Equal(got, want) {
		t.Fatalf("at the start it wants %q", got)
	}
	if got, err := r.ask("want b c/+", "want", "want bad/#/", "dirs"); err != nil || got[0] != "<nil>" || got[2] != "invalid arguments" || got[3] != "/data/plug /etc/plug" {
		t.Errorf("%q, %v", got, err)
	}
	want = append(want, "publish b c/+")
	if got := w.all(); !slices.Equal(got, want) {
		t.Errorf("then it wants %q", got)
	}
	if got, err := r.ask("refuse 40 d/# e", "refuse 1 d"); err != nil || got[0] != "<nil>" || got[1] != "denied" {
		t.Errorf("%q, %v", got, err)
	}
	want = append(want, "refused d/# e")
	if got := w.all(); !slices.Equal(got, want) {
		t.Errorf("then it refuses %q", got)
	}
	kill(t, r.pid())
	eventually(t, "the next process wants the same", func() bool { return slices.Equal(w.all(), append(want, "publish a/#")) })
}

// A process that wants what it may not does not start.
func TestWantsTooMuch(t *testing.T) {
	code, err := plugCode()
	if err != nil {
		t.Fatal(err)
	}
	tr := New(Config{})
	defer tr.Close()
	sp := spec(code, &services{}, zap.NewNop())
	sp.Services.Wants, sp.Config = &topics{}, []byte(`{"want": "bad/#/"}`)
	if _, err := tr.Open(t.Context(), sp); err == nil || !strings.Contains(err.Error(), "filters of the hook publish: invalid arguments") {
		t.Errorf("opened: %v", err)
	}
}
