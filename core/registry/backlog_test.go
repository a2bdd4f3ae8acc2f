package registry

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
)

// TestPass: whatever the order in which places become over, each counts once, and the
// floor is where the first is that is not.
func TestPass(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		n := 1 + rng.IntN(40)
		var l backlog
		over := make([]bool, n+2)
		for range 3 * n {
			seq := uint64(1 + rng.IntN(n))
			if got := l.pass(seq); got == over[seq] {
				t.Fatalf("pass(%d) is %v with %+v", seq, got, l)
			}
			over[seq] = true
			for seq := range uint64(n + 2) {
				if l.isOver(seq) != (seq == 0 || over[seq]) {
					t.Fatalf("isOver(%d) is %v: %+v", seq, l.isOver(seq), l)
				}
			}
			want := slices.Index(over[1:], false)
			if l.floor != uint64(want) {
				t.Fatalf("floor %d, want %d: %+v", l.floor, want, l)
			}
			at := l.floor + 1
			for _, s := range l.ahead {
				if s.from <= at || s.to < s.from || slices.Contains(over[s.from:s.to+1], false) || over[s.from-1] || s.to < uint64(n) && over[s.to+1] {
					t.Fatalf("spans %v of %v", l.ahead, over)
				}
				at = s.to + 1
			}
		}
	}
}

// TestStoredModel: sessions get messages in transactions that are committed in another
// order than they were filled, and are done with them in any order, by one transaction
// or another. What a crash leaves is what each was not done with, once each.
func TestStoredModel(t *testing.T) {
	for seed := range uint64(20) {
		m := newStored(t, seed)
		for range 400 {
			m.step()
		}
		m.crash()
		for _, c := range m.clients {
			for seq := range m.owed[c.id] {
				m.over(c, seq)
			}
		}
		m.commit(-1)
		if n, _, err := store.Count(m.st, store.Prefix([]byte{keyBlock})); err != nil || n != 0 {
			t.Fatalf("seed %d: %d blocks are left when all is over, %v", seed, n, err)
		}
		m.crash()
	}
}

type stored struct {
	t       *testing.T
	rng     *rand.Rand
	st      store.Store
	r       *Registry
	clients []*Client
	open    []*router.Batch
	owed    map[string]map[uint64]string // of each client: its places and their messages
	n       int
}

func newStored(t *testing.T, seed uint64) *stored {
	m := &stored{t: t, rng: rand.New(rand.NewPCG(seed, 5)), st: mem.New(), owed: map[string]map[uint64]string{}}
	m.start()
	b := &router.Batch{}
	for i := range 3 {
		c, _ := m.r.Claim(b, &ClaimRequest{ID: fmt.Sprint("c", i), Session: &session.Config{MaxInflight: 32}})
		if _, err := c.Client.Begin(b, Terms{Level: store.Async, Expiry: NeverExpires}); err != nil {
			t.Fatal(err)
		}
		m.clients = append(m.clients, c.Client)
		m.owed[c.Client.id] = map[uint64]string{}
	}
	b.Flush()
	return m
}

