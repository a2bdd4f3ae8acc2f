package channel_test

import (
	"strconv"
	"testing"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/core/store/storetest"
)

// TestDroppedBeforeItIsWritten: a message that a full queue drops while another event loop has not yet committed it does not come
// back after a crash, in whatever order the two commit.
func TestDroppedBeforeItIsWritten(t *testing.T) {
	for _, firstIsFirst := range []bool{true, false} {
		w := newWorld()
		w.zone.Durability, w.zone.Session.MaxQueueLen = store.Async, 1
		st := mem.New()
		w.disk = &disk{Gate: storetest.NewGate(st), mem: st, auto: true}
		w.disk.open()
		w.build()
		connect := packet.Append(nil, packet.V311, &packet.Connect{Version: packet.V311, ClientID: "away"})
		away := w.open("away", "", "", "")
		away.receive(connect)
		w.run()
		away.receive(packet.Append(nil, packet.V311, &packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: "t", QoS: 1}}}))
		w.run()
		away.lost()

		first, second := w.batch(), w.batch()
		for i, b := range []*router.Batch{first, second} {
			w.env.Broker.PublishOne(b, &message.Message{Topic: "t", Payload: []byte(strconv.Itoa(i + 1)), QoS: 1})
		}
		if firstIsFirst {
			first.Flush()
			second.Flush()
		} else {
			second.Flush()
			first.Flush()
		}
		if err := w.crash(); err != nil {
			t.Fatal(err)
		}
		away = w.open("away", "", "", "")
		away.receive(connect)
		w.run()
		if kinds := sent(t, away); len(kinds) != 2 || kinds[1] != packet.TypePublish {
			t.Errorf("first committed first %v: the client was sent %v", firstIsFirst, kinds)
		}
		if n, _, err := store.Count(st, store.Prefix([]byte("m"))); err != nil || n != 1 {
			t.Errorf("first committed first %v: %d blocks, %v", firstIsFirst, n, err)
		}
	}
}

// TestStalledDisk: however many messages wait for a disk that does not answer, what is acknowledged in the end is delivered.
func TestStalledDisk(t *testing.T) {
	w := newWorld()
	w.zone.Durability, w.zone.Session.MaxQueueLen = store.Async, 0
	st := mem.New()
	w.disk = &disk{Gate: storetest.NewGate(st), mem: st, auto: true}
	w.disk.open()
	w.build()
	sub := w.open("sub", "", "", "")
	sub.receive(packet.Append(nil, packet.V311, &packet.Connect{Version: packet.V311, ClientID: "sub"}))
	w.run()
	sub.receive(packet.Append(nil, packet.V311, &packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: "t", QoS: 1}}}))
	w.run()
	w.disk.auto = false
	const n = registry.MailboxLimit + 1000
	for range n / 100 {
		b := w.batch()
		for range 100 {
			w.env.Broker.PublishOne(b, &message.Message{Topic: "t", QoS: 1})
		}
		b.Flush()
	}
	if err := w.disk.Release(-1); err != nil {
		t.Fatal(err)
	}
	w.run()
	if i := w.env.Registry.Lookup("sub").Session().Info(); i.Queue+i.Inflight != n/100*100 || i.Dropped > 0 {
		t.Errorf("%d are under way, %d wait, %d were dropped", i.Inflight, i.Queue, i.Dropped)
	}
}
