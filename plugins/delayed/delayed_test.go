//go:build !wasip1

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/plugins/plugintest"
)

const operator = "[plugin]\ngrant = [\"schedule\"]\n"

// both runs a test against the two forms of the plugin.
func both(t *testing.T, config string, test func(t *testing.T, h *plugintest.Host)) {
	for _, kind := range []plugintest.Kind{plugintest.WASM, plugintest.Process} {
		t.Run(string(kind), func(t *testing.T) {
			h, err := plugintest.Source{}.Start(t, kind, operator+config)
			if err != nil {
				t.Fatal(err)
			}
			test(t, h)
		})
	}
}

// event is a PUBLISH with all that a message may have.
func event(topic string) hook.PublishEvent {
	now := time.Now().UnixNano()
	return hook.PublishEvent{Client: &hook.Client{ID: "c1", Conn: 1}, Msg: &message.Message{
		Topic: topic, Payload: []byte(topic), QoS: 2, Retain: true, From: "c1", Username: "u1", Time: now, Expiry: now + 1e12,
		Props: packet.AppendUserProp(nil, "a", "b"),
	}}
}

// What is delayed is dropped now and comes later, whole, as the client's.
func TestDelayed(t *testing.T) {
	both(t, "", func(t *testing.T, h *plugintest.Host) {
		past := fmt.Sprintf("$delayed/%d/past/x", time.Now().Add(-time.Hour).Unix())
		es := []hook.PublishEvent{event("$delayed/0/a/b"), event("other"), event(past), event("$delayed/0/$delayed/9/c"), event("$delayed/4294966/late"),
			event(fmt.Sprintf("$delayed/%d/time", time.Now().Add(time.Hour).Unix()))}
		h.Publish(es)
		for i := range es {
			if want := es[i].Msg.Topic != "other"; es[i].Delayed != want || (es[i].Verdict == hook.Drop) != want {
				t.Errorf("%s: %v, delayed %v", es[i].Msg.Topic, es[i].Verdict, es[i].Delayed)
			}
		}
		deadline := time.Now().Add(20 * time.Second)
		for len(h.Due()) < 3 {
			if time.Now().After(deadline) {
				t.Fatalf("%d have come", len(h.Due()))
			}
			<-time.After(time.Millisecond)
		}
		var topics []string
		for _, m := range h.Due() {
			topics = append(topics, m.Topic)
			if m.QoS != 2 || !m.Retain || m.From != "c1" || m.Username != "u1" || m.Expiry == 0 || len(m.Props) == 0 || m.Origin != message.OriginClient || !strings.HasSuffix(string(m.Payload), m.Topic) {
				t.Errorf("%+v", m)
			}
		}
		if got := strings.Join(topics, " "); len(topics) != 3 || !strings.Contains(got, "a/b") || !strings.Contains(got, "past/x") || !strings.Contains(got, "$delayed/9/c") {
			t.Errorf("came: %s", got)
		}
		if n := h.Manager.Delayed(); n != 2 {
			t.Errorf("%d wait", n)
		}
	})
}

// What cannot be understood or is too much is refused with a word.
func TestRefused(t *testing.T) {
	both(t, "[config]\nmax_delayed_messages = 1\n", func(t *testing.T, h *plugintest.Host) {
		far := fmt.Sprintf("$delayed/%d/t", time.Now().Unix()+maxSeconds+100)
		for _, topic := range []string{"$delayed", "$delayed/", "$delayed/5", "$delayed/5/", "$delayed//t", "$delayed/x/t", "$delayed/-5/t", "$delayed/+5/t",
			"$delayed/1.5/t", "$delayed/9999999999999999/t", "$delayed/999999999999999/t", far} {
			es := []hook.PublishEvent{event(topic)}
			h.Publish(es)
			if topic == "$delayed" { // matches the filter and is no delayed topic
				if es[0].Verdict != hook.Next {
					t.Errorf("%s: %v", topic, es[0].Verdict)
				}
				continue
			}
			if es[0].Verdict != hook.Deny || es[0].Reason != packet.TopicNameInvalid || es[0].Text == "" {
				t.Errorf("%s: %v %v %q", topic, es[0].Verdict, es[0].Reason, es[0].Text)
			}
		}
		es := []hook.PublishEvent{event("$delayed/100/t"), event("$delayed/100/t")}
		h.Publish(es)
		if es[0].Verdict != hook.Drop || es[1].Verdict != hook.Deny || es[1].Reason != packet.QuotaExceeded {
			t.Errorf("%v, %v %v", es[0].Verdict, es[1].Verdict, es[1].Reason)
		}
	})
}

