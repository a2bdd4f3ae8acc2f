package conn_test

import (
	"runtime"
	"testing"

	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/conn"
)

// silent is a machine of no size.
type silent struct{}

func (*silent) Input(_ *channel.IO, b []byte) int { return len(b) }
func (*silent) Run(*channel.IO)                   {}
func (*silent) Tick(*channel.IO)                  {}
func (*silent) Lost(*channel.IO, error)           {}

// An idle connection is its struct and its slot, also after it was busy.
func TestIdleConnectionMemory(t *testing.T) {
	const conns, most = 2000, 400
	r := newRig(t, conn.Config{Loops: 2}, accepts["descriptor"])
	clients := make([]*client, 0, conns)
	machine := new(silent)
	heap := func() int64 {
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	// The clients live in this process too: all are made first.
	var fds []func()
	for range conns {
		nc, sc := r.pair()
		a, err := r.accept(sc)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, &client{nc, t})
		fds = append(fds, func() {
			if err := r.engine.Serve(a, func(conn.Waker) conn.Machine { return machine }); err != nil {
				t.Error(err)
			}
		})
	}
	before := heap()
	for _, serve := range fds {
		serve()
	}
	for _, c := range clients {
		c.send(make([]byte, 100))
	}
	after := heap()
	per := (after - before) / conns
	t.Logf("%d bytes per idle connection", per)
	if per > most {
		t.Errorf("more than %d", most)
	}
	runtime.KeepAlive(fds)
}
