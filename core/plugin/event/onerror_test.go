package event

import (
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// verdict is what a policy made of an event.
type verdict struct {
	verdict hook.Verdict
	reason  packet.ReasonCode
}

// failing applies a policy to one event of each deciding hook and tells what
// became of it; qos matters to messages.
func failing(k contract.Hook, policy manifest.OnError, qos byte) verdict {
	d := manifest.DefaultsOf(k)
	b := &Binding{Hook: k, OnError: policy, Reason: d.Reason}
	if policy == "" {
		b.OnError = d.OnError
	}
	m := &message.Message{Topic: "a", QoS: qos}
	switch k {
	case contract.HookConnect:
		e := &hook.ConnectEvent{Client: client()}
		Connect.Fail(b, e)
		if e.Reason.Failed() {
			return verdict{hook.Deny, e.Reason}
		}
	case contract.HookAuthenticate, contract.HookAuthContinue:
		e := &hook.AuthEvent{Client: client()}
		Authenticate.Fail(b, e)
		return verdict{e.Verdict, e.Reason}
	case contract.HookACL:
		e := &hook.ACLEvent{Client: client()}
		ACL.Fail(b, e)
		return verdict{e.Verdict, e.Reason}
	case contract.HookSubscribe:
		e := subscribing("a")
		if Subscribe.Fail(b, e); e.Codes[0].Failed() {
			return verdict{hook.Deny, e.Codes[0]}
		}
	case contract.HookUnsubscribe:
		e := &hook.UnsubscribeEvent{Filters: []string{"a"}}
		Unsubscribe.Fail(b, e)
	case contract.HookPublish, contract.HookWill:
		e := &hook.PublishEvent{Msg: m}
		Publish.Fail(b, e)
		return verdict{e.Verdict, e.Reason}
	case contract.HookDeliver:
		e := &hook.DeliverEvent{Msg: m}
		Deliver.Fail(b, e)
		return verdict{e.Verdict, 0}
	case contract.HookRetainedStore:
		e := &hook.RetainEvent{Msg: m}
		RetainStore.Fail(b, e)
		return verdict{e.Verdict, e.Reason}
	case contract.HookRetainedRead:
		RetainRead.Fail(b, &hook.RetainedReadEvent{Filter: "a"})
	}
	return verdict{}
}

// The whole table of contract C.7: nothing that a plugin failed to decide is let
// through unless the operator said so.
func TestOnErrorTable(t *testing.T) {
	pass := verdict{}
	deny := func(c packet.ReasonCode) verdict { return verdict{hook.Deny, c} }
	allow, drop := verdict{verdict: hook.Allow}, verdict{verdict: hook.Drop}
	for _, tc := range []struct {
		hook   contract.Hook
		policy manifest.OnError // "": the default
		qos    byte
		want   verdict
	}{
		{contract.HookConnect, "", 0, deny(packet.ServerUnavailable)},
		{contract.HookConnect, manifest.OnErrorPark, 0, deny(packet.ServerUnavailable)},
		{contract.HookConnect, manifest.OnErrorNext, 0, pass},
		{contract.HookConnect, manifest.OnErrorAllow, 0, pass},
		{contract.HookAuthenticate, "", 0, deny(packet.ServerUnavailable)},
		{contract.HookAuthenticate, manifest.OnErrorNext, 0, pass},
		{contract.HookAuthenticate, manifest.OnErrorAllow, 0, allow},
		{contract.HookAuthContinue, "", 0, deny(packet.ServerUnavailable)},
		{contract.HookACL, "", 0, deny(packet.NotAuthorized)},
		{contract.HookACL, manifest.OnErrorPark, 0, deny(packet.NotAuthorized)},
		{contract.HookACL, manifest.OnErrorNext, 0, pass},
		{contract.HookACL, manifest.OnErrorAllow, 0, allow},
		{contract.HookSubscribe, "", 0, deny(packet.UnspecifiedError)},
		{contract.HookSubscribe, manifest.OnErrorAllow, 0, pass},
		{contract.HookUnsubscribe, "", 0, pass},
		{contract.HookPublish, "", 0, drop},
		{contract.HookPublish, "", 1, deny(packet.UnspecifiedError)},
		{contract.HookPublish, "", 2, deny(packet.UnspecifiedError)},
		{contract.HookPublish, manifest.OnErrorDrop, 2, drop},
		{contract.HookPublish, manifest.OnErrorDeny, 0, deny(packet.UnspecifiedError)},
		{contract.HookPublish, manifest.OnErrorNext, 1, pass},
		{contract.HookPublish, manifest.OnErrorAllow, 1, pass},
		{contract.HookWill, "", 1, deny(packet.UnspecifiedError)},
		{contract.HookDeliver, "", 1, drop},
		{contract.HookDeliver, manifest.OnErrorNext, 1, pass},
		{contract.HookRetainedStore, "", 0, pass}, // QoS 0: routed, not kept
		{contract.HookRetainedStore, "", 1, deny(packet.UnspecifiedError)},
		{contract.HookRetainedStore, manifest.OnErrorNext, 1, pass},
		{contract.HookRetainedRead, "", 0, pass},
	} {
		if got := failing(tc.hook, tc.policy, tc.qos); got != tc.want {
			t.Errorf("%s on_error=%q qos %d: %+v, want %+v", tc.hook, tc.policy, tc.qos, got, tc.want)
		}
	}
}

// Every policy that a manifest may name has an outcome for its hook, and deny
// is never an allow.
func TestEveryPolicyIsKnown(t *testing.T) {
	for _, k := range contract.Hooks() {
		if k.Class() == contract.Consume {
			continue // its policies are about the record that waits: no event fails
		}
		for _, p := range manifest.DefaultsOf(k).Policies {
			for qos := range byte(3) {
				got := failing(k, p, qos)
				if refuses := p == manifest.OnErrorDeny || p == manifest.OnErrorPark; refuses != (got.verdict == hook.Deny) {
					t.Errorf("%s on_error=%s: %+v", k, p, got)
				}
				if got.verdict == hook.Deny && !got.reason.Failed() {
					t.Errorf("%s on_error=%s: refused with %v", k, p, got.reason)
				}
			}
		}
	}
}
