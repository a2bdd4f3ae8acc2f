package event

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/core/topicstore"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// slots are the present slots of a record by name.
func slots(t *testing.T, frame []byte) (contract.Header, map[string]string) {
	t.Helper()
	r, rest, err := contract.Split(frame)
	if err != nil || len(rest) != 0 || r.Check() != nil {
		t.Fatalf("bad record: %v, %v", err, r.Check())
	}
	got := map[string]string{}
	for s, name := range r.Hook().Slots() {
		if b, ok := r.Lookup(contract.Slot(s)); ok {
			got[name] = string(b)
		}
	}
	return r.Header(), got
}

// told encodes one event with every slot.
func told[E any](t *testing.T, encode func(*Encoder, contract.Hook, *E), k contract.Hook, e *E) (contract.Header, map[string]string) {
	t.Helper()
	var w Encoder
	w.Start(&Binding{Hook: k, Fields: contract.AllSlots}, then.UnixNano())
	encode(&w, k, e)
	return slots(t, w.Frame())
}

// same compares the slots that a test names; "-" is absent.
func same(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for name, v := range want {
		g, ok := got[name]
		if v == "-" && ok || v != "-" && (!ok || g != v) {
			t.Errorf("%s = %q (present: %v), want %q", name, g, ok, v)
		}
	}
}

func u32(v uint32) string { return string(binary.LittleEndian.AppendUint32(nil, v)) }

func TestConnectRecord(t *testing.T) {
	c := client()
	c.Superuser, c.CleanStart, c.Bridge = true, true, true
	e := &hook.ConnectEvent{Client: c, Packet: &packet.Connect{
		Props: packet.AppendUint16Prop(nil, packet.PropReceiveMaximum, 9), Will: &packet.Will{Topic: "w", Payload: []byte("wp"), QoS: 2},
	}}
	h, got := told(t, Connect.Encode, contract.HookConnect, e)
	if h.Conn != 7 || h.Aux != 60 || h.Flags.QoS() != 2 || h.Flags.Version() != 5 || !h.Flags.Has(contract.FlagSuperuser|contract.FlagCleanStart|contract.FlagBridge) {
		t.Errorf("header %+v", h)
	}
	same(t, got, map[string]string{
		"client_id": "c1", "username": "u1", "peer": "192.0.2.1:5000", "listener": "tcp:external", "zone": "external", "protocol": "MQTT",
		"props": "\x21\x00\x09", "session_expiry": u32(30), "common_name": "cn", "dn": "CN=cn", "principal": "p1", "tenant": "t1",
		"local": "[::1]:1883", "will_topic": "w", "will_payload": "wp",
	})
	// A name that was given empty is present; one that was not given is absent.
	c = &hook.Client{HasUsername: true}
	_, got = told(t, Connect.Encode, contract.HookConnect, &hook.ConnectEvent{Client: c})
	same(t, got, map[string]string{"username": "", "peer": "-", "common_name": "-", "will_topic": "-", "props": "-", "connected_at": "-"})
	c.HasUsername = false
	_, got = told(t, Connect.Encode, contract.HookConnect, &hook.ConnectEvent{Client: c})
	same(t, got, map[string]string{"username": "-"})
}

func TestAuthRecord(t *testing.T) {
	e := &hook.AuthEvent{Client: client(), Password: []byte{}, Method: "M", Data: []byte("d"), Reauth: true, State: exchange{state: []byte("s")}, Will: "w"}
	h, got := told(t, Authenticate.Encode, contract.HookAuthContinue, e)
	if !h.Flags.Has(contract.FlagReauth) {
		t.Errorf("header %+v", h)
	}
	same(t, got, map[string]string{"password": "", "auth_method": "M", "auth_data": "d", "auth_state": "s", "will_topic": "w"})
	_, got = told(t, Authenticate.Encode, contract.HookAuthenticate, &hook.AuthEvent{Client: client()})
	same(t, got, map[string]string{"password": "-", "auth_method": "-", "auth_data": "-", "auth_state": "-", "will_topic": "-"})
}

func TestACLRecord(t *testing.T) {
	h, got := told(t, ACL.Encode, contract.HookACL, &hook.ACLEvent{Client: client(), Action: hook.Subscribe, Topic: "a/#", QoS: 2})
	if !h.Flags.Has(contract.FlagSubscribe) || h.Flags.Has(contract.FlagPublish) || h.Flags.QoS() != 2 {
		t.Errorf("header %+v", h)
	}
	same(t, got, map[string]string{"topic": "a/#", "principal": "p1", "tenant": "t1", "common_name": "cn", "dn": "CN=cn", "local": "[::1]:1883"})
}

