package event

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/schedule"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

func TestAbout(t *testing.T) {
	b := &Binding{Subject: "$delayed/+/"}
	for topic, want := range map[string]string{
		"$delayed/5/a/b": "a/b", "$delayed/x/a": "a", "$delayed/5/$SYS/a": "$SYS/a", "$delayed/5/$delayed/6/a": "a",
		"$delayed/5": "$delayed/5", "$delayed/5/": "$delayed/5/", "$delayed": "$delayed", "a/$delayed/5/b": "a/$delayed/5/b", "$delayedx/5/a": "$delayedx/5/a",
	} {
		if got := b.About(topic); got != want {
			t.Errorf("%s: %s, want %s", topic, got, want)
		}
	}
	if (*Binding)(nil).About("a") != "a" || (&Binding{}).About("$delayed/5/a") != "$delayed/5/a" {
		t.Error("without a subject")
	}
}

// A record is kept once, however often its frame is tried, and then neither
// published now nor refused.
func TestSchedule(t *testing.T) {
	j := journal.New(mem.New())
	qs, err := schedule.Open(t.Context(), schedule.Config{Journal: j, Ready: make(chan struct{}), Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	q, err := qs.Load("p")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	p := party(new(int))
	es := []hook.PublishEvent{{Msg: &message.Message{Topic: "x"}}, {Msg: &message.Message{Topic: "$delayed/5/a", QoS: 1}}}
	if Publish.Records(p, es, []int{1}) != nil {
		t.Error("services without a queue")
	}
	p.Later.Store(q)
	s := Publish.Records(p, es, []int{1}).(Scheduler)
	first, err := s.Schedule(0, "a", schedule.When{After: time.Hour})
	again, err2 := s.Schedule(0, "a", schedule.When{After: time.Hour})
	if err != nil || err2 != nil || first != again || q.Len() != 1 || !es[1].Delayed || es[0].Delayed || es[1].Msg.Topic != "$delayed/5/a" {
		t.Errorf("%d %v, %d %v, %d wait, %+v", first, err, again, err2, q.Len(), es)
	}
	for _, bad := range []struct {
		record int
		topic  string
	}{{1, "a"}, {-1, "a"}, {0, "a/#"}, {0, ""}} {
		if _, err := s.Schedule(bad.record, bad.topic, schedule.When{}); !errors.Is(err, contract.ErrnoInvalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	decide(t, &Publish, contract.HookPublish, &es[1], set(contract.Next, 0))
	if es[1].Verdict != hook.Drop {
		t.Errorf("verdict %v: it would be published twice", es[1].Verdict)
	}
	es[1].Verdict = hook.Next
	if Publish.Fail(&Binding{}, &es[1]); es[1].Verdict != hook.Drop {
		t.Errorf("after a fault %v: it would be sent again", es[1].Verdict)
	}
	j.SetState(store.State{Mode: store.Full, Err: store.ErrFull})
	s = Publish.Records(p, es, []int{1}).(Scheduler)
	if _, err := s.Schedule(0, "a", schedule.When{}); !errors.Is(err, contract.ErrnoQuota) {
		t.Errorf("a full disk: %v", err)
	}
	j.SetState(store.State{Mode: store.ReadOnly, Err: store.ErrReadOnly})
	if _, err := s.Schedule(0, "a", schedule.When{}); !errors.Is(err, contract.ErrnoInternal) {
		t.Errorf("a broken disk: %v", err)
	}
}
