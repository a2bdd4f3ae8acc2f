package conn_test

import (
	"sync/atomic"
	"testing"

	"github.com/dunlinmq/dunlin/core/conn"
)

// forwarders are two clients; what the first sends comes to the second.
func forwarders(t *testing.T, r *rig) (from, to *client) {
	serve := func(f *forwarder) *client {
		nc, sc := r.pair()
		a, err := r.accept(sc)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.engine.Serve(a, f.machine); err != nil {
			t.Fatal(err)
		}
		return &client{nc, t}
	}
	pub, sub := &forwarder{total: new(atomic.Int64)}, &forwarder{total: new(atomic.Int64)}
	pub.to.Store(sub)
	sub.to.Store(pub)
	return serve(pub), serve(sub)
}

// A message through the engine allocates nothing: neither the read, nor the
// touch, nor the subscriber's turn, nor the write.
func TestForwardingDoesNotAllocate(t *testing.T) {
	r := newRig(t, conn.Config{Loops: 1}, accepts["descriptor"])
	from, to := forwarders(t, r)
	message, got := make([]byte, benchMessage), make([]byte, benchMessage)
	allocs := testing.AllocsPerRun(2000, func() {
		if _, err := from.Write(message); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Read(got); err != nil {
			t.Fatal(err)
		}
	})
	if allocs >= 1 {
		t.Errorf("%v allocations per message", allocs)
	}
}