func TestSubscribeRecord(t *testing.T) {
	e := subscribing("a", "b/#")
	e.Filters[1] = packet.Filter{Filter: "b/#", QoS: 1, NoLocal: true, RetainAsPublished: true, RetainHandling: 2}
	h, got := told(t, Subscribe.Encode, contract.HookSubscribe, e)
	if h.Aux != 2 {
		t.Errorf("header %+v", h)
	}
	same(t, got, map[string]string{"filters": "\x00\x01a\x02\x00\x03b/#\x2d", "props": "-"})
	_, got = told(t, Unsubscribe.Encode, contract.HookUnsubscribe, &hook.UnsubscribeEvent{Client: client(), Filters: []string{"a", "b"}})
	same(t, got, map[string]string{"filters": "\x00\x01a\x00\x01b"})
}

func TestMessageRecord(t *testing.T) {
	m := &message.Message{
		Topic: "a", Payload: []byte("p"), QoS: 1, Retain: true, Retained: true, From: "c9", Origin: message.OriginPlugin, Hops: 3,
		Time: 5e9, Expiry: then.Add(90 * time.Second).UnixNano(), ID: message.ID{Node: 1, Incarnation: 2, Seq: 3},
	}
	h, got := told(t, Message.Encode, contract.HookDropped, &hook.MessageEvent{ClientID: "gone", Msg: m, Reason: "queue_full"})
	if h.Time != 5e9 || h.Conn != 0 || h.Aux != 1 || h.Flags.QoS() != 1 || !h.Flags.Has(contract.FlagRetain|contract.FlagRetained) || h.Flags.Origin() != contract.OriginPlugin || h.Flags.Hops() != 3 {
		t.Errorf("header %+v", h)
	}
	same(t, got, map[string]string{
		"client_id": "gone", "username": "-", "topic": "a", "payload": "p", "from": "c9", "reason": "queue_full", "expiry": u32(90),
		"message_id": u32(1) + u32(2) + u32(3) + u32(0),
	})
}

// The fields and the payload limit of a registration keep bytes out of the frame.
func TestRecordFields(t *testing.T) {
	fields, _ := contract.HookPublish.Mask([]string{"topic", "payload"})
	var w Encoder
	w.Start(&Binding{Hook: contract.HookPublish, Fields: fields, MaxPayload: 2}, then.UnixNano())
	Publish.Encode(&w, contract.HookPublish, &hook.PublishEvent{Client: client(), Msg: &message.Message{Topic: "a", Payload: []byte("long"), Hops: 4}})
	h, got := slots(t, w.Frame())
	if !h.Flags.Has(contract.FlagPayloadCut) || h.Aux != 4 || w.Hops != 4 {
		t.Errorf("header %+v, hops %d", h, w.Hops)
	}
	same(t, got, map[string]string{"topic": "a", "payload": "lo", "client_id": "-", "peer": "-", "from": "-", "message_id": "-"})
}

func TestObservedRecords(t *testing.T) {
	at := time.Unix(50, 0)
	h, got := told(t, Connection.Encode, contract.HookDisconnected, &hook.ConnectionEvent{Client: client(), At: at, Reason: packet.KeepAliveTimeout, Text: "keepalive_timeout"})
	if h.Time != uint64(at.UnixNano()) || h.Aux != uint32(packet.KeepAliveTimeout) {
		t.Errorf("header %+v", h)
	}
	same(t, got, map[string]string{"reason": "keepalive_timeout", "client_id": "c1"})
	if h, _ = told(t, Connection.Encode, contract.HookConnected, &hook.ConnectionEvent{Client: client()}); h.Aux != 60 || h.Time != uint64(then.UnixNano()) {
		t.Errorf("header %+v", h)
	}
	_, got = told(t, Session.Encode, contract.HookSessionExpired, &hook.SessionEvent{ClientID: "gone", At: at})
	same(t, got, map[string]string{"client_id": "gone", "peer": "-"})
	h, got = told(t, Subscription.Encode, contract.HookSubscribed, &hook.SubscriptionEvent{Client: client(), Filter: "a", New: true, Opts: message.SubOptions{QoS: 1, ID: 12}})
	if !h.Flags.Has(contract.FlagNew) || h.Aux != 1 {
		t.Errorf("header %+v", h)
	}
	same(t, got, map[string]string{"filter": "a", "subscription_id": u32(12)})
}

