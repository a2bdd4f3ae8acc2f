package event

import (
	"errors"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/topicstore"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// RetainStore serves retained_store. A provider's own messages are kept like
// anybody's.
var RetainStore = Ops[hook.RetainEvent]{
	Wants: func(_ *Plugin, h *Binding, e *hook.RetainEvent) bool {
		return e.Verdict == hook.Next && h.Scope.message(e.Client, e.Msg)
	},
	Key:    func(e *hook.RetainEvent) uint64 { return connOf(e.Client) },
	Encode: func(w *Encoder, k contract.Hook, e *hook.RetainEvent) { w.message(k, e.Client, e.Msg) },
	Apply: func(a *Answer, e *hook.RetainEvent) {
		switch a.Action {
		case contract.Deny:
			e.Verdict, e.Reason = hook.Deny, a.reason()
		case contract.Allow:
			e.Verdict = hook.Allow
		case contract.Drop:
			e.Verdict = hook.Drop
		}
	},
	Fail: func(h *Binding, e *hook.RetainEvent) {
		switch h.policy(e.Msg.QoS) {
		case manifest.OnErrorDeny, manifest.OnErrorPark:
			e.Verdict, e.Reason = hook.Deny, h.Reason
		}
	},
	Records: func(p *Plugin, es []hook.RetainEvent, at []int) Records {
		return &storing{store: p.Store, now: p.now(), es: es, at: at}
	},
}

// RetainRead serves retained_read.
var RetainRead = Ops[hook.RetainedReadEvent]{
	Wants: func(_ *Plugin, h *Binding, e *hook.RetainedReadEvent) bool {
		return h.Scope.client(e.Client) && h.Scope.filter(e.Filter)
	},
	Key: func(e *hook.RetainedReadEvent) uint64 { return connOf(e.Client) },
	Encode: func(w *Encoder, k contract.Hook, e *hook.RetainedReadEvent) {
		w.subscription(k, &hook.SubscriptionEvent{Client: e.Client, Filter: e.Filter, Opts: e.Opts, New: e.New})
	},
	Apply: func(*Answer, *hook.RetainedReadEvent) {},
	Fail:  func(*Binding, *hook.RetainedReadEvent) {},
	Records: func(p *Plugin, es []hook.RetainedReadEvent, at []int) Records {
		return &reading{store: p.Store, es: es, at: at}
	},
}

// storing are the services of one retained_store call.
type storing struct {
	store *topicstore.Store
	now   int64
	es    []hook.RetainEvent
	at    []int
}

// event returns the event behind a record.
func (s *storing) event(record int) *hook.RetainEvent {
	if record < 0 || record >= len(s.at) {
		return nil
	}
	return &s.es[s.at[record]]
}

// Put keeps a copy that is marked as retained, so that a read hands it out as it is.
func (s *storing) Put(record int, ttl time.Duration) error {
	e := s.event(record)
	if e == nil || ttl < 0 {
		return contract.ErrnoInvalid
	}
	m := *e.Msg
	m.Retain, m.Retained = true, true
	if ttl > 0 {
		if until := s.now + int64(ttl); m.Expiry == 0 || until < m.Expiry {
			m.Expiry = until
		}
	}
	switch err := s.store.Put(&m, e.Durability); {
	case err == nil:
		e.Kept = true
		return nil
	case errors.Is(err, store.ErrFull):
		e.Unkept = packet.QuotaExceeded
	case !errors.Is(err, topicstore.ErrFull):
		e.Unkept = packet.ImplementationSpecificError
	}
	return contract.ErrnoQuota
}

// Delete removes what is kept for the record's topic.
func (s *storing) Delete(record int) error {
	e := s.event(record)
	if e == nil {
		return contract.ErrnoInvalid
	}
	if !s.store.Delete(e.Msg.Topic, e.Durability) {
		return contract.ErrnoNotFound
	}
	e.Kept = true
	return nil
}

// Deliver is not for this hook.
func (s *storing) Deliver(int) error { return contract.ErrnoDenied }

// Count counts what is kept.
func (s *storing) Count(filter string) int { return count(s.store, filter) }

// reading are the services of one retained_read call.
type reading struct {
	store *topicstore.Store
	es    []hook.RetainedReadEvent
	at    []int
	given map[int]bool // records that were delivered: a retried frame gives once
}

// Put is not for this hook.
func (r *reading) Put(int, time.Duration) error { return contract.ErrnoDenied }

// Delete is not for this hook.
func (r *reading) Delete(int) error { return contract.ErrnoDenied }

// Deliver appends a cursor over what matches to the event.
func (r *reading) Deliver(record int) error {
	if record < 0 || record >= len(r.at) {
		return contract.ErrnoInvalid
	}
	if r.given[record] {
		return nil
	}
	if r.given == nil {
		r.given = map[int]bool{}
	}
	r.given[record] = true
	e := &r.es[r.at[record]]
	e.Replay = append(e.Replay, r.store.Open(e.Filter))
	return nil
}

// Count counts what is kept.
func (r *reading) Count(filter string) int { return count(r.store, filter) }

func count(s *topicstore.Store, filter string) int {
	if filter == "" {
		return s.Count()
	}
	return s.CountFilter(filter)
}
