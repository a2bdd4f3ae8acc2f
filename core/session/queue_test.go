package session

import (
	"math/rand/v2"
	"testing"

	"github.com/dunlinmq/dunlin/core/message"
)

// fanOut is a delivery whose message is shared with others.
func fanOut(topic string, qos byte) message.Delivery {
	return message.Delivery{
		Msg:  &message.Message{Topic: topic, Payload: []byte("x"), QoS: qos},
		Opts: message.SubOptions{QoS: 2},
	}
}

// TestQueueModel compares the queue with a list for each priority.
func TestQueueModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	q := newQueue()
	model := map[int][]*message.Message{}
	total := 0
	for step := range 100_000 {
		if grow := 6 - 4*(step/1000%2); rng.IntN(8) < grow {
			p := rng.IntN(5) * 3
			d := fanOut("t", byte(rng.IntN(3)))
			q.push(q.at(p), queued{msg: d, qos: d.Msg.QoS})
			model[p] = append(model[p], d.Msg)
			total++
		} else if total > 0 {
			peeked := q.peek().msg.Msg
			got := q.pop().msg.Msg
			found := false
			for p, list := range model {
				if len(list) > 0 && list[0] == got {
					model[p] = list[1:]
					found = true
				}
			}
			if !found || peeked != got {
				t.Fatalf("step %d: not the oldest of a priority, or not the peeked one", step)
			}
			total--
		}
		if q.len() != total {
			t.Fatalf("step %d: length %d, want %d", step, q.len(), total)
		}
	}
}

// TestQueueHighestFirst: after a pause the highest priority is served first,
// however the last turn ended.
func TestQueueHighestFirst(t *testing.T) {
	q := newQueue()
	for _, p := range []int{0, 7, 3} {
		q.push(q.at(p), queued{msg: fanOut("t", 1), qos: 1})
	}
	for _, want := range []int{7, 3, 0} {
		if l := q.serve(); l.priority != want {
			t.Fatalf("served %d, want %d", l.priority, want)
		}
		q.pop()
	}
	q.push(q.at(3), queued{msg: fanOut("t", 1), qos: 1})
	q.push(q.at(9), queued{msg: fanOut("t", 1), qos: 1}) // a level that did not exist
	if l := q.serve(); l.priority != 9 {
		t.Fatalf("served %d, want 9", l.priority)
	}
	q.pop()
	q.push(q.at(200), queued{msg: fanOut("t", 1), qos: 1})
	q.pop()
	q.pop()
	if q.len() != 0 {
		t.Fatal("not empty")
	}
	q.push(q.at(3), queued{msg: fanOut("t", 1), qos: 1})
	q.pop() // the turn ends in the middle
	q.push(q.at(0), queued{msg: fanOut("t", 1), qos: 1})
	q.push(q.at(9), queued{msg: fanOut("t", 1), qos: 1})
	if l := q.serve(); l.priority != 9 {
		t.Fatalf("served %d, want 9", l.priority)
	}
}

// TestQueueLevelInsertedInTurn: a new, higher level does not take over the turn
// of the one being served.
func TestQueueLevelInsertedInTurn(t *testing.T) {
	q := newQueue()
	for range 3 {
		q.push(q.at(1), queued{msg: fanOut("t", 1), qos: 1})
	}
	q.pop()
	q.push(q.at(5), queued{msg: fanOut("t", 1), qos: 1})
	if l := q.serve(); l.priority != 1 {
		t.Fatalf("served %d, want the turn of 1 to go on", l.priority)
	}
}