// The services of retained calls: what may be called in which, over the store.
func TestRecordsServices(t *testing.T) {
	kept := topicstore.New(topicstore.Config{MaxMessages: 2})
	n := 0
	p := party(&n)
	p.Store = kept
	es := []hook.RetainEvent{
		{Msg: &message.Message{Topic: "x"}}, {Msg: &message.Message{Topic: "a/1", Payload: []byte("p"), Expiry: then.Add(time.Minute).UnixNano()}},
		{Msg: &message.Message{Topic: "a/2", Payload: []byte("p")}}, {Msg: &message.Message{Topic: "a/3", Payload: []byte("p")}},
	}
	in := RetainStore.Records(p, es, []int{1, 2, 3}) // event 0 is out of scope
	if err := errors.Join(in.Put(0, time.Hour), in.Put(1, time.Second)); err != nil {
		t.Fatal(err)
	}
	// The shorter of the message's expiry and the ttl holds.
	if a, b := kept.Get("a/1").Expiry, kept.Get("a/2").Expiry; a != then.Add(time.Minute).UnixNano() || b != then.Add(time.Second).UnixNano() {
		t.Errorf("expiry %d and %d", a, b)
	}
	for name, tc := range map[string]struct {
		got  error
		want contract.Errno
	}{
		"full":         {in.Put(2, 0), contract.ErrnoQuota},
		"out of range": {in.Put(3, 0), contract.ErrnoInvalid},
		"negative":     {in.Put(-1, 0), contract.ErrnoInvalid},
		"negative ttl": {in.Put(0, -1), contract.ErrnoInvalid},
		"not there":    {in.Delete(2), contract.ErrnoNotFound},
		"deliver":      {in.Deliver(0), contract.ErrnoDenied},
	} {
		if !errors.Is(tc.got, tc.want) {
			t.Errorf("%s: %v, want %v", name, tc.got, tc.want)
		}
	}
	if in.Count("") != 2 || in.Count("a/+") != 2 || in.Count("b") != 0 {
		t.Error("wrong counts")
	}
	read := []hook.RetainedReadEvent{{Filter: "a/#"}}
	out := RetainRead.Records(p, read, []int{0})
	if err := errors.Join(out.Deliver(0), out.Deliver(0)); err != nil || len(read[0].Replay) != 1 {
		t.Errorf("%v, %d sources", err, len(read[0].Replay))
	}
	if out.Put(0, 0) != contract.ErrnoDenied || out.Delete(0) != contract.ErrnoDenied || out.Deliver(1) != contract.ErrnoInvalid || out.Count("a/1") != 1 {
		t.Error("a read changed the store")
	}
	if in.Delete(0) != nil || kept.Count() != 1 {
		t.Error("not deleted")
	}
}

// A change of the topic store is told to who acknowledges, and so is a disk that
// takes nothing; that the store's own limits are reached is the plugin's matter.
func TestRecordsTellWhatWasKept(t *testing.T) {
	j := journal.New(mem.New())
	kept, err := topicstore.Open(t.Context(), topicstore.Config{MaxMessages: 1}, j, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	p := party(&n)
	p.Store = kept
	at := []int{0}
	put := func(topic string, d store.Durability) (e hook.RetainEvent, err error) {
		es := []hook.RetainEvent{{Msg: &message.Message{Topic: topic, Payload: []byte("p")}, Durability: d}}
		err = RetainStore.Records(p, es, at).Put(0, 0)
		return es[0], err
	}
	if e, err := put("a", store.Sync); err != nil || !e.Kept || e.Unkept != 0 {
		t.Errorf("kept: %v, %+v", err, e)
	}
	if e, err := put("b", store.Sync); !errors.Is(err, contract.ErrnoQuota) || e.Kept || e.Unkept != 0 {
		t.Errorf("one too many: %v, %+v", err, e)
	}
	for _, c := range []struct {
		st   store.State
		code packet.ReasonCode
	}{
		{store.State{Mode: store.Full, Err: store.ErrFull}, packet.QuotaExceeded},
		{store.State{Mode: store.ReadOnly, Err: store.ErrReadOnly}, packet.ImplementationSpecificError},
	} {
		j.SetState(c.st)
		if e, err := put("a", store.Async); !errors.Is(err, contract.ErrnoQuota) || e.Kept || e.Unkept != c.code {
			t.Errorf("%v: %v, %+v", c.st.Mode, err, e)
		}
		if e, err := put("a", store.Memory); err != nil || !e.Kept {
			t.Errorf("%v, in memory: %v, %+v", c.st.Mode, err, e)
		}
	}
	es := []hook.RetainEvent{{Msg: &message.Message{Topic: "a"}, Durability: store.Async}}
	if err := RetainStore.Records(p, es, at).Delete(0); err != nil || !es[0].Kept {
		t.Errorf("deleted: %v, %+v", err, es[0])
	}
}
