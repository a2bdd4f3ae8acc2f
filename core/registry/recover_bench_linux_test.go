package registry

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/pebble"
)

var (
	recoverSessions = flag.Int("recover-sessions", 10_000, "sessions of BenchmarkRecover")
	recoverMessages = flag.Int("recover-messages", 10, "messages that wait for each of them")
)

// BenchmarkRecover is the start of a node whose sessions have a subscription and messages of 100 bytes each: how long it takes and
// what it leaves in memory. The store is opened anew for each round, which is part of the time.
func BenchmarkRecover(b *testing.B) {
	dir := b.TempDir()
	fillSessions(b, dir)
	for b.Loop() {
		b.StopTimer()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		b.StartTimer()
		began, used := time.Now(), processor()
		st, err := pebble.Open(pebble.Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		opened := time.Since(began)
		r := New(Config{Hooks: new(hook.Points), Router: router.New(router.Config{}), Journal: journal.New(st), Zone: anyZone})
		told := 0
		got, err := r.Recover(context.Background(), time.Now().UnixNano(), func(Recovered) { told++ })
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if want := (Recovered{*recoverSessions, *recoverSessions, *recoverSessions * *recoverMessages}); got != want || told == 0 {
			b.Fatalf("%+v came back, want %+v; told %d times", got, want, told)
		}
		b.ReportMetric((processor() - used).Seconds(), "cpu-s")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(*recoverSessions), "B/session")
		b.ReportMetric(opened.Seconds(), "s-to-open")
		if err := st.Close(); err != nil {
			b.Fatal(err)
		}
		runtime.KeepAlive(r)
		b.StartTimer()
	}
}

// processor is the time that the process has had a processor: what counts on a machine that does other things too.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func anyZone(string, packet.Version) (*session.Config, any) {
	return &session.Config{MaxInflight: 32}, nil
}

// fillSessions makes a store with sessions and what waits for them.
func fillSessions(b *testing.B, dir string) {
	b.Helper()
	st, err := pebble.Open(pebble.Config{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	j := journal.New(st)
	if err := j.OpenFormat(b.Context(), room); err != nil {
		b.Fatal(err)
	}
	m := &message.Message{Topic: "sensors/1/temperature", Payload: make([]byte, 100), QoS: 1}
	d := message.Delivery{Msg: m, Opts: message.SubOptions{QoS: 1}}
	r := New(Config{Journal: j})
	now := time.Now().UnixNano()
	const step = 100
	for first := 0; first < *recoverSessions; first += step {
		if err := j.Apply(b.Context(), store.Async, func(t *journal.Tx) {
			for i := first; i < min(first+step, *recoverSessions); i++ {
				sid := uint64(i + 1)
				id := fmt.Sprintf("client-%08d", i)
				rec := record{ClientID: id, Created: now, Level: store.Async, Expiry: 7200, Left: now, ExpiresAt: now + int64(2*time.Hour),
					Facts: &hook.Client{ID: id, Protocol: packet.V50, Expiry: 7200}}
				t.Put(store.Async, appendSession(nil, sid), rec.append(nil))
				t.Put(store.Async, appendFilter(nil, sid, fmt.Sprintf("sensors/%d/#", i)), session.AppendOptions(nil, d.Opts))
				p := r.part(t)
				for n := range *recoverMessages { // none is another's
					one := *m
					d := d
					d.Msg, d.Seq = &one, uint64(n+1)
					p.add(t, &durable{sid: sid}, &d, true).live.Add(1)
				}
			}
		}); err != nil {
			b.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		b.Fatal(err)
	}
}
