package registry_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunlinmq/dunlin/core/broker"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
)

// node is a registry with the real router and broker behind it.
type node struct {
	*registry.Registry
	hooks  *hook.Points
	router *router.Router
	broker *broker.Broker
	wills  chan string
	cfg    session.Config
}

func newNode() *node {
	n := &node{hooks: new(hook.Points), router: router.New(router.Config{}), wills: make(chan string, 64)}
	n.broker = broker.New(broker.Config{Node: 1, Incarnation: 1}, n.hooks, n.router)
	n.cfg = session.Config{MaxQueueLen: 100, StoreQoS0: true}
	n.Registry = registry.New(registry.Config{
		Hooks: n.hooks, Router: n.router, Redispatch: n.broker.Redispatch,
		PublishWill: func(_ *router.Batch, w *registry.Will) { n.wills <- w.Will.Topic },
	})
	return n
}

func batch() *router.Batch { return &router.Batch{Now: time.Now().UnixNano()} }

// runner is a connection that leaves as soon as it is told to.
type runner struct {
	n      *node
	depart registry.Departure
	client *registry.Client

	mu      sync.Mutex
	got     []string
	left    packet.ReasonCode
	claimed chan registry.Claim
}

func (n *node) connect(id string, clean bool, d registry.Departure) (*runner, bool) {
	r := &runner{n: n, depart: d, claimed: make(chan registry.Claim, 1)}
	q := &registry.ClaimRequest{ID: id, Clean: clean, Runner: r, Session: &n.cfg,
		Done: func(_ *router.Batch, c registry.Claim) { r.claimed <- c }}
	b := batch()
	answer, done := n.Claim(b, q)
	b.Flush()
	if !done {
		answer = <-r.claimed
	}
	r.client = answer.Client
	if r.client != nil {
		r.client.Session().Attach(b.Now, 10, false, new(session.Effects))
	}
	return r, answer.Present
}

// Wake implements registry.Runner.
func (r *runner) Wake(b *router.Batch) {
	if b != nil {
		b.Touch(r)
		return
	}
	b = batch()
	r.Flush(b)
	b.Flush()
}

// Flush implements router.Sink: one turn.
func (r *runner) Flush(b *router.Batch) {
	box, evict := r.client.Drain()
	if evict != 0 {
		r.client.PutBack(box)
		r.leave(b, evict)
		return
	}
	if box != nil {
		r.mu.Lock()
		for _, d := range box.Deliveries {
			r.got = append(r.got, string(d.Msg.Payload))
		}
		r.mu.Unlock()
		box.Free()
	}
}

func (r *runner) leave(b *router.Batch, why packet.ReasonCode) {
	r.mu.Lock()
	r.left = why
	r.mu.Unlock()
	r.client.Session().Detach()
	r.n.Release(b, r.client, r.depart)
}

func (n *node) subscribe(c *registry.Client, filter string, share *message.Share) {
	full := filter
	if share != nil {
		full = "$share/" + share.Group + "/" + filter
	}
	o := message.SubOptions{QoS: 1}
	c.Session().Subscribe(full, o)
	n.router.Subscribe(&router.Subscription{Filter: filter, Share: share, Opts: o, To: c})
}

func (n *node) publish(payload string) packet.ReasonCode {
	b := batch()
	defer b.Flush()
	return n.broker.PublishOne(b, &message.Message{Topic: "t", Payload: []byte(payload), QoS: 1})
}

func TestDeliverOnlineAndOffline(t *testing.T) {
	n := newNode()
	a, present := n.connect("a", true, registry.Departure{Expiry: 100})
	if present {
		t.Error("a new session is said to be present")
	}
	n.subscribe(a.client, "t", nil)
	n.publish("1")
	n.publish("2")
	if fmt.Sprint(a.got) != "[1 2]" {
		t.Errorf("got %v", a.got)
	}
	a.leave(batch(), 0)
	if code := n.publish("3"); code != packet.Success || n.Online() != 0 || n.Sessions() != 1 {
		t.Errorf("offline publish: %v, online %d, sessions %d", code, n.Online(), n.Sessions())
	}
	again, present := n.connect("a", false, registry.Departure{})
	if !present || again.client != a.client || again.client.Session().Info().Inflight != 1 {
		t.Errorf("present %v, session has %+v", present, again.client.Session().Info())
	}
	again.leave(batch(), 0)
	if n.publish("4") != packet.NoMatchingSubscribers || n.Sessions() != 0 {
		t.Error("a session with expiry 0 outlived its connection")
	}
}

