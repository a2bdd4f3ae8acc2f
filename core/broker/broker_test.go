package broker_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/dunlinmq/dunlin/core/broker"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/router"
)

// inbox is a subscriber that keeps what it gets.
type inbox struct {
	id     string
	online bool
	got    []message.Delivery
	runs   int
}

func (i *inbox) ClientID() string { return i.id }
func (i *inbox) Online() bool     { return i.online }

// Deliver implements router.Subscriber.
func (i *inbox) Deliver(b *router.Batch, d message.Delivery) {
	if len(i.got) == 0 {
		b.Touch(i)
	}
	i.got = append(i.got, d)
}

// Flush implements router.Sink.
func (i *inbox) Flush(*router.Batch) { i.runs++ }

func (i *inbox) payloads() (s []string) {
	for _, d := range i.got {
		s = append(s, string(d.Msg.Payload))
	}
	return s
}

type node struct {
	*broker.Broker
	hooks  *hook.Points
	router *router.Router
}

func newNode() node {
	n := node{hooks: new(hook.Points), router: router.New(router.Config{Strategy: router.RoundRobin})}
	n.Broker = broker.New(broker.Config{Node: 7, Incarnation: 9}, n.hooks, n.router)
	return n
}

func (n node) subscribe(filter string, share *message.Share, opts message.SubOptions) *inbox {
	in := &inbox{id: fmt.Sprint(filter, share), online: true}
	n.router.Subscribe(&router.Subscription{Filter: filter, Share: share, Opts: opts, To: in})
	return in
}

func events(payloads ...string) (es []hook.PublishEvent) {
	for _, p := range payloads {
		es = append(es, hook.PublishEvent{Msg: &message.Message{Topic: "t", Payload: []byte(p)}})
	}
	return es
}

// TestBatch: the messages of one read are delivered in order, and each
// subscriber runs once, at the batch's end [MQTT-4.6.0-6].
func TestBatch(t *testing.T) {
	n := newNode()
	a, all := n.subscribe("t", nil, message.SubOptions{QoS: 1, ID: 5}), n.subscribe("#", nil, message.SubOptions{})
	b := &router.Batch{Now: 42}
	es := events("1", "2", "3")
	n.Publish(b, es)
	if a.runs != 0 {
		t.Error("a subscriber ran before the batch ended")
	}
	b.Flush()
	if !slices.Equal(a.payloads(), []string{"1", "2", "3"}) || !slices.Equal(all.payloads(), a.payloads()) || a.runs != 1 || all.runs != 1 {
		t.Errorf("got %v in %d runs and %v in %d runs", a.payloads(), a.runs, all.payloads(), all.runs)
	}
	if d := a.got[0]; d.Opts.ID != 5 || d.Opts.QoS != 1 {
		t.Errorf("options %+v", d.Opts)
	}
	for i, e := range es {
		want := message.ID{Node: 7, Incarnation: 9, Seq: uint64(i + 1)}
		if e.Verdict != hook.Allow || e.Reason != packet.Success || e.Msg.ID != want || e.Msg.Time != 42 {
			t.Errorf("event %d: %v %v id %+v time %d", i, e.Verdict, e.Reason, e.Msg.ID, e.Msg.Time)
		}
	}
}

