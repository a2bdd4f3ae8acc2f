package sys

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// alarming runs a registry in a bubble.
func alarming(t *testing.T, cfg AlarmsConfig) (*Alarms, *board, *observer.ObservedLogs) {
	t.Helper()
	to := newBoard()
	core, logs := observer.New(zapcore.DebugLevel)
	s := NewAlarms(cfg, to, zap.New(core))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, to, logs
}

func TestAlarmsArePublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, to, logs := alarming(t, AlarmsConfig{Node: "n@h", Log: true, Publish: true})
		on := time.Now()
		if !s.Activate("hot", "too hot", map[string]any{"celsius": 99}) {
			t.Fatal("not activated")
		}
		if s.Activate("hot", "hotter", nil) {
			t.Error("activated twice")
		}
		synctest.Wait()
		want := fmt.Sprintf(`{"name":"hot","details":{"celsius":99},"message":"too hot","activate_at":%d,"deactivate_at":"infinity","activated":true}`, on.UnixMicro())
		if got := to.last["$SYS/brokers/n@h/alarms/activate"]; got != want {
			t.Errorf("activate is\n%s, want\n%s", got, want)
		}
		if list := s.Current(); len(list) != 1 || !list[0].Active() || len(s.History()) != 0 {
			t.Errorf("current %+v", list)
		}
		<-time.After(time.Minute)
		if !s.Deactivate("hot") || s.Deactivate("hot") || s.Deactivate("never") {
			t.Error("Deactivate tells whether the alarm was on")
		}
		synctest.Wait()
		var off map[string]any
		if err := json.Unmarshal([]byte(to.last["$SYS/brokers/n@h/alarms/deactivate"]), &off); err != nil {
			t.Fatal(err)
		}
		if off["activated"] != false || off["deactivate_at"] != float64(on.Add(time.Minute).UnixMicro()) {
			t.Errorf("deactivate is %v", off)
		}
		if to.retain["$SYS/brokers/n@h/alarms/activate"] || len(to.sent) != 2 {
			t.Errorf("published %v", to.sent)
		}
		if len(s.Current()) != 0 || len(s.History()) != 1 || logs.Len() != 2 {
			t.Errorf("history %+v, %d lines", s.History(), logs.Len())
		}
		if s.Clear() != 1 || len(s.History()) != 0 {
			t.Error("the history is not cleared")
		}
	})
}

func TestAlarmActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, to, logs := alarming(t, AlarmsConfig{})
		s.Activate("a", "m", nil)
		s.Deactivate("a")
		synctest.Wait()
		if len(to.sent) != 0 || logs.Len() != 0 || len(s.History()) != 1 {
			t.Errorf("published %v, %d lines", to.sent, logs.Len())
		}
	})
}

func TestAlarmsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := alarming(t, AlarmsConfig{SizeLimit: 3, Validity: time.Hour, Publish: true})
		for i := range 10 {
			s.Activate(fmt.Sprint("a", i), "m", nil)
		}
		if n := len(s.Current()); n != 3 || s.Refused() != 7 {
			t.Errorf("%d active, %d refused", n, s.Refused())
		}
		for i := range 10 {
			s.Activate("b", "m", map[string]any{"i": i})
			s.Deactivate("a0")
			s.Activate("b", "m", map[string]any{"i": i})
			s.Deactivate("b")
		}
		past := s.History()
		if len(past) != 3 || past[2].Details["i"] != 9 || past[0].Details["i"] != 7 {
			t.Errorf("history %+v", past)
		}
		<-time.After(time.Hour)
		if len(s.History()) != 0 || len(s.Current()) != 2 {
			t.Error("past alarms are forgotten after their time, active ones are not")
		}
	})
}

// Without Run nothing waits, and what is kept for it is bounded.
func TestAlarmsDoNotWait(t *testing.T) {
	s := NewAlarms(AlarmsConfig{SizeLimit: 2, Publish: true}, newBoard(), zap.NewNop())
	for range 100 {
		s.Activate("a", "m", nil)
		s.Deactivate("a")
	}
	if len(s.news) != 2 {
		t.Errorf("%d messages wait", len(s.news))
	}
}

func TestCurrentIsOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := alarming(t, AlarmsConfig{})
		for _, name := range []string{"c", "a", "b"} {
			s.Activate(name, "m", nil)
			<-time.After(time.Second)
		}
		var names []string
		for _, a := range s.Current() {
			names = append(names, a.Name)
		}
		if strings.Join(names, "") != "cab" {
			t.Errorf("order %v", names)
		}
	})
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := alarming(t, AlarmsConfig{})
		var wrong atomic.Pointer[[]Condition]
		wrong.Store(new([]Condition))
		w := NewWatch(time.Second, s, func() []Condition { return *wrong.Load() }, func() []Condition { return nil })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		synctest.Wait()
		for _, step := range []struct {
			now    []Condition
			active int
			past   int
		}{
			{nil, 0, 0},
			{[]Condition{{Name: "a"}}, 1, 0},
			{[]Condition{{Name: "a"}, {Name: "b"}}, 2, 0},
			{[]Condition{{Name: "b"}}, 1, 1},
			{nil, 0, 2},
		} {
			wrong.Store(&step.now)
			pass(time.Second)
			if len(s.Current()) != step.active || len(s.History()) != step.past {
				t.Errorf("%+v: active %+v, past %+v", step, s.Current(), s.History())
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