func (m *stored) start() {
	m.r = New(Config{Hooks: new(hook.Points), Router: router.New(router.Config{}), Journal: journal.New(m.st), Zone: anyZone})
	m.open = []*router.Batch{{}, {}}
	if _, err := m.r.Recover(m.t.Context(), 1, func(Recovered) {}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *stored) step() {
	b := m.open[m.rng.IntN(len(m.open))]
	c := m.clients[m.rng.IntN(len(m.clients))]
	switch n := m.rng.IntN(100); {
	case n < 45:
		m.n++
		msg := &message.Message{Topic: fmt.Sprint("t", m.n%3), Payload: fmt.Append(make([]byte, m.rng.IntN(2000)), m.n), QoS: 2, From: "p"}
		for _, c := range m.clients {
			if m.rng.IntN(3) > 0 {
				d := message.Delivery{Msg: msg, Opts: message.SubOptions{QoS: byte(1 + m.rng.IntN(2))}}
				c.mu.Lock()
				c.record(b, &d)
				c.mu.Unlock()
				m.owed[c.id][d.Seq] = string(msg.Payload)
			}
		}
	case n < 80:
		for seq := range m.owed[c.id] {
			if m.rng.IntN(3) == 0 {
				m.overIn(b, c, seq)
			}
		}
	case n < 85: // the client has some, and they are to be released
		for seq := range m.owed[c.id] {
			if m.rng.IntN(3) == 0 {
				// It is its connection's event loop that does all that follows for the place.
				c.Settle(m.open[0], &session.Effects{Moves: []session.Move{{Seq: seq, Step: session.StepReceived}}})
				m.owed[c.id][seq] = "received"
			}
		}
	case n < 97:
		m.commit(m.rng.IntN(len(m.open)))
	case n < 99:
		m.crash()
	default: // the session ends and its client has another
		id, b := c.id, m.open[m.rng.IntN(len(m.open))]
		c.forget(b)
		c.durable = nil
		if _, err := c.Begin(b, Terms{Level: store.Async, Expiry: NeverExpires}); err != nil {
			m.t.Fatal(err)
		}
		m.owed[id] = map[uint64]string{}
	}
}

func (m *stored) over(c *Client, seq uint64) { m.overIn(m.open[0], c, seq) }

func (m *stored) overIn(b *router.Batch, c *Client, seq uint64) {
	if m.owed[c.id][seq] == "received" {
		b = m.open[0]
	}
	c.mu.Lock()
	c.remove(b, seq)
	c.mu.Unlock()
	delete(m.owed[c.id], seq)
}

// readStored is what a reader of the store finds, as owed has it.
func (m *stored) readStored() map[string]map[uint64]string {
	m.t.Helper()
	all := map[string]map[uint64]string{}
	to := Stored{
		Session: func(s *StoredSession) error {
			all[s.ClientID] = map[uint64]string{}
			return nil
		},
		Message: func(client string, l session.Loaded) error {
			if _, twice := all[client][l.Seq]; twice {
				return fmt.Errorf("%s: place %d comes twice", client, l.Seq)
			}
			all[client][l.Seq] = "received"
			if l.Msg != nil {
				all[client][l.Seq] = string(l.Msg.Payload)
			}
			return nil
		},
	}
	if err := ReadStored(m.st, to); err != nil {
		m.t.Fatal(err)
	}
	return all
}

// commit commits one open transaction; negative: all.
func (m *stored) commit(i int) {
	for at := range m.open {
		if i < 0 || i == at {
			m.open[at].Flush()
		}
	}
}

// crash commits all, so that the outcome is sure, and compares what comes back.
func (m *stored) crash() {
	m.t.Helper()
	m.commit(-1)
	stored := m.readStored()
	m.start()
	for i, old := range m.clients {
		c := m.r.Lookup(old.id)
		if c == nil {
			m.t.Fatalf("%s did not come back", old.id)
		}
		m.clients[i] = c
		var places, all []uint64
		c.sess.Kept(func(seq uint64) { places = append(places, seq) })
		c.sess.Places(func(seq uint64) { all = append(all, seq) })
		if !maps.Equal(stored[c.id], m.owed[c.id]) {
			m.t.Fatalf("%s: the store is read as %d places, want %d", c.id, len(stored[c.id]), len(m.owed[c.id]))
		}
		received := 0
		for _, what := range m.owed[c.id] {
			if what == "received" {
				received++
			}
		}
		if len(all) != len(m.owed[c.id]) || len(places)+received != len(all) || !slices.IsSorted(places) {
			m.t.Fatalf("%s: places %v of %v, want those of %d messages and %d that were received", c.id, places, all, len(m.owed[c.id]), received)
		}
		for len(places) > 0 {
			ms, err := c.read(places, readBytes)
			if err != nil || len(ms) == 0 {
				m.t.Fatalf("%s: read %v: %d, %v", c.id, places, len(ms), err)
			}
			for j := range ms {
				if ms[j].Msg == nil || ms[j].Seq != places[j] || string(ms[j].Msg.Payload) != m.owed[c.id][places[j]] || ms[j].Msg.From != "p" {
					m.t.Fatalf("%s: place %d is %+v", c.id, places[j], ms[j].Msg)
				}
			}
			places = places[len(ms):]
		}
	}
}
