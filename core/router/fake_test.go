package router

import (
	"sync/atomic"

	"github.com/dunlinmq/dunlin/core/message"
)

// member is a subscriber that counts what it gets.
type member struct {
	id      string
	offline atomic.Bool
	got     atomic.Int64
}

func (m *member) ClientID() string                     { return m.id }
func (m *member) Online() bool                         { return !m.offline.Load() }
func (m *member) Deliver(_ *Batch, _ message.Delivery) { m.got.Add(1) }

func sub(to Subscriber, filter string) *Subscription { return &Subscription{Filter: filter, To: to} }

func shared(to Subscriber, group, filter string) *Subscription {
	return &Subscription{Filter: filter, To: to, Share: &message.Share{Group: group, Filter: filter}}
}

// filtersOf returns the matched filters, sorted by the caller if needed.
func filtersOf(m *Matches) []string {
	var fs []string
	for _, s := range m.Subs {
		fs = append(fs, s.Filter)
	}
	for _, g := range m.Groups {
		fs = append(fs, g.Share.Group+":"+g.Share.Filter)
	}
	return fs
}
