package session

import "github.com/dunlinmq/dunlin/core/message"

// manySubscriptions is the number above which a map is worth its memory.
const manySubscriptions = 8

// subscription is one filter, with its share prefix, and its options.
type subscription struct {
	filter string
	opts   message.SubOptions
}

// subscriptions is a list while it is short and a map from then on.
type subscriptions struct {
	few  []subscription
	many map[string]message.SubOptions // nil: few holds all
}

func (s *subscriptions) len() int {
	if s.many != nil {
		return len(s.many)
	}
	return len(s.few)
}

// Subscribe adds or replaces [MQTT-3.8.4-3] the subscription of filter, which
// carries its share prefix. isNew is false if it replaced one.
func (s *Session) Subscribe(filter string, o message.SubOptions) (isNew bool) {
	b := &s.subs
	if b.many != nil {
		_, known := b.many[filter]
		b.many[filter] = o
		return !known
	}
	for i := range b.few {
		if b.few[i].filter == filter {
			b.few[i].opts = o
			return false
		}
	}
	if len(b.few) < manySubscriptions {
		b.few = append(b.few, subscription{filter, o})
		return true
	}
	b.many = make(map[string]message.SubOptions, 2*manySubscriptions)
	for _, sub := range b.few {
		b.many[sub.filter] = sub.opts
	}
	b.few = nil
	b.many[filter] = o
	return true
}

// Unsubscribe removes the subscription of exactly this filter [MQTT-3.10.4-1]
// and returns its options; ok is false if there was none.
func (s *Session) Unsubscribe(filter string) (o message.SubOptions, ok bool) {
	b := &s.subs
	if b.many != nil {
		o, ok = b.many[filter]
		delete(b.many, filter)
		return o, ok
	}
	for i := range b.few {
		if b.few[i].filter != filter {
			continue
		}
		o = b.few[i].opts
		last := len(b.few) - 1
		copy(b.few[i:], b.few[i+1:])
		b.few[last] = subscription{}
		b.few = b.few[:last]
		return o, true
	}
	return o, false
}

// Subscription returns the options of filter.
func (s *Session) Subscription(filter string) (o message.SubOptions, ok bool) {
	if s.subs.many != nil {
		o, ok = s.subs.many[filter]
		return o, ok
	}
	for i := range s.subs.few {
		if s.subs.few[i].filter == filter {
			return s.subs.few[i].opts, true
		}
	}
	return o, false
}

// Subscriptions returns all subscriptions. The caller must not change the map
// and must not keep it over a call of Subscribe or Unsubscribe. A session with
// few subscriptions makes the map for each call.
func (s *Session) Subscriptions() map[string]message.SubOptions {
	if s.subs.many != nil {
		return s.subs.many
	}
	m := make(map[string]message.SubOptions, len(s.subs.few))
	for _, sub := range s.subs.few {
		m[sub.filter] = sub.opts
	}
	return m
}