// TestTakeover is [MQTT-3.1.4-3]: the old connection is told 0x8E and the
// session goes on, with everything that came meanwhile.
func TestTakeover(t *testing.T) {
	n := newNode()
	a, _ := n.connect("a", false, registry.Departure{Expiry: 100})
	n.subscribe(a.client, "t", nil)
	b, present := n.connect("a", false, registry.Departure{Expiry: 100})
	if !present || a.left != packet.SessionTakenOver || n.Online() != 1 {
		t.Fatalf("present %v, old left with %v, online %d", present, a.left, n.Online())
	}
	n.publish("1")
	if fmt.Sprint(b.got) != "[1]" || len(a.got) != 0 {
		t.Errorf("new got %v, old got %v", b.got, a.got)
	}
	c, present := n.connect("a", true, registry.Departure{Expiry: 100})
	if present || b.left != packet.SessionTakenOver || n.Sessions() != 1 {
		t.Errorf("clean start: present %v, old left with %v, sessions %d", present, b.left, n.Sessions())
	}
	if n.publish("2") != packet.NoMatchingSubscribers || len(c.got) != 0 {
		t.Error("a clean start kept subscriptions")
	}
}

// stuck is a connection whose turn does not come.
type stuck struct{ woken atomic.Int32 }

// Wake implements registry.Runner.
func (s *stuck) Wake(*router.Batch) { s.woken.Add(1) }

// TestNewestClaimWins: of several connections that wait for one session only
// the newest gets it.
func TestNewestClaimWins(t *testing.T) {
	n := newNode()
	old := &stuck{}
	first, _ := n.Claim(batch(), &registry.ClaimRequest{ID: "a", Runner: old, Session: &n.cfg})
	var answers [3]registry.Claim
	for i := range answers {
		n.Claim(batch(), &registry.ClaimRequest{ID: "a", Runner: &stuck{}, Session: &n.cfg,
			Done: func(_ *router.Batch, c registry.Claim) { answers[i] = c }})
	}
	if old.woken.Load() != 1 {
		t.Errorf("the owner was woken %d times", old.woken.Load())
	}
	if !answers[0].Superseded || !answers[1].Superseded || answers[2].Client != nil {
		t.Errorf("answers before the owner left: %+v", answers)
	}
	n.Release(batch(), first.Client, registry.Departure{Expiry: 10})
	if answers[2].Client != first.Client || !answers[2].Present {
		t.Errorf("the newest got %+v", answers[2])
	}
}

func will(topic string) *registry.Will { return &registry.Will{Will: &packet.Will{Topic: topic}} }

func (n *node) published() string {
	select {
	case w := <-n.wills:
		return w
	default:
		return ""
	}
}

// TestWillsAndExpiry runs time: [MQTT-3.1.2-8], [MQTT-3.1.3-9], [MQTT-3.1.2-23].
func TestWillsAndExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- n.Run(ctx) }()
		after := func(d time.Duration, want string, sessions int) {
			t.Helper()
			<-time.After(d) // synctest's clock
			synctest.Wait()
			if got := n.published(); got != want || n.Sessions() != sessions {
				t.Errorf("will %q and %d sessions, want %q and %d", got, n.Sessions(), want, sessions)
			}
		}
		leave := func(id string, expiry, delay uint32) {
			r, _ := n.connect(id, true, registry.Departure{Expiry: expiry, Will: will(id), Delay: delay})
			r.leave(batch(), 0)
		}
		leave("at once", 100, 0)
		after(0, "at once", 1)
		leave("later", 1000, 10)
		after(9*time.Second, "", 2)
		after(2*time.Second, "later", 2)
		leave("with its session", 5, 10)
		after(4*time.Second, "", 3)
		after(2*time.Second, "with its session", 2)
		leave("session ends now", 0, 10)
		after(0, "session ends now", 2)
		leave("resumed", 1000, 10)
		r, _ := n.connect("resumed", false, registry.Departure{Expiry: 1})
		after(20*time.Second, "", 3)
		r.leave(batch(), 0)
		after(2*time.Second, "", 2)
		leave("discarded", 1000, 10)
		n.connect("discarded", true, registry.Departure{})
		after(0, "discarded", 3)
		after(100*time.Second, "", 2) // "at once" has expired
		leave("never", registry.NeverExpires, registry.NeverExpires)
		after(1000*24*time.Hour, "", 2)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestSharedRedispatch: what a member has not drained goes to another when the
