package plugin

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

func tell[E any](p *hook.Point[hook.Observe[E]], e E) {
	for _, f := range p.Chain() {
		f(&e)
	}
}

// seen collects what an observing plugin is told.
type seen struct {
	mu     sync.Mutex
	events []string
	frames int
}

func (s *seen) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.events...)
}

func (s *seen) on(_ *builtinInstance, c *Call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames++
	if !c.Observe {
		return errBoom
	}
	frame := c.Frame
	for range c.N {
		r, rest, err := contract.Split(frame)
		if err != nil {
			return err
		}
		frame = rest
		what := string(r.Slot(contract.SlotTopic)) // the zone, in hooks about clients
		s.events = append(s.events, fmt.Sprintf("%s %s %s %d", r.Hook(), r.Slot(contract.SlotClientID), what, r.Aux()))
	}
	return nil
}

var observing13 = `hook = [
 { name = "connected", class = "observe" }, { name = "disconnected", class = "observe" },
 { name = "subscribed", class = "observe" }, { name = "unsubscribed", class = "observe" },
 { name = "session_created", class = "observe" }, { name = "session_resumed", class = "observe" },
 { name = "session_takenover", class = "observe" }, { name = "session_expired", class = "observe" },
 { name = "session_discarded", class = "observe" }, { name = "published", class = "observe" },
 { name = "delivered", class = "observe" }, { name = "acked", class = "observe" }, { name = "dropped", class = "observe" },
]
`

// All observing hooks, in the order in which things happened, in few frames.
func TestObserve(t *testing.T) {
	f := newFixture(t)
	s := &seen{}
	f.add("o", observing13, &builtinPlugin{on: s.on})
	f.start("o.\n")
	c, p := testClient(), f.points
	tell(&p.ClientConnected, hook.ConnectionEvent{Client: c, At: time.Unix(1, 0)})
	tell(&p.SessionCreated, hook.SessionEvent{ClientID: c.ID, Client: c})
	tell(&p.SessionResumed, hook.SessionEvent{ClientID: c.ID, Client: c})
	tell(&p.SessionSubscribed, hook.SubscriptionEvent{Client: c, Filter: "a/#", Opts: message.SubOptions{QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 1, ID: 3}, New: true})
	tell(&p.MessagePublished, hook.MessageEvent{Client: c, Msg: msg("a/1", "xyz", 1)})
	tell(&p.MessageDelivered, hook.MessageEvent{ClientID: "offline", Msg: msg("a/1", "xyz", 1)})
	tell(&p.MessageAcked, hook.MessageEvent{Client: c, Msg: msg("a/1", "xyz", 1)})
	tell(&p.MessageDropped, hook.MessageEvent{Msg: msg("a/2", "", 0), Reason: "no_subscribers"})
	tell(&p.SessionUnsubscribed, hook.SubscriptionEvent{Client: c, Filter: "a/#"})
	tell(&p.SessionTakenOver, hook.SessionEvent{ClientID: c.ID, Client: c})
	tell(&p.ClientDisconnected, hook.ConnectionEvent{Client: c, Reason: packet.KeepAliveTimeout, Text: "keepalive_timeout"})
	tell(&p.SessionDiscarded, hook.SessionEvent{ClientID: c.ID, Client: c})
	tell(&p.SessionExpired, hook.SessionEvent{ClientID: "gone"})
	want := []string{
		"connected c1 external 60", "session_created c1 external 0", "session_resumed c1 external 0", "subscribed c1 a/# 30",
		"published c1 a/1 3", "delivered offline a/1 3", "acked c1 a/1 3", "dropped  a/2 0", "unsubscribed c1 a/# 0",
		"session_takenover c1 external 0", "disconnected c1 external 141", "session_discarded c1 external 0", "session_expired gone  0",
	}
	eventually(t, "13 events", func() bool { return len(s.list()) == len(want) })
	for i, got := range s.list() {
		if got != want[i] {
			t.Errorf("event %d: %q, want %q", i, got, want[i])
		}
	}
	for _, cost := range f.List()[0].Costs { // each hook has its own record, whose frame ever it came in
		if cost.Records != 1 || cost.Faults != 0 {
			t.Errorf("%s: %d records, %d faults", cost.Hook, cost.Records, cost.Faults)
		}
	}
}