// TestQueueOwnsItsMessages: an absent client's queue holds copies; an attached
// one's only from the 129th message on, so that a short wait costs no copy.
func TestQueueOwnsItsMessages(t *testing.T) {
	s := New("c", &Config{MaxInflight: 1}, epoch)
	var e Effects
	s.Attach(epoch, 0, false, &e)
	given := make([]*message.Message, 0, pinned+2)
	for range pinned + 2 { // one goes out, 128 wait as they are, one is copied
		d := fanOut("t", 1)
		given = append(given, d.Msg)
		s.Deliver(epoch, d, &e)
	}
	var kept []*message.Message
	s.Undelivered(func(d message.Delivery, _ bool) { kept = append(kept, d.Msg) })
	for i := range given {
		if same := kept[i] == given[i]; same != (i <= pinned) {
			t.Errorf("message %d: same %v", i, same)
		}
	}
	s.Detach()
	kept = kept[:0]
	s.Undelivered(func(d message.Delivery, _ bool) { kept = append(kept, d.Msg) })
	for i := range given {
		if kept[i] == given[i] {
			t.Errorf("message %d pins its batch in an absent session", i)
		}
	}
	again := append([]*message.Message(nil), kept...)
	s.Attach(epoch, 0, false, &e)
	s.Detach()
	kept = kept[:0]
	s.Undelivered(func(d message.Delivery, _ bool) { kept = append(kept, d.Msg) })
	for i := range again {
		if kept[i] != again[i] {
			t.Errorf("message %d is copied again", i)
		}
	}
	s.Deliver(epoch, fanOut("t", 1), &e)
}

// TestQueueBounded: whatever arrives, the queue keeps its length for each
// priority and every loss is reported.
func TestQueueBounded(t *testing.T) {
	for _, newest := range []bool{false, true} {
		cfg := &Config{MaxQueueLen: 10, StoreQoS0: true, DropNewest: newest, Priorities: map[string]uint8{"p": 1}}
		s := New("c", cfg, epoch)
		var e Effects
		for i := range 1000 {
			s.Deliver(epoch, fanOut([]string{"p", "q"}[i%2], byte(i%3)), &e)
		}
		if i := s.Info(); i.Queue != 20 || i.Dropped != 980 || len(e.Drops) != 980 {
			t.Errorf("newest %v: %+v, %d drops", newest, i, len(e.Drops))
		}
		if err := checkInvariants(s); err != nil {
			t.Error(err)
		}
	}
}

// TestQueueBytesBounded: whatever arrives, and however the client comes and goes,
// the queue keeps its bytes, and what is more urgent is not dropped for what is less.
func TestQueueBytesBounded(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	for _, newest := range []bool{false, true} {
		cfg := &Config{MaxQueueBytes: 10_000, StoreQoS0: true, MaxInflight: 3, DropNewest: newest, Priorities: map[string]uint8{"p": 1, "q": 2}, DefaultPriorityLowest: true}
		s := New("c", cfg, epoch)
		var e Effects
		dropped, seq := 0, uint64(0)
		for range 20_000 {
			e.Reset()
			topic := []string{"p", "q", "r"}[rng.IntN(3)]
			d := fanOut(topic, byte(rng.IntN(3)))
			d.Msg.Payload = make([]byte, rng.IntN(3000))
			if d.Msg.QoS > 0 && rng.IntN(2) == 0 {
				seq++
				d.Seq = seq
			}
			switch rng.IntN(100) {
			case 0:
				s.Detach()
			case 1:
				s.Attach(epoch, 0, false, &e)
			}
			before := len(e.Drops)
			s.Deliver(epoch, d, &e)
			for _, gone := range e.Drops[before:] {
				if gone.Reason != ReasonQueueBytes {
					t.Fatalf("dropped as %s", gone.Reason)
				}
				if gone.Msg != nil && cfg.priority(gone.Msg.Topic) > cfg.priority(topic) {
					t.Fatalf("%s is dropped for %s", gone.Msg.Topic, topic)
				}
			}
			dropped += len(e.Drops)
			if i := s.Info(); i.QueueBytes > 10_000 || i.Queue > 0 && i.QueueBytes < messageOverhead {
				t.Fatalf("%+v", i)
			}
			if err := checkInvariants(s); err != nil {
				t.Fatal(err)
			}
		}
		if dropped < 1000 {
			t.Errorf("newest %v: %d dropped", newest, dropped)
		}
	}
}

// TestQueueGivesMemoryBack: a long queue that has been sent is let go.
func TestQueueGivesMemoryBack(t *testing.T) {
	s := New("c", &Config{}, epoch)
	var e Effects
	for range 1000 {
		s.Deliver(epoch, fanOut("t", 1), &e)
	}
	s.Attach(epoch, 0, false, &e)
	if s.queue != nil {
		t.Fatal("the queue is kept")
	}
	s.Deliver(epoch, fanOut("t", 1), &e)
	if len(e.Send) != 1001 {
		t.Fatalf("sent %d", len(e.Send))
	}
}
