package channel_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/core/store/pebble"
	"github.com/dunlinmq/dunlin/core/store/storetest"
)

// model is clients that keep their side of MQTT's promises around a node that crashes, and what the node owes them.
type model struct {
	w       *world
	rng     *rand.Rand
	clients []*person
	power   func() store.Store // ends the disk as a loss of power does, and opens it again; nil: what was written stays
	crashes int
}

const people = 4

func newModel(seed uint64, st store.Store) *model {
	m := &model{w: newWorld(), rng: rand.New(rand.NewPCG(seed, 9))}
	z := &m.w.zone
	z.Durability = store.Async
	z.Session = session.Config{MaxInflight: 4, StoreQoS0: true}
	z.MaxSessionExpiry = 0xFFFFFFFF
	m.w.disk = &disk{Gate: storetest.NewGate(st), mem: st}
	m.w.disk.open()
	m.w.build()
	for i := range people {
		p := &person{m: m, i: i, id: "c" + strconv.Itoa(i), qos: byte(1 + i%2), v: []packet.Version{packet.V50, packet.V311}[i/2%2],
			subs: map[string]byte{}, held: map[uint16]string{}}
		for j := range p.from {
			p.from[j].got = map[int]bool{}
		}
		m.clients = append(m.clients, p)
	}
	return m
}

// step does one random thing.
func (m *model) step() error {
	p := m.clients[m.rng.IntN(people)]
	switch n := m.rng.IntN(100); {
	case n < 25:
		p.publish(1 + m.rng.IntN(6))
	case n < 60:
		return p.read(m.rng.IntN(8))
	case n < 75:
		return m.release(m.rng.IntN(4))
	case n < 80:
		return m.release(-1)
	case n < 86:
		p.change()
	case n < 92:
		return p.cut()
	case n < 93:
		m.w.advance(time.Duration(m.rng.IntN(int(time.Minute))))
	case n == 93 && m.rng.IntN(2) == 0:
		return m.crash()
	default:
		p.connect()
	}
	return nil
}

func (m *model) release(n int) error {
	err := m.w.disk.Release(n)
	m.w.run()
	return err
}

// crash ends the node with what is not safe, and compares what comes back.
func (m *model) crash() error {
	m.crashes++
	for _, p := range m.clients {
		if err := p.gone(); err != nil {
			return err
		}
	}
	if m.power != nil {
		m.w.disk.mem = m.power()
	}
	if err := m.w.crash(); err != nil {
		return err
	}
	for _, p := range m.clients {
		if err := p.compare(); err != nil {
			return err
		}
	}
	return nil
}

// settle lets everybody come and have everything, and says what is owed.
func (m *model) settle() error {
	for range 10_000 {
		busy := false
		for _, p := range m.clients {
			p.connect()
			if err := p.read(-1); err != nil {
				return err
			}
			busy = busy || len(p.under) > 0 || p.open != nil || p.link != nil && len(p.link.pending) > 0
		}
		waiting, _ := m.w.disk.Waiting()
		if !busy && waiting == 0 {
			break
		}
		if err := m.release(-1); err != nil {
			return err
		}
	}
	for _, p := range m.clients {
		if len(p.under) > 0 {
			return fmt.Errorf("%s has no acknowledgement of %d", p.id, p.under[0].n)
		}
		for j := range p.from {
			for _, n := range p.from[j].due {
				if !p.from[j].got[n] {
					return fmt.Errorf("%s has not got %d of %s, which was acknowledged", p.id, n, m.clients[j].id)
				}
			}
		}
	}
	return nil
}

// run has everybody subscribe, does some steps and settles.
func (m *model) run(t *testing.T, seed uint64, steps int) {
	t.Helper()
	for range people * people {
		for _, p := range m.clients {
			p.connect()
			if len(p.subs) < people {
				p.change()
			}
		}
		if err := m.settle(); err != nil {
			t.Fatalf("seed %d, at the start: %v", seed, err)
		}
	}
	for i := range steps {
		if err := m.step(); err != nil {
			t.Fatalf("seed %d, step %d, after %d crashes: %v", seed, i, m.crashes, err)
		}
	}
	if err := m.settle(); err != nil {
		t.Fatalf("seed %d, at the end, after %d crashes: %v", seed, m.crashes, err)
	}
}

// TestCrashModel: random clients, acknowledgements of the disk at random times, and crashes that take what the disk has not
// acknowledged: sessions, subscriptions and messages are as was acknowledged, QoS 2 once, in order.
func TestCrashModel(t *testing.T) {
	crashes, got := 0, 0
	for seed := range uint64(60) {
		m := newModel(seed, mem.New())
		m.run(t, seed, 600)
		crashes += m.crashes
		for _, p := range m.clients {
			for i := range p.from {
				got += len(p.from[i].got)
			}
		}
	}
	if crashes < 100 || got < 10_000 {
		t.Errorf("only %d crashes and %d messages", crashes, got)
	}
}

// TestLyingDisk: as TestCrashModel in the class sync, with a store on a disk that loses a part of what was not synced.
func TestLyingDisk(t *testing.T) {
	for seed := range uint64(8) {
		fs := vfs.NewCrashableMem()
		open := func() *pebble.Store {
			s, err := pebble.Open(pebble.Config{Dir: "/s", FS: fs, MemTableBytes: 256 << 10, SyncInterval: time.Hour})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			return s
		}
		on := open()
		m := newModel(seed, prompt{on})
		m.w.zone.Durability = store.Sync
		m.power = func() store.Store {
			lost := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: m.rng.IntN(100), RNG: m.rng})
			if err := on.Close(); err != nil {
				t.Fatal(err)
			}
			fs = lost
			on = open()
			return prompt{on}
		}
		m.run(t, seed, 500)
		if err := on.Close(); err != nil {
			t.Error(err)
		}
	}
}

// prompt is a store that has completed a batch when Commit returns, on the caller's goroutine.
type prompt struct{ store.Store }

func (p prompt) Commit(b *store.Batch, d store.Durability, done store.Completion) error {
	done.Done(store.Apply(context.Background(), p.Store, b, d))
	return nil
}