// A plugin that does not return never slows who tells it; the oldest records
// are dropped and counted, the newest arrive.
func TestObserveNeverBlocks(t *testing.T) {
	f := newFixture(t)
	s := &seen{}
	block := make(chan struct{})
	p := &builtinPlugin{on: func(i *builtinInstance, c *Call) error {
		<-block
		return s.on(i, c)
	}}
	f.add("slow", hookLine(contract.HookPublished, ""), p)
	f.start("slow.\n")
	const n = 3 * maxObserved
	for i := range n {
		tell(&f.points.MessagePublished, hook.MessageEvent{Msg: msg(fmt.Sprint(i), "", 0)})
	}
	l := f.List()[0]
	if l.Queued > maxObserved || l.Dropped < n-2*maxObserved-1 {
		t.Errorf("%d queued, %d dropped", l.Queued, l.Dropped)
	}
	close(block)
	last := fmt.Sprintf("published  %d 0", n-1)
	eventually(t, "the newest record", func() bool {
		got := s.list()
		return len(got) > 0 && got[len(got)-1] == last
	})
	if got, l := len(s.list()), f.List()[0]; got+int(l.Dropped) != n {
		t.Errorf("%d told and %d dropped of %d", got, l.Dropped, n)
	}
}

// The queue is bounded in bytes too.
func TestObserveBytes(t *testing.T) {
	f := newFixture(t)
	block := make(chan struct{})
	f.add("slow", hookLine(contract.HookPublished, ""), &builtinPlugin{on: func(*builtinInstance, *Call) error { <-block; return nil }})
	f.start("slow.\n")
	defer close(block)
	big := string(make([]byte, 100<<10))
	for range 200 {
		tell(&f.points.MessagePublished, hook.MessageEvent{Msg: msg("t", big, 0)})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Manager.mu.Lock()
	defer f.Manager.mu.Unlock()
	q := f.plugins[0].queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := q.enc.Len() - q.skip; n > maxObservedBytes || q.enc.Len() > 2*maxObservedBytes {
		t.Errorf("%d bytes queued, %d held", n, q.enc.Len())
	}
}

// Unload hands over what is queued; a reload passes the queue to the new version.
func TestObserveSurvivesReload(t *testing.T) {
	f := newFixture(t)
	s := &seen{}
	f.add("o", hookLine(contract.HookPublished, ""), &builtinPlugin{on: s.on})
	f.start("o.\n")
	const n = 2000
	for i := range n {
		tell(&f.points.MessagePublished, hook.MessageEvent{Msg: msg(fmt.Sprint(i), "", 0)})
		if i%500 == 250 {
			if err := f.Reload("o"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Unload("o"); err != nil {
		t.Fatal(err)
	}
	got := s.list()
	if len(got) != n {
		t.Fatalf("%d of %d records", len(got), n)
	}
	for i := range got {
		if got[i] != fmt.Sprintf("published  %d 0", i) {
			t.Fatalf("record %d is %q", i, got[i])
		}
	}
	if s.frames > n/4 {
		t.Errorf("%d frames for %d records", s.frames, n)
	}
}

func TestObserveScope(t *testing.T) {
	f := newFixture(t)
	s := &seen{}
	f.add("o", hookLine(contract.HookPublished, `, filters = ["a/+"], when = { qos_min = 1, listener = "tcp:external", protocol = "5.0", principal_prefix = "p" }`), &builtinPlugin{on: s.on})
	f.start("o.\n")
	other := testClient()
	other.Listener = "tcp:internal"
	old := testClient()
	old.Protocol = packet.V311
	for _, e := range []hook.MessageEvent{
		{Client: testClient(), Msg: msg("a/0", "", 0)}, {Client: testClient(), Msg: msg("b/1", "", 1)}, {Client: other, Msg: msg("a/2", "", 1)},
		{Client: old, Msg: msg("a/3", "", 1)}, {Msg: msg("a/4", "", 1)}, {Client: testClient(), Msg: msg("a/5", "", 1)},
	} {
		tell(&f.points.MessagePublished, e)
	}
	eventually(t, "one event", func() bool { return len(s.list()) > 0 })
	if err := f.Unload("o"); err != nil {
		t.Fatal(err)
	}
	if got := s.list(); len(got) != 1 || got[0] != "published c1 a/5 0" {
		t.Errorf("told %v", got)
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	f := newFixture(t)
	f.add("o", hookLine(contract.HookPublished, `, filters = ["t/#"]`), &builtinPlugin{on: func(*builtinInstance, *Call) error { return nil }})
	f.start("o.\n")
	e := &hook.MessageEvent{Client: testClient(), Msg: msg("t/a", "payload", 1)}
	chain := f.points.MessagePublished.Chain()
	for range 4 * maxObserved {
		chain[0](e)
	}
	if n := testing.AllocsPerRun(1000, func() { chain[0](e) }); n > 0.2 {
		t.Errorf("%v allocations per event", n)
	}
}
