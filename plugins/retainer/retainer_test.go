//go:build !wasip1

package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/topicstore"
	"github.com/dunlinmq/dunlin/plugins/plugintest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// broker is what the core does around the plugin: a topic store, and the
// messages and filters behind the records of a frame.
type broker struct {
	t     testing.TB
	p     *plugintest.Plugin
	store *topicstore.Store
	now   int64

	messages []*message.Message
	filters  []string
	sent     map[int][]string // record -> topics delivered
}

func open(t testing.TB, config string) *broker {
	t.Helper()
	return &broker{
		t: t, p: plugintest.Open(t, plugintest.WASM, config),
		store: topicstore.New(topicstore.Config{}), now: time.Now().UnixNano(),
	}
}

// The services of a call, as the manager binds them.

func (b *broker) Put(record int, ttl time.Duration) error {
	m := *b.messages[record]
	m.Retained = true
	if ttl > 0 && m.Expiry == 0 {
		m.Expiry = b.now + int64(ttl)
	}
	if b.store.Put(&m, store.Memory) != nil {
		return contract.ErrnoQuota
	}
	return nil
}

func (b *broker) Delete(record int) error {
	if !b.store.Delete(b.messages[record].Topic, store.Memory) {
		return contract.ErrnoNotFound
	}
	return nil
}

func (b *broker) Deliver(record int) error {
	var src hook.Source = b.store.Open(b.filters[record])
	for done := false; !done; {
		var ms []*message.Message
		ms, done = src.Next(b.now, 100, nil)
		for _, m := range ms {
			b.sent[record] = append(b.sent[record], m.Topic+"="+string(m.Payload))
		}
	}
	return nil
}

func (b *broker) Count(filter string) int {
	if filter == "" {
		return b.store.Count()
	}
	return b.store.CountFilter(filter)
}

// publish hands the messages to the plugin as one frame.
func (b *broker) publish(ms ...*message.Message) []contract.Action {
	b.t.Helper()
	w := b.p.Frame(contract.HookRetainedStore)
	for _, m := range ms {
		w.Begin(contract.Header{Hook: contract.HookRetainedStore, Conn: 1, Flags: contract.FlagRetain.WithQoS(m.QoS), Aux: uint32(len(m.Payload))})
		w.String(contract.SlotClientID, "c")
		w.String(contract.SlotTopic, m.Topic)
		w.Bytes(contract.SlotPayload, m.Payload)
		if left, ok := m.ExpiryLeft(b.now); ok {
			w.Uint32(contract.SlotExpiry, left)
		}
		w.End()
	}
	b.messages = ms
	var as []contract.Action
	for _, v := range b.p.Call(b.t, contract.HookRetainedStore, w, b) {
		as = append(as, v.Action)
	}
	return as
}

func (b *broker) subscribe(filter string, handling uint32, isNew bool) []string {
	b.t.Helper()
	w := b.p.Frame(contract.HookRetainedRead)
	var flags contract.Flags
	if isNew {
		flags = contract.FlagNew
	}
	w.Begin(contract.Header{Hook: contract.HookRetainedRead, Conn: 1, Flags: flags, Aux: 1 | handling<<4})
	w.String(contract.SlotFilter, filter)
	w.End()
	b.filters, b.sent = []string{filter}, map[int][]string{}
	b.p.Call(b.t, contract.HookRetainedRead, w, b)
	return b.sent[0]
}

