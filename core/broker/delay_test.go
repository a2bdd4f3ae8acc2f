package broker_test

import (
	"testing"

	"github.com/dunlinmq/dunlin/core/broker"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
)

// TestDelayedIsWaitedFor: what a hook has kept for later is acknowledged after the
// disk has it, counted as delayed and not as dropped, and routed to nobody.
func TestDelayedIsWaitedFor(t *testing.T) {
	j, hooks, r := journal.New(mem.New()), new(hook.Points), router.New(router.Config{})
	k := broker.New(broker.Config{Node: 1, Journal: j, Durability: func(*hook.Client) store.Durability { return store.Sync }}, hooks, r)
	hooks.MessagePublish.Add(hook.Spec{}, func(es []hook.PublishEvent) {
		for i := range es {
			if es[i].Msg.Topic == "later" {
				es[i].Delayed, es[i].Kept, es[i].Verdict = true, true, hook.Drop
			}
		}
	})
	in := &inbox{id: "a", online: true}
	r.Subscribe(&router.Subscription{Filter: "#", To: in})
	b := new(router.Batch)
	es := []hook.PublishEvent{{Msg: &message.Message{Topic: "now", QoS: 1}}}
	k.Publish(b, es)
	if b.Mark() != 0 {
		t.Error("there is something to wait for")
	}
	es = append(es, hook.PublishEvent{Msg: &message.Message{Topic: "later", QoS: 1}})
	k.Publish(b, es)
	if b.Mark() == 0 || es[1].Reason != packet.Success || len(in.got) != 2 {
		t.Errorf("mark %d, %v, %d routed", b.Mark(), es[1].Reason, len(in.got))
	}
	if c := &b.Count; c.MessagesDelayed != 1 || c.MessagesDropped != 0 {
		t.Errorf("%d delayed, %d dropped", c.MessagesDelayed, c.MessagesDropped)
	}
	b.Flush()
}
