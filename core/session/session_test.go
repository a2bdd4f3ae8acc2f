package session

import (
	"fmt"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/message"
)

// TestManySubscriptions: the list turns into a map and works the same.
func TestManySubscriptions(t *testing.T) {
	s := New("c", &Config{}, epoch)
	const n = 10_000
	for i := range n {
		o := message.SubOptions{QoS: byte(i % 3), ID: uint32(i)}
		if !s.Subscribe(fmt.Sprintf("a/%d", i), o) || s.Subscribe(fmt.Sprintf("a/%d", i), o) {
			t.Fatalf("subscription %d", i)
		}
		if got := len(s.Subscriptions()); i < 20 && got != i+1 {
			t.Fatalf("%d subscriptions, want %d", got, i+1)
		}
	}
	for i := range n {
		f := fmt.Sprintf("a/%d", i)
		if o, ok := s.Subscription(f); !ok || o.ID != uint32(i) {
			t.Fatalf("Subscription(%s) = %v, %v", f, o, ok)
		}
		if o, ok := s.Unsubscribe(f); !ok || o.ID != uint32(i) {
			t.Fatalf("Unsubscribe(%s) = %v, %v", f, o, ok)
		}
		if _, ok := s.Subscription(f); ok {
			t.Fatalf("%s is still there", f)
		}
	}
	if s.Info().Subscriptions != 0 {
		t.Fatal("not empty")
	}
}

// TestFewSubscriptions: removing from the middle keeps the others.
func TestFewSubscriptions(t *testing.T) {
	s := New("c", &Config{}, epoch)
	for _, f := range []string{"a", "b", "c"} {
		s.Subscribe(f, message.SubOptions{})
	}
	s.Unsubscribe("b")
	if _, ok := s.Subscription("b"); ok {
		t.Error("b is there")
	}
	for _, f := range []string{"a", "c"} {
		if _, ok := s.Subscription(f); !ok {
			t.Errorf("%s is gone", f)
		}
	}
}

// TestSubscriptionsCopy: of a short list the caller gets a map of its own.
func TestSubscriptionsCopy(t *testing.T) {
	s := New("c", &Config{}, epoch)
	s.Subscribe("a", message.SubOptions{})
	clear(s.Subscriptions())
	if s.Info().Subscriptions != 1 {
		t.Error("the session's own map was given away")
	}
}

// TestEffectsReset: capacity stays, messages do not.
func TestEffectsReset(t *testing.T) {
	var e Effects
	s := New("c", &Config{}, epoch)
	s.Attach(epoch, 0, false, &e)
	s.Deliver(epoch, fanOut("t", 1), &e)
	s.Puback(epoch, 1, &e)
	s.Detach()
	s.Deliver(epoch, fanOut("t", 0), &e)
	if len(e.Send) != 1 || len(e.Drops) != 1 || len(e.Acked) != 1 || e.Completed != 1 {
		t.Fatalf("%+v", e)
	}
	e.Reset()
	if len(e.Send)+len(e.Drops)+len(e.Acked)+e.Completed != 0 {
		t.Fatalf("%+v", e)
	}
	if e.Send[:1][0].Msg != nil || e.Drops[:1][0].Msg != nil || e.Acked[:1][0] != nil {
		t.Error("a message is kept")
	}
}

// TestDetachedIsSilent: without a connection nothing is ever sent and no timer
// runs, whatever is called.
func TestDetachedIsSilent(t *testing.T) {
	s := New("c", &Config{RetryInterval: time.Second, AwaitRelTimeout: time.Second, StoreQoS0: true}, epoch)
	var e Effects
	s.Attach(epoch, 1, true, &e)
	for qos := range byte(3) {
		s.Deliver(epoch, fanOut("t", qos), &e)
		s.Deliver(epoch, fanOut("t", qos), &e)
	}
	s.Receive(9, epoch)
	s.Detach()
	e.Reset()
	later := epoch + int64(time.Hour)
	s.Tick(later, &e)
	s.Pump(later, &e)
	s.Hold(true)
	s.Hold(false)
	s.Deliver(later, fanOut("t", 0), &e)
	s.Deliver(later, fanOut("t", 2), &e)
	if len(e.Send) != 0 || s.NextTick() != 0 || s.Attached() {
		t.Errorf("sends %+v, next tick %d", e.Send, s.NextTick())
	}
	if s.Release(9) != true {
		t.Error("time passed for an absent client's identifier")
	}
}

// TestOptionsTravel: share, subscription identifier and retain flags reach the
// Outgoing untouched, at once and through the queue.
func TestOptionsTravel(t *testing.T) {
	s := New("c", &Config{}, epoch)
	var e Effects
	d := fanOut("t", 1)
	d.Share = &message.Share{Group: "g", Filter: "t"}
	d.Opts = message.SubOptions{ID: 7, QoS: 1, RetainAsPublished: true}
	s.Deliver(epoch, d, &e)
	s.Attach(epoch, 0, false, &e)
	s.Deliver(epoch, d, &e)
	for i := range e.Send {
		if o := e.Send[i]; o.Share != d.Share || o.Opts != d.Opts || o.Msg.Topic != "t" {
			t.Errorf("%+v", o)
		}
	}
	if s.ClientID() != "c" || s.Info().Created != epoch {
		t.Error("client id or creation time")
	}
}
