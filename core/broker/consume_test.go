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
	"github.com/dunlinmq/dunlin/core/store/storetest"
)

// TestConsumedIsWaitedFor: what was kept for a consumer is waited for before it is
// acknowledged, as safe as the publisher's zone wants; what cannot be kept is
// refused and routed to nobody; who was refused before is not asked about.
func TestConsumedIsWaitedFor(t *testing.T) {
	gate := storetest.NewGate(mem.New())
	j := journal.New(gate)
	hooks := new(hook.Points)
	k := broker.New(broker.Config{Node: 1, Journal: j, Durability: func(*hook.Client) store.Durability { return store.Sync }}, hooks, router.New(router.Config{}))
	asked := 0
	hooks.MessageConsume.Add(hook.Spec{}, func(es []hook.ConsumeEvent) {
		asked += len(es)
		for i := range es {
			switch string(es[i].Msg.Payload) {
			case "keep":
				es[i].Kept = true
			case "full":
				es[i].Verdict, es[i].Reason = hook.Deny, packet.QuotaExceeded
			}
		}
	})
	event := func(payload string) hook.PublishEvent {
		return hook.PublishEvent{Client: new(hook.Client), Msg: &message.Message{Topic: "t", Payload: []byte(payload), QoS: 1}}
	}
	b := new(router.Batch)
	es := []hook.PublishEvent{event("full"), event("other"), event("refused")}
	es[2].Verdict, es[2].Reason = hook.Deny, packet.NotAuthorized
	k.Publish(b, es)
	if b.Mark() != 0 {
		t.Error("nothing was kept and there is something to wait for")
	}
	if es[0].Verdict != hook.Deny || es[0].Reason != packet.QuotaExceeded || es[1].Verdict != hook.Allow || es[2].Reason != packet.NotAuthorized || asked != 2 {
		t.Errorf("%v %v, %v, %v, asked about %d", es[0].Verdict, es[0].Reason, es[1].Verdict, es[2].Reason, asked)
	}
	k.Publish(b, []hook.PublishEvent{event("keep")})
	if b.Mark() == 0 {
		t.Fatal("there is nothing to wait for")
	}
	tx := b.Tx(j)
	b.Flush()
	if _, d := gate.Waiting(); d != store.Sync {
		t.Errorf("waits for %v", d)
	}
	if over, _ := tx.Ended(); over {
		t.Error("ended before the store said so")
	}
	if err := gate.Release(-1); err != nil {
		t.Fatal(err)
	}
	if over, err := tx.Ended(); !over || err != nil {
		t.Errorf("ended %v, %v", over, err)
	}
}

// TestKeptOfAHookIsWaitedFor: what a plugin has put on the disk when it was asked about a message is waited for before that is
// acknowledged, also if the plugin drops the message.
func TestKeptOfAHookIsWaitedFor(t *testing.T) {
	gate := storetest.NewGate(mem.New())
	j := journal.New(gate)
	hooks := new(hook.Points)
	k := broker.New(broker.Config{Node: 1, Journal: j, Durability: func(*hook.Client) store.Durability { return store.Sync }}, hooks, router.New(router.Config{}))
	hooks.MessagePublish.Add(hook.Spec{}, func(es []hook.PublishEvent) {
		for i := range es {
			es[i].Kept, es[i].Verdict = string(es[i].Msg.Payload) == "keep", hook.Drop
		}
	})
	b := new(router.Batch)
	for payload, want := range map[string]bool{"other": false, "keep": true} {
		before := b.Mark()
		k.Publish(b, []hook.PublishEvent{{Client: new(hook.Client), Msg: &message.Message{Topic: "t", Payload: []byte(payload), QoS: 1}}})
		if got := b.Mark() != before; got != want {
			t.Errorf("%q: is waited for: %v", payload, got)
		}
	}
	b.Flush()
	if n, d := gate.Waiting(); n != 1 || d != store.Sync {
		t.Errorf("%d batches wait for %v", n, d)
	}
}