// TestVerdicts: what hooks decide is what the publisher is told, and only
// messages that pass are kept and routed.
func TestVerdicts(t *testing.T) {
	n := newNode()
	in := n.subscribe("t", nil, message.SubOptions{})
	n.hooks.MessagePublish.Add(hook.Spec{}, func(es []hook.PublishEvent) {
		for i := range es {
			switch e := &es[i]; string(e.Msg.Payload) {
			case "drop":
				e.Verdict = hook.Drop
			case "deny":
				e.Verdict = hook.Deny
			case "quota":
				e.Verdict, e.Reason = hook.Deny, packet.QuotaExceeded
			case "move":
				m := *e.Msg
				m.Topic = "nowhere"
				e.Msg = &m
			}
		}
	})
	var kept []string
	n.hooks.RetainedStore.Add(hook.Spec{}, func(es []hook.RetainEvent) {
		for i := range es {
			kept = append(kept, string(es[i].Msg.Payload))
			if string(es[i].Msg.Payload) == "refused" {
				es[i].Verdict, es[i].Reason = hook.Deny, packet.QuotaExceeded
			}
		}
	})
	var dropped []string
	n.hooks.MessageDropped.Add(hook.Spec{}, func(e *hook.MessageEvent) { dropped = append(dropped, string(e.Msg.Payload)+" "+e.Reason) })
	es := events("drop", "deny", "quota", "move", "pass", "refused")
	for i := range es {
		es[i].Msg.Retain = true
	}
	b := new(router.Batch)
	n.Publish(b, es)
	b.Flush()
	var told []string
	for _, e := range es {
		told = append(told, fmt.Sprintf("%#02x", byte(e.Reason)))
	}
	if want := []string{"0x00", "0x87", "0x97", "0x10", "0x00", "0x97"}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	if !slices.Equal(in.payloads(), []string{"pass"}) || !slices.Equal(kept, []string{"move", "pass", "refused"}) || !slices.Equal(dropped, []string{"move no_subscribers"}) {
		t.Errorf("routed %v, kept %v, dropped %v", in.payloads(), kept, dropped)
	}
}

// TestHops: a plugin that publishes each message on, also those that it has
// published itself, is stopped.
func TestHops(t *testing.T) {
	n := newNode()
	in := n.subscribe("t", nil, message.SubOptions{})
	n.hooks.MessagePublish.Add(hook.Spec{}, func(es []hook.PublishEvent) {
		for i := range es {
			m := *es[i].Msg
			m.Hops++
			es[i].Also = append(es[i].Also, &m)
		}
	})
	loops := 0
	n.hooks.MessageDropped.Add(hook.Spec{}, func(e *hook.MessageEvent) {
		if e.Reason == "loop" {
			loops++
		}
	})
	b := new(router.Batch)
	n.PublishOne(b, events("x")[0].Msg)
	if len(in.got) != broker.MaxHops+1 || loops != 1 {
		t.Errorf("%d messages went round, %d loops told", len(in.got), loops)
	}
}

// TestShared: one member of each group gets a message; a delivery whose member
// went away goes to another of the same group, not of another.
func TestShared(t *testing.T) {
	n := newNode()
	g, h := &message.Share{Group: "g", Filter: "t"}, &message.Share{Group: "h", Filter: "t"}
	a, b2, c := n.subscribe("t", g, message.SubOptions{}), &inbox{id: "b", online: true}, n.subscribe("t", h, message.SubOptions{})
	n.router.Subscribe(&router.Subscription{Filter: "t", Share: g, To: b2})
	b := new(router.Batch)
	for i := range 4 {
		n.PublishOne(b, &message.Message{Topic: "t", Payload: []byte{byte('0' + i)}})
	}
	if len(a.got) != 2 || len(b2.got) != 2 || len(c.got) != 4 {
		t.Fatalf("members got %d, %d and %d", len(a.got), len(b2.got), len(c.got))
	}
	d := a.got[0]
	if !n.Redispatch(b, d, a) || len(b2.got) != 3 || len(c.got) != 4 {
		t.Errorf("after the redispatch members have %d and %d", len(b2.got), len(c.got))
	}
	n.router.Unsubscribe(b2, g, "t")
	if n.Redispatch(b, d, a) {
		t.Error("a redispatch found the member that is gone")
	}
}

// TestPublishAllocates nothing for each message in steady state.
func TestPublishAllocatesNothing(t *testing.T) {
	n := newNode()
	in := n.subscribe("t/+", nil, message.SubOptions{})
	m := &message.Message{Topic: "t/1", Payload: []byte("x")}
	es := []hook.PublishEvent{{Msg: m}, {Msg: m}, {Msg: m}}
	b := new(router.Batch)
	if got := testing.AllocsPerRun(100, func() {
		n.Publish(b, es)
		b.Flush()
		in.got = in.got[:0]
	}); got > 0 {
		t.Errorf("%v allocations for 3 messages", got)
	}
}