func TestConfigurationIsChecked(t *testing.T) {
	for _, config := range []string{"max_delayed_messages = -1", "max_delayed_messages = \"1\"", "colour = 1"} {
		if _, err := (plugintest.Source{}).Start(t, plugintest.WASM, operator+"[config]\n"+config); err == nil {
			t.Errorf("%s is taken", config)
		}
	}
	if _, err := (plugintest.Source{}).Start(t, plugintest.WASM, ""); err == nil || !strings.Contains(err.Error(), `"schedule"`) {
		t.Errorf("without the grant: %v", err)
	}
}

func BenchmarkPublish(b *testing.B) {
	h, err := plugintest.Source{}.Start(b, plugintest.WASM, operator+"[config]\nmax_delayed_messages = 0\n")
	if err != nil {
		b.Fatal(err)
	}
	for name, topic := range map[string]string{"delayed": "$delayed/100000/a/b", "other": "a/b"} {
		b.Run(name, func(b *testing.B) {
			es := make([]hook.PublishEvent, 32)
			for b.Loop() {
				for i := range es {
					es[i] = event(topic)
				}
				h.Publish(es)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32, "ns/publish")
		})
	}
}

// Operators list what waits, page by page, and cancel it.
func TestCommands(t *testing.T) {
	both(t, "", func(t *testing.T, h *plugintest.Host) {
		es := make([]hook.PublishEvent, 70)
		for i := range es {
			es[i] = event(fmt.Sprintf("$delayed/%d/t/%d", 1000+i, i))
		}
		h.Publish(es)
		type waiting struct {
			Number, Due, Size int64
			Topic, From       string
			QoS               int
			Retain            bool
		}
		ask := func(name, body string) ([]byte, error) {
			return h.Manager.Command(t.Context(), "delayed", name, []byte(body))
		}
		page := func(body string) (ws []waiting) {
			t.Helper()
			out, err := ask("delayed.list", body)
			if err == nil {
				err = json.Unmarshal(out, &ws)
			}
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			return ws
		}
		first := page("")
		if len(first) != 64 || first[0].Topic != "t/0" || first[0].From != "c1" || first[0].QoS != 2 || !first[0].Retain || first[0].Size != int64(len("$delayed/1000/t/0")) {
			t.Fatalf("%d: %+v", len(first), first[0])
		}
		last := first[63]
		if rest := page(fmt.Sprintf(`{"due":%d,"number":%d}`, last.Due, last.Number)); len(rest) != 6 || rest[0].Topic != "t/64" {
			t.Errorf("%+v", rest)
		}
		for _, w := range []waiting{first[0], first[5], last} {
			var got waiting
			out, err := ask("delayed.show", fmt.Sprintf(`{"number":%d}`, w.Number))
			if err == nil {
				err = json.Unmarshal(out, &got)
			}
			if err != nil || got != w {
				t.Errorf("%v: %s, want %+v", err, out, w)
			}
		}
		if out, err := ask("delayed.cancel", fmt.Sprintf(`{"number":%d}`, first[1].Number)); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if got := page(""); got[1].Topic != "t/2" || h.Manager.Delayed() != 69 {
			t.Errorf("%+v, %d wait", got[1], h.Manager.Delayed())
		}
		for _, bad := range []struct {
			name, body string
			want       error
		}{
			{"delayed.cancel", fmt.Sprintf(`{"number":%d}`, first[1].Number), plugin.ErrNotThere}, {"delayed.show", fmt.Sprintf(`{"number":%d}`, first[1].Number), plugin.ErrNotThere},
			{"delayed.show", "", plugin.ErrNotThere}, {"delayed.cancel", `{"number":"x"}`, plugin.ErrBadCommand},
			{"delayed.list", `[]`, plugin.ErrBadCommand}, {"delayed.none", "", plugin.ErrNotThere},
		} {
			if out, err := ask(bad.name, bad.body); !errors.Is(err, bad.want) || err.Error() == "" {
				t.Errorf("%s %s: %v, %s", bad.name, bad.body, err, out)
			}
		}
	})
}
