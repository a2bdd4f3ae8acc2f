package server

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/metrics"
)

// facts implements admin.Facts.
type facts struct{ s *Server }

// Figures implements admin.Facts.
func (k facts) Figures(family adminpb.ListFiguresRequest_Family) (list []*adminpb.Figure) {
	switch family {
	case adminpb.ListFiguresRequest_FAMILY_STATS:
		list = figures(counts(k).stats())
	case adminpb.ListFiguresRequest_FAMILY_METRICS:
		list = figures(k.s.env.Metrics.Counters(nil))
	case adminpb.ListFiguresRequest_FAMILY_PLUGINS:
		list = k.pluginFigures()
	case adminpb.ListFiguresRequest_FAMILY_VM:
		list = append(runtimeFigures(), &adminpb.Figure{Name: "cpu/loops_running", Value: int64(k.s.engine.Running())})
	case adminpb.ListFiguresRequest_FAMILY_STORE:
		list = []*adminpb.Figure{
			{Name: "retained/messages", Value: int64(k.s.retained.Count())},
			{Name: "retained/bytes", Value: k.s.retained.Bytes()},
			{Name: "retained/max_messages", Value: int64(k.s.Config().Store.MaxMessages)},
			{Name: "retained/max_bytes", Value: k.s.Config().Store.MaxBytes},
			{Name: "sessions", Value: int64(k.s.registry.Sessions())},
		}
		list = append(list, diskFigures(k.s.disk.store.Info(), k.s.disk.store.State(), k.s.disk.journal.Stats())...)
	}
	slices.SortFunc(list, func(a, b *adminpb.Figure) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return list
}

func figures(samples []metrics.Sample) []*adminpb.Figure {
	list := make([]*adminpb.Figure, len(samples))
	for i, s := range samples {
		list[i] = &adminpb.Figure{Name: s.Name, Value: s.Value}
	}
	return list
}

// runtimeFigures tells of memory (bytes), goroutines and garbage collection.
func runtimeFigures() []*adminpb.Figure {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return []*adminpb.Figure{
		{Name: "memory/total", Value: int64(m.Sys)},
		{Name: "memory/heap", Value: int64(m.HeapAlloc)},
		{Name: "memory/heap_idle", Value: int64(m.HeapIdle)},
		{Name: "memory/heap_released", Value: int64(m.HeapReleased)},
		{Name: "memory/stacks", Value: int64(m.StackInuse)},
		{Name: "memory/limit", Value: debug.SetMemoryLimit(-1)},
		{Name: "memory/objects", Value: int64(m.HeapObjects)},
		{Name: "process/goroutines", Value: int64(runtime.NumGoroutine())},
		{Name: "cpu/cores", Value: int64(runtime.NumCPU())},
		{Name: "cpu/gomaxprocs", Value: int64(runtime.GOMAXPROCS(0))},
		{Name: "gc/cycles", Value: int64(m.NumGC)},
		{Name: "gc/pause_total_ns", Value: int64(m.PauseTotalNs)},
		{Name: "gc/pause_last_ns", Value: int64(m.PauseNs[(m.NumGC+255)%256])},
		{Name: "gc/next_at_bytes", Value: int64(m.NextGC)},
	}
}

// Alarms implements admin.Facts.
func (k facts) Alarms(past bool) []*adminpb.Alarm {
	alarms := k.s.guards.alarms.Current
	if past {
		alarms = k.s.guards.alarms.History
	}
	var list []*adminpb.Alarm
	for _, a := range alarms() {
		p := &adminpb.Alarm{Name: a.Name, Message: a.Message, ActivatedAtMs: a.ActivatedAt.UnixMilli()}
		if !a.Active() {
			p.DeactivatedAtMs = a.DeactivatedAt.UnixMilli()
		}
		list = append(list, p)
	}
	return list
}

// bans implements admin.Bans.
type bans struct{ s *Server }

// Bans implements admin.Bans.
func (k bans) Bans() []*adminpb.Ban {
	var list []*adminpb.Ban
	for _, b := range k.s.guards.bans.List() {
		p := &adminpb.Ban{Kind: string(b.As), Who: b.Who, By: b.By, Reason: b.Reason, AtMs: b.At.UnixMilli()}
		if !b.Until.IsZero() {
			p.UntilMs = b.Until.UnixMilli()
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *adminpb.Ban) int {
		return cmp.Or(cmp.Compare(a.GetKind(), b.GetKind()), cmp.Compare(a.GetWho(), b.GetWho()))
	})
	return list
}

// AddBan implements admin.Bans.
func (k bans) AddBan(p *adminpb.Ban) error {
	b := access.Ban{As: access.BanKind(p.GetKind()), Who: p.GetWho(), By: p.GetBy(), Reason: p.GetReason()}
	if p.GetUntilMs() != 0 {
		b.Until = time.UnixMilli(p.GetUntilMs())
	}
	err := k.s.guards.bans.Add(b)
	switch {
	case errors.Is(err, access.ErrBan):
		return fmt.Errorf("%w: %w", admin.ErrInvalid, err)
	case errors.Is(err, access.ErrBansFull):
		return fmt.Errorf("%w: %w", admin.ErrState, err)
	}
	return err
}

// DeleteBan implements admin.Bans.
func (k bans) DeleteBan(kind, who string) error {
	found, err := k.s.guards.bans.Delete(access.BanKind(kind), who)
	if err == nil && !found {
		err = fmt.Errorf("ban of %s %q: %w", kind, who, admin.ErrNotFound)
	}
	return err
}
