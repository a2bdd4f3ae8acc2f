package event

import (
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Publish serves the hooks publish and will.
var Publish = Ops[hook.PublishEvent]{
	Wants: func(p *Plugin, h *Binding, e *hook.PublishEvent) bool {
		return (e.Verdict == hook.Next || e.Verdict == hook.Allow) && !p.Own(e.Msg) && h.Scope.message(e.Client, e.Msg)
	},
	Key:    func(e *hook.PublishEvent) uint64 { return connOf(e.Client) },
	Park:   func(e *hook.PublishEvent) *hook.Parking { return e.Park },
	Encode: func(w *Encoder, k contract.Hook, e *hook.PublishEvent) { w.message(k, e.Client, e.Msg) },
	Apply: func(a *Answer, e *hook.PublishEvent) {
		hops := e.Msg.Hops
		if e.Delayed && a.Action != contract.Drop {
			a.Action = contract.Drop // it is kept: published now too, it would be there twice
		}
		switch a.Action {
		case contract.Deny:
			e.Verdict, e.Reason, e.Text = hook.Deny, a.reason(), a.Text()
		case contract.Drop:
			e.Verdict = hook.Drop
		case contract.Rewrite:
			e.Msg = rewritten(e.Msg, a.Verdict, a.Now)
		}
		e.Throttle = a.throttle(e.Throttle)
		if list, ok := a.Ext(contract.ExtPublishes); ok {
			e.Also = a.also(e.Also, list, hops)
		}
	},
	Fail: func(h *Binding, e *hook.PublishEvent) {
		if e.Delayed { // it is kept: whoever sends it again would have it twice
			e.Verdict = hook.Drop
			return
		}
		switch h.policy(e.Msg.QoS) {
		case manifest.OnErrorDeny, manifest.OnErrorPark:
			e.Verdict, e.Reason = hook.Deny, h.Reason
		case manifest.OnErrorDrop:
			e.Verdict = hook.Drop
		}
	},
	Records: func(p *Plugin, es []hook.PublishEvent, at []int) Records {
		q := p.Later.Load()
		if q == nil {
			return nil
		}
		return &delaying{later: q, es: es, at: at}
	},
}

// also appends the messages of a verdict's publish list, which is valid. Above
// MaxHops they are counted and left out.
func (a *Answer) also(to []*message.Message, list []byte, hops uint8) []*message.Message {
	var slab *message.Slab // one message is made alone
	for len(list) > 0 {
		r, rest, err := contract.Split(list)
		if err != nil {
			return to
		}
		if slab == nil && len(rest) > 0 {
			slab = &message.Slab{}
		}
		list = rest
		if hops >= MaxHops {
			a.Plugin.Looped()
			continue
		}
		to = append(to, Publication(slab, r, Cause{From: a.Plugin.Name, Hops: hops, Now: a.Now}))
	}
	return to
}

// Deliver serves deliver.
var Deliver = Ops[hook.DeliverEvent]{
	Wants: func(p *Plugin, h *Binding, e *hook.DeliverEvent) bool {
		return e.Verdict != hook.Drop && !p.Own(e.Msg) && h.Scope.message(e.Client, e.Msg)
	},
	Key:    func(e *hook.DeliverEvent) uint64 { return connOf(e.Client) },
	Encode: func(w *Encoder, k contract.Hook, e *hook.DeliverEvent) { w.message(k, e.Client, e.Msg) },
	Apply: func(a *Answer, e *hook.DeliverEvent) {
		switch a.Action {
		case contract.Drop:
			e.Verdict = hook.Drop
		case contract.Rewrite:
			e.Msg = rewritten(e.Msg, a.Verdict, a.Now)
		}
	},
	Fail: func(h *Binding, e *hook.DeliverEvent) {
		if h.OnError == manifest.OnErrorDrop {
			e.Verdict = hook.Drop
		}
	},
}

// Subscribe serves subscribe.
var Subscribe = Ops[hook.SubscribeEvent]{
	Wants: func(_ *Plugin, h *Binding, e *hook.SubscribeEvent) bool {
		if !h.Scope.client(e.Client) {
			return false
		}
		for i, f := range e.Filters {
			if !refused(e, i) && h.Scope.filter(f.Filter) {
				return true
			}
		}
		return false
	},
	Key:  func(e *hook.SubscribeEvent) uint64 { return connOf(e.Client) },
	Park: func(e *hook.SubscribeEvent) *hook.Parking { return e.Park },
	Encode: func(w *Encoder, k contract.Hook, e *hook.SubscribeEvent) {
		h := w.head(k, e.Client)
		h.Aux = uint32(len(e.Filters))
		w.Begin(h)
		w.who(e.Client)
		if w.Wants(contract.SlotFilters) {
			w.scratch = w.scratch[:0]
			for _, f := range e.Filters {
				o := optionsByte(message.SubOptions{QoS: f.QoS, NoLocal: f.NoLocal, RetainAsPublished: f.RetainAsPublished, RetainHandling: f.RetainHandling})
				w.scratch = contract.AppendSubscription(w.scratch, f.Filter, o)
			}
			w.Bytes(contract.SlotFilters, w.scratch)
		}
		if len(e.Props) > 0 {
			w.Bytes(contract.SlotSubProps, e.Props)
		}
		w.End()
	},
	Apply: func(a *Answer, e *hook.SubscribeEvent) {
		if a.Action == contract.Deny {
			e.Text = a.Text()
			refuseAll(e, a.reason())
			return
		}
		if text := a.Text(); text != "" {
			e.Text = text
		}
		if list, ok := a.Ext(contract.ExtFilters); ok {
			refilter(e, list)
		}
		codes, _ := a.Ext(contract.ExtCodes)
		for i, c := range codes {
			switch {
			case c == contract.KeepCode || refused(e, i) || i >= len(e.Filters):
			case c >= 0x80 && i < len(e.Codes):
				e.Codes[i] = packet.ReasonCode(c)
			case c <= 2:
				e.Filters[i].QoS = c
			}
		}
	},
	Fail: func(h *Binding, e *hook.SubscribeEvent) {
		if h.denies() {
			refuseAll(e, h.Reason)
		}
	},
}

// refused tells whether an earlier callback refused filter i.
func refused(e *hook.SubscribeEvent, i int) bool { return i < len(e.Codes) && e.Codes[i].Failed() }

// refuseAll refuses every filter that nobody refused yet.
func refuseAll(e *hook.SubscribeEvent, code packet.ReasonCode) {
	for i := range e.Codes {
		if !e.Codes[i].Failed() {
			e.Codes[i] = code
		}
	}
}

// refilter replaces the filters by those of a validated list.
func refilter(e *hook.SubscribeEvent, list []byte) {
	i := 0
	for f := range (contract.FilterList{Bytes: list, Options: true}).All {
		if i < len(e.Filters) && !refused(e, i) {
			e.Filters[i] = packet.Filter{
				Filter: string(f.Filter), QoS: f.Options & 3, NoLocal: f.Options&(1<<2) != 0,
				RetainAsPublished: f.Options&(1<<3) != 0, RetainHandling: f.Options >> 4 & 3,
			}
		}
		i++
	}
}

// Unsubscribe serves unsubscribe.
var Unsubscribe = Ops[hook.UnsubscribeEvent]{
	Wants: func(_ *Plugin, h *Binding, e *hook.UnsubscribeEvent) bool {
		if !h.Scope.client(e.Client) {
			return false
		}
		for _, f := range e.Filters {
			if h.Scope.filter(f) {
				return true
			}
		}
		return false
	},
	Key: func(e *hook.UnsubscribeEvent) uint64 { return connOf(e.Client) },
	Encode: func(w *Encoder, k contract.Hook, e *hook.UnsubscribeEvent) {
		h := w.head(k, e.Client)
		h.Aux = uint32(len(e.Filters))
		w.Begin(h)
		w.who(e.Client)
		if w.Wants(contract.SlotFilters) {
			w.scratch = w.scratch[:0]
			for _, f := range e.Filters {
				w.scratch = contract.AppendFilter(w.scratch, f)
			}
			w.Bytes(contract.SlotFilters, w.scratch)
		}
		if len(e.Props) > 0 {
			w.Bytes(contract.SlotSubProps, e.Props)
		}
		w.End()
	},
	Apply: func(a *Answer, e *hook.UnsubscribeEvent) {
		list, ok := a.Ext(contract.ExtFilters)
		if !ok {
			return
		}
		i := 0
		for f := range (contract.FilterList{Bytes: list}).All {
			if i < len(e.Filters) {
				e.Filters[i] = string(f.Filter)
			}
			i++
		}
	},
	Fail: func(*Binding, *hook.UnsubscribeEvent) {},
}
