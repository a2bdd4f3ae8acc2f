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

// TestRetainedIsWaitedFor: a batch that changed the topic store has something to
// wait for, which ends after what the topic store has committed, as safe as the
// strictest of its publishers wants it. One that changed nothing has not.
func TestRetainedIsWaitedFor(t *testing.T) {
	gate := storetest.NewGate(mem.New())
	j := journal.New(gate)
	hooks := new(hook.Points)
	k := broker.New(broker.Config{Node: 1, Journal: j, Durability: func(c *hook.Client) store.Durability {
		if c == nil {
			return store.Async
		}
		return store.Sync
	}}, hooks, router.New(router.Config{}))
	var classes []store.Durability
	hooks.RetainedStore.Add(hook.Spec{}, func(es []hook.RetainEvent) {
		for i := range es {
			e := &es[i]
			classes = append(classes, e.Durability)
			switch string(e.Msg.Payload) {
			case "keep":
				tx := j.Begin()
				tx.Put(e.Durability, []byte(e.Msg.Topic), nil)
				tx.Commit()
				e.Kept = true
			case "full":
				e.Verdict, e.Unkept = hook.Allow, packet.QuotaExceeded
			}
		}
	})
	event := func(payload string, qos byte, c *hook.Client) hook.PublishEvent {
		return hook.PublishEvent{Client: c, Msg: &message.Message{Topic: "t", Payload: []byte(payload), QoS: qos, Retain: true}}
	}

	b := new(router.Batch)
	own := event("x", 1, nil)
	own.Msg.Origin = message.OriginSys
	es := []hook.PublishEvent{event("full", 1, nil), event("full", 0, nil), own}
	k.Publish(b, es)
	if b.Mark() != 0 {
		t.Error("nothing was kept and there is something to wait for")
	}
	if es[0].Verdict != hook.Deny || es[0].Reason != packet.QuotaExceeded || es[1].Verdict != hook.Allow {
		t.Errorf("a full disk answers %v %v with QoS 1, %v with QoS 0", es[0].Verdict, es[0].Reason, es[1].Verdict)
	}

	k.Publish(b, []hook.PublishEvent{event("keep", 1, new(hook.Client)), event("keep", 1, nil)})
	if b.Mark() == 0 {
		t.Fatal("there is nothing to wait for")
	}
	tx := b.Tx(j)
	b.Flush()
	if n, d := gate.Waiting(); n != 3 || d != store.Sync {
		t.Errorf("%d batches, %v", n, d)
	}
	if err := gate.Release(2); err != nil {
		t.Fatal(err)
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
	if want := []store.Durability{store.Async, store.Async, store.Memory, store.Sync, store.Async}; len(classes) != len(want) {
		t.Errorf("classes %v", classes)
	} else {
		for i := range want {
			if classes[i] != want[i] {
				t.Errorf("classes %v, want %v", classes, want)
			}
		}
	}
}
