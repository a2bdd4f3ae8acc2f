package event

import (
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// record makes a record as the broker does.
func record(t *testing.T, h contract.Header, fill func(w *contract.Writer)) contract.Record {
	t.Helper()
	var w contract.Writer
	w.Begin(h)
	fill(&w)
	w.End()
	r, _, err := contract.Split(w.Frame())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// selected is what SELECT * makes of an event.
func selected(t *testing.T, from, name string, r contract.Record) string {
	t.Helper()
	q, err := sql.Compile(`SELECT *, metadata.rule_id as rule FROM "`+from+`"`, sql.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var s Source
	s.Set(name, r)
	s.For("r1")
	var res sql.Result
	if err := q.Eval(&s, &res); err != nil {
		t.Fatal(err)
	}
	return string(res.Rows[0].AppendJSON(nil))
}

// TestMessageColumns: all of a message, with MQTT 5's properties.
func TestMessageColumns(t *testing.T) {
	props := "\x03\x00\x04text\x01\x01\x26\x00\x01k\x00\x01v\x26\x00\x01k\x00\x01w"
	r := record(t, contract.Header{Hook: contract.HookMessage, Time: 1700000000123 * 1e6, Flags: contract.FlagRetain | contract.Flags(0).WithQoS(1)}, func(w *contract.Writer) {
		w.String(contract.SlotClientID, "c1")
		w.String(contract.SlotUsername, "alice")
		w.String(contract.SlotPeer, "[2001:db8::1]:4711")
		w.String(contract.SlotTopic, "t/1")
		w.String(contract.SlotPayload, `{"a":1}`)
		w.String(contract.SlotProps, props)
		w.Bytes(contract.SlotMessageID, []byte{1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0})
	})
	got := selected(t, "t/#", Message, r)
	for _, want := range []string{
		`"event":"message.publish"`, `"timestamp":1700000000123`, `"id":"00000001000000020000000000000003"`, `"clientid":"c1"`, `"username":"alice"`,
		`"peerhost":"2001:db8::1"`, `"topic":"t/1"`, `"payload":"{\"a\":1}"`, `"qos":1`, `"flags":{"dup":false,"retain":true}`, `"publish_received_at":1700000000123`,
		`"Content-Type":"text"`, `"Payload-Format-Indicator":1`, `"User-Property":{"k":"w"}`, `"User-Property-Pairs":[{"key":"k","value":"v"},{"key":"k","value":"w"}]`, `"rule":"r1"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	r = record(t, contract.Header{Hook: contract.HookMessage}, func(w *contract.Writer) {
		w.String(contract.SlotFrom, "delayed")
		w.String(contract.SlotPayload, "")
	})
	if got := selected(t, "t/#", Message, r); !strings.Contains(got, `"clientid":"delayed"`) || strings.Contains(got, "peerhost\":\"") || !strings.Contains(got, `"payload":""`) {
		t.Errorf("of a plugin: %s", got)
	}
}

// TestEventColumns: what the other events say.
func TestEventColumns(t *testing.T) {
	who := func(w *contract.Writer) {
		w.String(contract.SlotClientID, "c1")
		w.String(contract.SlotPeer, "192.0.2.1:5000")
	}
	for _, x := range []struct {
		event string
		hook  contract.Hook
		aux   uint32
		fill  func(w *contract.Writer)
		want  []string
	}{
		{ClientConnected, contract.HookConnected, 60, func(w *contract.Writer) {
			w.String(contract.SlotProtocol, "MQTT")
			w.Uint32(contract.SlotSessionExpiry, 7200)
			w.Uint64(contract.SlotConnectedAt, 5e6)
			w.String(contract.SlotLocal, "127.0.0.1:1883")
		}, []string{`"event":"client.connected"`, `"peername":"192.0.2.1:5000"`, `"sockname":"127.0.0.1:1883"`, `"proto_name":"MQTT"`, `"keepalive":60`, `"expiry_interval":7200`, `"connected_at":5`}},
		{ClientDisconnected, contract.HookDisconnected, 0, func(w *contract.Writer) {
			w.String(contract.SlotDisconnectReason, "keepalive_timeout")
		}, []string{`"event":"client.disconnected"`, `"reason":"keepalive_timeout"`, `"disconnected_at":0`}},
		{ClientConnack, contract.HookConnack, 60, func(w *contract.Writer) { w.Uint32(contract.SlotReasonCode, 0x86) },
			[]string{`"event":"client.connack"`, `"reason_code":"bad_username_or_password"`, `"keepalive":60`, `"peername":"192.0.2.1:5000"`}},
		{ClientConnack, contract.HookConnack, 0, func(w *contract.Writer) { w.Uint32(contract.SlotReasonCode, 0xEE) }, []string{`"reason_code":"238"`}},
		{ClientACLChecked, contract.HookACLChecked, contract.ACLCached, func(w *contract.Writer) { w.String(contract.SlotTopic, "a/#") },
			[]string{`"event":"client.check_acl_complete"`, `"topic":"a/#"`, `"action":"subscribe"`, `"is_cache":true`, `"result":"deny"`, `"peerhost":"192.0.2.1"`}},
		{SessionSubscribed, contract.HookSubscribed, 2, func(w *contract.Writer) { w.String(contract.SlotFilter, "a/#") },
			[]string{`"event":"session.subscribed"`, `"topic":"a/#"`, `"qos":2`, `"peerhost":"192.0.2.1"`}},
		{MessageDropped, contract.HookDropped, 0, func(w *contract.Writer) {
			w.String(contract.SlotTopic, "t")
			w.String(contract.SlotReason, "no_subscribers")
		}, []string{`"event":"message.dropped"`, `"reason":"no_subscribers"`, `"topic":"t"`}},
		{MessageDelivered, contract.HookDelivered, 0, func(w *contract.Writer) { w.String(contract.SlotFrom, "p") },
			[]string{`"event":"message.delivered"`, `"from_clientid":"p"`, `"clientid":"c1"`}},
	} {
		r := record(t, contract.Header{Hook: x.hook, Aux: x.aux}, func(w *contract.Writer) { who(w); x.fill(w) })
		got := selected(t, x.event, x.event, r)
		for _, want := range x.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: no %s in %s", x.event, want, got)
			}
		}
	}
}

// FuzzProperties: no bytes end the process.
func FuzzProperties(f *testing.F) {
	f.Add([]byte("\x26\x00\x01k\x00\x01v\x0b\x80\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v := properties(b); v.Map() == nil {
			t.Errorf("%x became %v", b, v)
		}
	})
}
