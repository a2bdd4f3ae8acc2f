package event

import (
	"bytes"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// connOf is the shard key of a client's events.
func connOf(c *hook.Client) uint64 {
	if c == nil {
		return 0
	}
	return c.Conn
}

// Connect serves connect.
var Connect = Ops[hook.ConnectEvent]{
	Wants: func(_ *Plugin, h *Binding, e *hook.ConnectEvent) bool {
		return !e.Reason.Failed() && h.Scope.client(e.Client)
	},
	Key:  func(e *hook.ConnectEvent) uint64 { return connOf(e.Client) },
	Park: func(e *hook.ConnectEvent) *hook.Parking { return e.Park },
	Encode: func(w *Encoder, k contract.Hook, e *hook.ConnectEvent) {
		h := w.head(k, e.Client)
		h.Aux = uint32(e.Client.KeepAlive)
		var props packet.Props
		if e.Packet != nil {
			props = e.Packet.Props
			if e.Packet.Will != nil {
				h.Flags = h.Flags.WithQoS(e.Packet.Will.QoS)
			}
		}
		w.Begin(h)
		w.client(e.Client, props)
		if e.Packet != nil && e.Packet.Will != nil {
			w.String(contract.SlotWillTopic, e.Packet.Will.Topic)
			w.Bytes(contract.SlotWillPayload, e.Packet.Will.Payload)
			w.Bytes(contract.SlotWillProps, e.Packet.Will.Props)
		}
		w.End()
	},
	Apply: func(a *Answer, e *hook.ConnectEvent) {
		if a.Action == contract.Deny {
			e.Reason, e.Text = a.reason(), a.Text()
			return
		}
		e.Throttle = a.throttle(e.Throttle)
		if id, ok := a.Ext(contract.ExtClientID); ok {
			e.Client.ID = string(id)
		}
		subscribe(a, e)
		limit(a, e)
	},
	Fail: func(h *Binding, e *hook.ConnectEvent) {
		if h.denies() {
			e.Reason = h.Reason
		}
	},
}

// subscribe adds the subscriptions that the plugin wants made.
func subscribe(a *Answer, e *hook.ConnectEvent) {
	list, _ := a.Ext(contract.ExtSubscriptions)
	for f := range (contract.FilterList{Bytes: list, Options: true}).All {
		e.Subscribe = append(e.Subscribe, packet.Filter{
			Filter: string(f.Filter), QoS: f.Options & 3, NoLocal: f.Options&(1<<2) != 0,
			RetainAsPublished: f.Options&(1<<3) != 0, RetainHandling: f.Options >> 4 & 3,
		})
	}
}

// limit lowers or raises what the CONNECT asked for.
func limit(a *Answer, e *hook.ConnectEvent) {
	l, ok := a.Limits()
	if !ok || e.Packet == nil {
		return
	}
	if l.KeepAlive != contract.KeepLimit {
		e.Client.KeepAlive, e.Packet.KeepAlive = uint16(l.KeepAlive), uint16(l.KeepAlive)
	}
	if l.SessionExpiry != contract.KeepLimit {
		e.Client.Expiry = l.SessionExpiry
		e.Packet.Props = packet.AppendUint32Prop(without(e.Packet.Props, packet.PropSessionExpiry), packet.PropSessionExpiry, l.SessionExpiry)
	}
	if l.ReceiveMax != contract.KeepLimit {
		e.Packet.Props = packet.AppendUint16Prop(without(e.Packet.Props, packet.PropReceiveMaximum), packet.PropReceiveMaximum, uint16(l.ReceiveMax))
	}
	if l.PacketSize != contract.KeepLimit {
		e.Packet.Props = packet.AppendUint32Prop(without(e.Packet.Props, packet.PropMaximumPacketSize), packet.PropMaximumPacketSize, l.PacketSize)
	}
}

// without is a copy of p that lacks property id.
func without(p packet.Props, id packet.PropID) packet.Props {
	out := make(packet.Props, 0, len(p)+8)
	p.Each(func(got packet.PropID, value []byte) bool {
		if got != id {
			out = append(append(out, byte(got)), value...)
		}
		return true
	})
	return out
}

// exchange is the state of an enhanced authentication between two AUTH packets:
// it belongs to the plugin that answered Continue.
type exchange struct {
	owner *Plugin
	state []byte
}

// Authenticate serves authenticate and auth_continue.
var Authenticate = Ops[hook.AuthEvent]{
	Wants: func(p *Plugin, h *Binding, e *hook.AuthEvent) bool {
		mine := e.State == nil // the first exchange is everybody's
		if h.Hook == contract.HookAuthContinue {
			x, ok := e.State.(exchange)
			mine = ok && x.owner == p
		}
		return mine && e.Verdict == hook.Next && h.Scope.client(e.Client)
	},
	Key:  func(e *hook.AuthEvent) uint64 { return connOf(e.Client) },
	Park: func(e *hook.AuthEvent) *hook.Parking { return e.Park },
	Encode: func(w *Encoder, k contract.Hook, e *hook.AuthEvent) {
		h := w.head(k, e.Client)
		if e.Client != nil {
			h.Aux = uint32(e.Client.KeepAlive)
		}
		if e.Reauth {
			h.Flags |= contract.FlagReauth
		}
		w.Begin(h)
		w.client(e.Client, nil)
		if e.Password != nil {
			w.Bytes(contract.SlotPassword, e.Password)
		}
		w.optional(contract.SlotAuthMethod, e.Method)
		if e.Data != nil {
			w.Bytes(contract.SlotAuthData, e.Data)
		}
		if x, ok := e.State.(exchange); ok {
			w.Bytes(contract.SlotAuthState, x.state)
		}
		w.optional(contract.SlotAuthWill, e.Will)
		w.End()
	},
	Apply: decideAuth,
	Fail: func(h *Binding, e *hook.AuthEvent) {
		switch {
		case h.denies():
			e.Verdict, e.Reason = hook.Deny, h.Reason
		case h.OnError == manifest.OnErrorAllow:
			e.Verdict = hook.Allow
		}
	},
}

// decideAuth carries out the verdict of authenticate and auth_continue.
func decideAuth(a *Answer, e *hook.AuthEvent) {
	if reply, ok := a.Ext(contract.ExtReply); ok {
		e.Reply = bytes.Clone(reply)
	}
	switch a.Action {
	case contract.Deny:
		e.Verdict, e.Reason, e.Text = hook.Deny, a.reason(), a.Text()
	case contract.Continue:
		state, _ := a.Ext(contract.ExtState)
		e.Verdict, e.State = hook.Continue, exchange{owner: a.Plugin, state: bytes.Clone(state)}
	case contract.Allow:
		e.Verdict = hook.Allow
		identify(a, e.Client)
	}
}

// identify writes who the client is into c.
func identify(a *Answer, c *hook.Client) {
	if c == nil {
		return
	}
	if b, ok := a.Ext(contract.ExtPrincipal); ok {
		c.Principal = string(b)
	}
	if b, ok := a.Ext(contract.ExtTenant); ok {
		c.Tenant = string(b)
	}
	if attrs := a.Attributes(); attrs != nil {
		c.Attributes = attrs
	}
	if at, ok := a.Uint64(contract.ExtExpiresAt); ok {
		c.ExpiresAt = time.Unix(0, int64(at))
	}
	if a.Flags&contract.VerdictSuperuser != 0 {
		c.Superuser = true
	}
	if ps, ok := a.permissions(); ok {
		c.Permissions = ps
	}
}

// permissions is the verdict's permission list in the core's form.
func (a *Answer) permissions() ([]hook.Permission, bool) {
	raw, ok := a.Ext(contract.ExtPermissions)
	if !ok {
		return nil, false
	}
	return a.Plugin.lists.of(raw, a.readPermissions), true
}

func (a *Answer) readPermissions() []hook.Permission {
	ps, _ := a.Verdict.Permissions()
	list := make([]hook.Permission, len(ps))
	for i, p := range ps {
		list[i] = hook.Permission{Filter: p.Filter, Allow: p.Allow, MaxQoS: p.MaxQoS, Retain: p.Retain, Exact: p.Exact, Any: p.Any}
		if p.Publish {
			list[i].Action |= hook.Publish
		}
		if p.Subscribe {
			list[i].Action |= hook.Subscribe
		}
	}
	return list
}

// cacheable notes for how long and for what the answer to an acl question holds.
func cacheable(a *Answer, e *hook.ACLEvent) {
	ttl := time.Duration(a.CacheTTL) * time.Millisecond
	switch a.Verdict.Flags.CacheScope() {
	case contract.CacheTopic:
		e.CacheTTL = ttl
	case contract.CacheFilter:
		if f, ok := a.Ext(contract.ExtCacheFilter); ok {
			e.CacheTTL, e.CacheFilter = ttl, string(f)
		}
	case contract.CacheConnection:
		e.CacheTTL, e.CacheFilter = ttl, "#"
	}
	if a.Verdict.Flags&contract.CacheShared != 0 {
		a.Plugin.memory.keep(a.Binding, a.Now, e)
	}
}

// ACL serves acl.
var ACL = Ops[hook.ACLEvent]{
	Wants: func(p *Plugin, h *Binding, e *hook.ACLEvent) bool {
		if e.Verdict != hook.Next || !h.Scope.flags(e.QoS, e.Retain) || !h.Scope.client(e.Client) {
			return false
		}
		if e.Action == hook.Publish && !h.Scope.topic(e.Topic) || e.Action != hook.Publish && !h.Scope.filter(e.Topic) {
			return false
		}
		if e.Lists != nil && e.Lists.Decide(p, h, e) {
			return false
		}
		return !p.memory.decide(h, p.now, e)
	},
	Key:    func(e *hook.ACLEvent) uint64 { return connOf(e.Client) },
	Park:   func(e *hook.ACLEvent) *hook.Parking { return e.Park },
	Encode: func(w *Encoder, k contract.Hook, e *hook.ACLEvent) { w.acl(w.head(k, e.Client), e) },
	Apply: func(a *Answer, e *hook.ACLEvent) {
		list, given := a.permissions()
		if given && e.Lists != nil {
			e.Lists.Keep(a.Plugin, a.Binding, list)
		}
		switch a.Action {
		case contract.Allow:
			e.Verdict = hook.Allow
		case contract.Deny:
			e.Verdict, e.Reason, e.Text = hook.Deny, a.reason(), a.Text()
		default: // the list answers this question too
			if given {
				hook.Permitted(list, e)
			} else if e.Lists != nil {
				e.Lists.Decide(a.Plugin, a.Binding, e)
			}
			return
		}
		cacheable(a, e)
	},
	Fail: func(h *Binding, e *hook.ACLEvent) {
		switch {
		case h.denies():
			e.Verdict, e.Reason = hook.Deny, h.Reason
		case h.OnError == manifest.OnErrorAllow:
			e.Verdict = hook.Allow
		}
	},
}