func msg(topic, payload string) *message.Message {
	return &message.Message{Topic: topic, Payload: []byte(payload), QoS: 1, Retain: true}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// [MQTT-3.3.1-5] the last message with RETAIN is kept for each topic.
func TestKeepsTheLastOfEachTopic(t *testing.T) {
	b := open(t, `{}`)
	equal(t, "verdicts", b.publish(msg("a/b", "1"), msg("a/c", "2"), msg("a/b", "3"), msg("$SYS/x", "s")),
		[]contract.Action{contract.Allow, contract.Allow, contract.Allow, contract.Allow})
	equal(t, "a/#", b.subscribe("a/#", 0, true), []string{"a/b=3", "a/c=2"})
	equal(t, "#", b.subscribe("#", 0, true), []string{"a/b=3", "a/c=2"})
	equal(t, "$SYS/#", b.subscribe("$SYS/#", 0, true), []string{"$SYS/x=s"})
	equal(t, "b", b.subscribe("b", 0, true), []string(nil))
}

// [MQTT-3.3.1-6, -7] an empty payload removes, and is not kept itself.
func TestEmptyPayloadRemoves(t *testing.T) {
	b := open(t, `{}`)
	equal(t, "verdicts", b.publish(msg("a", "1"), msg("a", ""), msg("never", "")), []contract.Action{contract.Allow, contract.Allow, contract.Allow})
	equal(t, "kept", b.store.Count(), 0)
	if n := b.p.Log.FilterMessageSnippet("cleared").Len(); n != 0 {
		t.Errorf("logged %v", b.p.Log.All())
	}
}

func TestStopPublishClearMsg(t *testing.T) {
	b := open(t, `{"stop_publish_clear_msg":true}`)
	equal(t, "verdicts", b.publish(msg("a", "1"), msg("a", "")), []contract.Action{contract.Allow, contract.Drop})
	equal(t, "kept", b.store.Count(), 0)
}

// What is too large is routed and not kept; what was kept stays (emqx4 §9.4).
func TestMaxPayloadSize(t *testing.T) {
	b := open(t, `{"max_payload_size":"1KB"}`)
	equal(t, "verdicts", b.publish(msg("a", "1"), msg("a", strings.Repeat("x", 1025)), msg("b", strings.Repeat("x", 1024))),
		[]contract.Action{contract.Allow, contract.Next, contract.Allow})
	equal(t, "a", b.subscribe("a", 0, true), []string{"a=1"})
	equal(t, "kept", b.store.Count(), 2)
	if b.p.Log.FilterMessageSnippet("payload of 1025 bytes").Len() != 1 {
		t.Errorf("logged %v", b.p.Log.All())
	}
}

// A full store takes no new topic, but replaces and removes.
func TestMaxRetainedMessages(t *testing.T) {
	b := open(t, `{"max_retained_messages":2}`)
	equal(t, "verdicts", b.publish(msg("a", "1"), msg("b", "2"), msg("c", "3"), msg("a", "4"), msg("b", ""), msg("c", "5")),
		[]contract.Action{contract.Allow, contract.Allow, contract.Next, contract.Allow, contract.Allow, contract.Allow})
	equal(t, "#", b.subscribe("#", 0, true), []string{"a=4", "c=5"})
}

// The store's own limit is the broker's; the message is routed all the same.
func TestAFullStoreIsNoFault(t *testing.T) {
	b := open(t, `{}`)
	b.store = topicstore.New(topicstore.Config{MaxMessages: 1})
	equal(t, "verdicts", b.publish(msg("a", "1"), msg("b", "2")), []contract.Action{contract.Allow, contract.Next})
	if b.p.Log.FilterMessageSnippet("limit reached").Len() != 1 {
		t.Errorf("logged %v", b.p.Log.All())
	}
}

// A message's own expiry wins over the configured one (emqx4 §9.4).
func TestExpiry(t *testing.T) {
	b := open(t, `{"expiry_interval":"1h"}`)
	own := msg("own", "1")
	own.Expiry = b.now + int64(2*time.Hour)
	b.publish(own, msg("other", "2"))
	b.now += int64(time.Hour) + 1
	equal(t, "after an hour", b.subscribe("#", 0, true), []string{"own=1"})
	b.now += int64(time.Hour)
	equal(t, "after two", b.subscribe("#", 0, true), []string(nil))
}

func TestNoExpiryByDefault(t *testing.T) {
	b := open(t, `{}`)
	b.publish(msg("a", "1"))
	b.now += int64(10 * 365 * 24 * time.Hour)
	equal(t, "after ten years", b.subscribe("a", 0, true), []string{"a=1"})
}

func TestExcludeSys(t *testing.T) {
	b := open(t, `{"exclude_sys":true}`)
	equal(t, "verdicts", b.publish(msg("$SYS/x", "1"), msg("$SYSTEM/x", "2"), msg("$SYS/y", "")),
		[]contract.Action{contract.Next, contract.Allow, contract.Next})
	equal(t, "kept", b.store.Count(), 1)
}

// [MQTT-3.3.1-9, -10, -11] Retain Handling.
func TestRetainHandling(t *testing.T) {
	b := open(t, `{}`)
	b.publish(msg("a", "1"))
	for _, c := range []struct {
		handling uint32
		isNew    bool
		want     int
	}{{0, true, 1}, {0, false, 1}, {1, true, 1}, {1, false, 0}, {2, true, 0}, {2, false, 0}} {
		equal(t, fmt.Sprintf("handling %d new %v", c.handling, c.isNew), len(b.subscribe("#", c.handling, c.isNew)), c.want)
	}
}

// Long runs leave the guest as it was: no memory grows.
func TestMemoryStaysFlat(t *testing.T) {
	b := open(t, `{"max_retained_messages":100}`)
	ms := make([]*message.Message, 64)
	for i := range ms {
		ms[i] = msg(fmt.Sprintf("t/%d", i), "payload")
	}
	for range 50 {
		b.publish(ms...)
	}
	before := b.p.Status()
	for range 2000 {
		b.publish(ms...)
	}
	after := b.p.Status()
	if after.Faults != 0 || after.Instances != 1 || after.Memory > before.Memory+4<<20 {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
}

// run is one benchmark of n records a frame.
func run(b *testing.B, n int) {
	s := open(b, `{}`)
	w := s.p.Frame(contract.HookRetainedStore)
	for i := range n {
		s.messages = append(s.messages, msg(fmt.Sprintf("t/%d", i), "payload"))
		w.Begin(contract.Header{Hook: contract.HookRetainedStore, Conn: 1, Aux: 7})
		w.String(contract.SlotTopic, s.messages[i].Topic)
		w.End()
	}
	b.ResetTimer()
	for range b.N {
		s.p.Call(b, contract.HookRetainedStore, w, s)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
}

func BenchmarkStore1(b *testing.B)  { run(b, 1) }
func BenchmarkStore64(b *testing.B) { run(b, 64) }
