package rpc

import (
	"context"
	"sync"
	"testing"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// parked notes what processes say about events that they have put off.
type parked struct {
	mu      sync.Mutex
	resumed map[uint64]contract.Action // by token
	guests  map[uint64]bool
	gone    []uint64
}

func (p *parked) Resume(guest, token uint64, block []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, twice := p.resumed[token]; twice {
		return contract.ErrnoNotFound
	}
	if p.resumed == nil {
		p.resumed, p.guests = map[uint64]contract.Action{}, map[uint64]bool{}
	}
	p.resumed[token], p.guests[guest] = contract.VerdictAt(block, 0).Action, true
	return nil
}

func (p *parked) Gone(guest uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = append(p.gone, guest)
}

// A process decides later by a host call; the tokens of one that dies are given up.
func TestResume(t *testing.T) {
	k := &parked{}
	r := open(t, Config{}, func(s *plugin.Spec) { s.Services.Parked = k })
	// The call stands for the manager's, which alone can make one that waits: here
	// putting off is a fault of the plugin and says so.
	c := frame(contract.HookPublish, "later")
	if err := r.inst.Call(context.Background(), c); err == nil {
		t.Error("a call without a place to wait took Pending")
	}
	out, err := r.ask("decide")
	if err != nil || out[0] != "[<nil> not found]" {
		t.Errorf("decide: %q, %v", out, err)
	}
	k.mu.Lock()
	if len(k.resumed) != 1 || k.resumed[1] != contract.Drop || !k.guests[1] {
		t.Errorf("resumed %v by %v", k.resumed, k.guests)
	}
	k.mu.Unlock()
	kill(t, r.pid())
	eventually(t, "the process was given up", func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return len(k.gone) == 1 && k.gone[0] == 1
	})
	eventually(t, "it is back", func() bool { return r.inst.Status().State == plugin.StateRunning && r.pid() != 0 })
}
