// Package main is the rewrite plugin: it changes the topics of PUBLISH, SUBSCRIBE
// and UNSUBSCRIBE by rules, as EMQ X 4's emqx_mod_rewrite did (emqx4 §9.3).
package main

import (
	"bytes"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Rewrite changes topics by its rules. The rules are immutable once configured.
type Rewrite struct {
	pub, sub []rule // in the order in which they are tried

	topic string // the change being told; reused
	wire  []byte // the filters being told; reused
}

var _ = sdk.Register(&Rewrite{})

func main() { sdk.Main() }

// Configure reads the rules. With a fault in one there are none and the plugin
// does not load.
func (r *Rewrite) Configure(config []byte) error {
	pub, sub, err := parse(config)
	if err != nil {
		return err
	}
	r.pub, r.sub = pub, sub
	return nil
}

// OnPublish rewrites the topic of a message, whoever publishes it.
func (r *Rewrite) OnPublish(e *sdk.MessageEvent) sdk.Verdict {
	if len(r.pub) == 0 {
		return sdk.Verdict{}
	}
	name, changed := apply(r.pub, e.TopicBytes(), whoOf(&e.Event))
	if !changed || !contract.ValidTopic([]byte(name)) {
		return sdk.Verdict{}
	}
	r.topic = name
	return sdk.Verdict{Action: sdk.Rewrite, Message: &sdk.MessageChange{Topic: &r.topic}}
}

// OnSubscribe rewrites the filters of a SUBSCRIBE.
func (r *Rewrite) OnSubscribe(e *sdk.FiltersEvent) sdk.Verdict { return r.filters(e, true) }

// OnUnsubscribe rewrites the filters of an UNSUBSCRIBE by the same rules.
func (r *Rewrite) OnUnsubscribe(e *sdk.FiltersEvent) sdk.Verdict { return r.filters(e, false) }

func (r *Rewrite) filters(e *sdk.FiltersEvent, options bool) sdk.Verdict {
	if len(r.sub) == 0 {
		return sdk.Verdict{}
	}
	r.wire = r.wire[:0]
	changed, by := false, whoOf(&e.Event)
	for f := range e.Filters().All {
		share, inner := cutShare(f.Filter)
		name, hit := apply(r.sub, inner, by)
		if name = string(share) + name; hit && contract.ValidFilter([]byte(name)) {
			changed = true
		} else {
			name = string(f.Filter)
		}
		if options {
			r.wire = contract.AppendSubscription(r.wire, name, f.Options)
		} else {
			r.wire = contract.AppendFilter(r.wire, name)
		}
	}
	if !changed {
		return sdk.Verdict{}
	}
	return sdk.Verdict{Action: sdk.Rewrite, Filters: &sdk.FilterChange{Filters: r.wire}}
}

func whoOf(e *sdk.Event) who { return who{id: e.ClientIDBytes(), username: e.UsernameBytes()} }

// cutShare parts "$share/group/" or "$queue/" from the filter that counts.
func cutShare(filter []byte) (share, inner []byte) {
	i := 0
	switch {
	case bytes.HasPrefix(filter, []byte("$queue/")):
		i = len("$queue/")
	case bytes.HasPrefix(filter, []byte("$share/")):
		i = len("$share/")
		i += bytes.IndexByte(filter[i:], '/') + 1
	}
	return filter[:i], filter[i:]
}
