package channel_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/store"
)

// bind is "hook <what> words...": callbacks that stand for plugins.
func (w *world) bind(what string, k words) {
	h, spec := w.env.Hooks, hook.Spec{Owner: what}
	switch what {
	case "connect":
		h.ClientConnect.Add(spec, func(e *hook.ConnectEvent) {
			if e.Client.ID == k.str("deny") {
				e.Reason, e.Text = packet.ReasonCode(k.num("code")), "refused"
			}
			for _, f := range k["give"] {
				e.Subscribe = append(e.Subscribe, filterOf(f))
			}
		})
	case "auth":
		h.ClientAuthenticate.Add(spec, func(e *hook.AuthEvent) { w.authByScript(e, k) })
	case "acl":
		h.ClientCheckACL.Add(spec, func(es []hook.ACLEvent) {
			fmt.Fprintf(&w.out, "* acl asked for %d\n", len(es))
			for i := range es {
				if es[i].Verdict == hook.Next && es[i].Topic == k.str("deny") {
					es[i].Verdict, es[i].Reason = hook.Deny, packet.ReasonCode(k.num("code"))
				}
			}
		})
	case "subscribe":
		h.ClientSubscribe.Add(spec, func(e *hook.SubscribeEvent) {
			for i := range e.Filters {
				e.Filters[i].Filter = strings.Replace(e.Filters[i].Filter, k.str("from"), k.str("to"), 1)
			}
		})
	case "publish":
		h.MessagePublish.Add(spec, func(es []hook.PublishEvent) { w.publishByScript(es, k) })
	case "deliver":
		h.MessageDeliver.Add(spec, func(es []hook.DeliverEvent) {
			for i := range es {
				if string(es[i].Msg.Payload) == k.str("drop") {
					es[i].Verdict = hook.Drop
				}
			}
		})
	case "retainer":
		w.bindRetainer(spec)
	case "observe":
		w.observe(spec)
	default:
		panic("no hook " + what)
	}
}

// authByScript: password "secret" is allowed; method "M" takes one exchange.
func (w *world) authByScript(e *hook.AuthEvent, k words) {
	switch {
	case e.Client.Username == "continue":
		e.Verdict = hook.Continue
	case e.Method == "M" && e.State == nil:
		e.Verdict, e.State, e.Reply = hook.Continue, "step", []byte("challenge")
	case e.Method == "M" && string(e.Data) == "answer":
		e.Verdict, e.Reply = hook.Allow, []byte("done")
	case e.Method == "M" && string(e.Data) == "mine": // until a minute has passed
		e.Verdict, e.Client.Superuser, e.Client.ExpiresAt = hook.Allow, k.has("super"), time.Unix(0, w.now).Add(time.Minute)
		e.Client.Permissions = []hook.Permission{{Filter: "mine", Action: hook.PubSub, Allow: true, MaxQoS: 2}, {Filter: "#", Action: hook.PubSub}}
	case e.Method == "M":
		e.Verdict, e.Reason, e.Text = hook.Deny, packet.ReasonCode(pick(k, "code", int(packet.NotAuthorized))), "wrong answer"
	case e.Method == "" && string(e.Password) == "secret":
		e.Verdict = hook.Allow
		e.Client.Superuser = k.has("super")
		if k.has("only") {
			e.Client.Permissions = []hook.Permission{{Filter: k.str("only"), Action: hook.PubSub, Allow: true, MaxQoS: 2, Retain: true}, {Filter: "#", Action: hook.PubSub}}
		}
	case e.Method == "" && e.Password != nil:
		e.Verdict, e.Reason = hook.Deny, packet.BadUserNameOrPassword
	}
}

func (w *world) publishByScript(es []hook.PublishEvent, k words) {
	fmt.Fprintf(&w.out, "* publish hook called with %d\n", len(es))
	for i := range es {
		e := &es[i]
		switch {
		case e.Verdict != hook.Next || e.Msg.Origin == message.OriginPlugin:
		case e.Msg.Topic == k.str("drop"):
			e.Verdict = hook.Drop
		case e.Msg.Topic == k.str("deny"):
			e.Verdict, e.Reason, e.Text = hook.Deny, packet.ReasonCode(pick(k, "code", int(packet.QuotaExceeded))), k.str("text")
		case e.Msg.Topic == k.str("from"):
			m := *e.Msg
			m.Topic = k.str("to")
			e.Msg = &m
		case e.Msg.Topic == k.str("also"):
			e.Also = append(e.Also, &message.Message{Topic: "extra", Payload: e.Msg.Payload, Origin: message.OriginPlugin})
		}
	}
}

func (w *world) bindRetainer(spec hook.Spec) {
	w.env.Hooks.RetainedStore.Add(spec, func(es []hook.RetainEvent) {
		for i := range es {
			if len(es[i].Msg.Payload) == 0 {
				w.store.Delete(es[i].Msg.Topic, store.Memory)
			} else if err := w.store.Put(es[i].Msg, store.Memory); err != nil {
				panic(err)
			}
		}
	})
	w.env.Hooks.RetainedRead.Add(spec, func(e *hook.RetainedReadEvent) {
		e.Replay = append(e.Replay, w.store.Open(e.Filter))
	})
}

// observe shows every observing hook as a line.
func (w *world) observe(spec hook.Spec) {
	h := w.env.Hooks
	say := func(format string, args ...any) { fmt.Fprintf(&w.out, "* "+format+"\n", args...) }
	session := func(p *hook.Point[hook.Observe[hook.SessionEvent]], what string) {
		p.Add(spec, func(e *hook.SessionEvent) { say("session.%s %s", what, e.ClientID) })
	}
	session(&h.SessionCreated, "created")
	session(&h.SessionResumed, "resumed")
	session(&h.SessionTakenOver, "takeovered")
	session(&h.SessionDiscarded, "discarded")
	session(&h.SessionExpired, "terminated")
	h.ClientConnected.Add(spec, func(e *hook.ConnectionEvent) { say("client.connected %s", e.Client.ID) })
	h.ClientDisconnected.Add(spec, func(e *hook.ConnectionEvent) { say("client.disconnected %s %s", e.Client.ID, e.Text) })
	h.SessionSubscribed.Add(spec, func(e *hook.SubscriptionEvent) {
		say("session.subscribed %s %s new=%v", e.Client.ID, e.Filter, e.New)
	})
	h.SessionUnsubscribed.Add(spec, func(e *hook.SubscriptionEvent) {
		say("session.unsubscribed %s %s", e.Client.ID, e.Filter)
	})
	h.MessagePublished.Add(spec, func(e *hook.MessageEvent) { say("published %s", e.Msg.Topic) })
	h.MessageDelivered.Add(spec, func(e *hook.MessageEvent) { say("message.delivered %s %s", e.Client.ID, e.Msg.Topic) })
	h.MessageAcked.Add(spec, func(e *hook.MessageEvent) { say("message.acked %s %s", e.Client.ID, e.Msg.Topic) })
	h.MessageDropped.Add(spec, func(e *hook.MessageEvent) {
		id := e.ClientID
		if e.Client != nil {
			id = e.Client.ID
		}
		say("message.dropped %s %s %s", id, e.Msg.Topic, e.Reason)
	})
}