// member goes, and what its session held when the session ends.
func TestSharedRedispatch(t *testing.T) {
	n := newNode()
	share := &message.Share{Group: "g", Filter: "t"}
	a, _ := n.connect("a", true, registry.Departure{Expiry: 0})
	n.subscribe(a.client, "t", share)
	b := batch()
	a.client.Deliver(b, message.Delivery{Msg: &message.Message{Topic: "t", Payload: []byte("in the mailbox"), QoS: 1}, Share: share, Opts: message.SubOptions{QoS: 1}})
	a.client.Session().Deliver(b.Now, message.Delivery{Msg: &message.Message{Topic: "t", Payload: []byte("inflight"), QoS: 1}, Share: share, Opts: message.SubOptions{QoS: 1}}, new(session.Effects))
	c, _ := n.connect("c", true, registry.Departure{})
	n.subscribe(c.client, "t", share)
	a.leave(b, 0)
	b2 := batch()
	c.Flush(b2)
	if fmt.Sprint(c.got) != "[in the mailbox inflight]" {
		t.Errorf("the other member got %v", c.got)
	}
}

// TestMailboxIsBounded: a client whose turn does not come cannot take memory
// without limit, and the drop is told.
func TestMailboxIsBounded(t *testing.T) {
	n := newNode()
	drops := 0
	n.hooks.MessageDropped.Add(hook.Spec{}, func(e *hook.MessageEvent) {
		if e.Reason == "queue_full" && e.ClientID == "a" {
			drops++
		}
	})
	answer, _ := n.Claim(batch(), &registry.ClaimRequest{ID: "a", Runner: &stuck{}, Session: &n.cfg})
	n.subscribe(answer.Client, "t", nil)
	for range registry.MailboxLimit + 7 {
		n.publish("x")
	}
	box, _ := answer.Client.Drain()
	if len(box.Deliveries) != registry.MailboxLimit || drops != 7 {
		t.Errorf("mailbox has %d, %d dropped", len(box.Deliveries), drops)
	}
}

// actor is a connection with a goroutine of its own as its turn.
type actor struct{ wake chan struct{} }

// Wake implements registry.Runner.
func (a *actor) Wake(*router.Batch) {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// live claims the id, stays until it is evicted, and leaves.
func (a *actor) live(n *node, id string, clean bool, d registry.Departure) {
	claimed := make(chan registry.Claim, 1)
	answer, done := n.Claim(batch(), &registry.ClaimRequest{ID: id, Clean: clean, Runner: a, Session: &n.cfg,
		Done: func(_ *router.Batch, c registry.Claim) { claimed <- c }})
	if !done {
		answer = <-claimed
	}
	if answer.Client == nil {
		return
	}
	answer.Client.Session().Attach(batch().Now, 10, false, new(session.Effects))
	for range a.wake {
		box, evict := answer.Client.Drain()
		box.Free()
		if evict != 0 {
			answer.Client.Session().Detach()
			n.Release(batch(), answer.Client, d)
			return
		}
	}
}

// TestTakeoverStorm: many connections fight for few client ids. Each id has one
// owner at a time, nobody waits for ever, and nothing is left in the end.
func TestTakeoverStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode()
		n.wills = make(chan string, 10_000)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- n.Run(ctx) }()
		var wg sync.WaitGroup
		for i := range 2000 {
			wg.Go(func() {
				a := &actor{wake: make(chan struct{}, 1)}
				d := registry.Departure{Expiry: uint32(i % 7), Will: will("w"), Delay: uint32(i % 5)}
				a.live(n, fmt.Sprint("c", i%4), i%3 == 0, d)
			})
			if i%100 == 0 {
				synctest.Wait()
				if n.Online() > 4 {
					t.Errorf("%d owners of 4 client ids", n.Online())
				}
			}
		}
		synctest.Wait()
		if n.Online() != 4 {
			t.Errorf("%d owners of 4 client ids when the storm was over", n.Online())
		}
		n.EvictAll(packet.ServerShuttingDown)
		wg.Wait()
		<-time.After(time.Minute) // synctest's clock
		synctest.Wait()
		if n.Online() != 0 || n.Sessions() != 0 {
			t.Errorf("online %d, sessions %d at the end", n.Online(), n.Sessions())
		}
		cancel()
		<-done
	})
}
