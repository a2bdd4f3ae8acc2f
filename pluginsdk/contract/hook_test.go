package contract

import (
	"os"
	"strings"
	"testing"
)

func TestHookNamesAreUniqueAndFound(t *testing.T) {
	seen := map[string]Hook{}
	for _, h := range Hooks() {
		if other, twice := seen[h.String()]; twice {
			t.Errorf("%d and %d are both %q", h, other, h)
		}
		seen[h.String()] = h
		if got, ok := ParseHook(h.String()); !ok || got != h {
			t.Errorf("ParseHook(%q) = %d, %v", h, got, ok)
		}
		if !h.Known() || h.Class() == 0 || h.NumSlots() > MaxSlots {
			t.Errorf("%s: known %v, class %v, %d slots", h, h.Known(), h.Class(), h.NumSlots())
		}
	}
	for _, name := range []string{"", "unknown", "Publish"} {
		if _, ok := ParseHook(name); ok {
			t.Errorf("ParseHook(%q) found one", name)
		}
	}
	if Hook(15).Known() || Hook(999).Known() || Hook(999).String() != "unknown" || Hook(999).Class() != 0 {
		t.Error("a number without a hook is known")
	}
}

// The numbers are a promise: a change of this table breaks built plugins.
func TestHookAndSlotNumbersStay(t *testing.T) {
	for h, want := range map[Hook]string{
		1: "connect", 2: "authenticate", 3: "auth_continue", 4: "acl", 5: "subscribe", 6: "unsubscribe", 7: "publish", 8: "will",
		9: "deliver", 16: "connected", 17: "disconnected", 18: "subscribed", 19: "unsubscribed", 20: "session_created",
		21: "session_resumed", 22: "session_takenover", 23: "session_expired", 24: "session_discarded", 25: "published",
		26: "delivered", 27: "acked", 28: "dropped", 29: "connack", 30: "acl_checked", 32: "retained_store", 33: "retained_read", 40: "message", 48: "timer", 49: "http_response", 51: "hash_result",
	} {
		if h.String() != want {
			t.Errorf("hook %d is %q, want %q", h, h, want)
		}
	}
	if len(Hooks()) != 30 {
		t.Errorf("%d hooks", len(Hooks()))
	}
	for _, c := range []struct {
		hook Hook
		slot Slot
		name string
	}{
		{HookConnect, SlotClientID, "client_id"}, {HookConnect, SlotUsername, "username"}, {HookConnect, SlotPeer, "peer"},
		{HookConnect, SlotListener, "listener"}, {HookConnect, SlotZone, "zone"}, {HookConnect, SlotProtocol, "protocol"},
		{HookConnect, SlotConnProps, "props"}, {HookConnect, SlotSessionExpiry, "session_expiry"},
		{HookConnected, SlotConnectedAt, "connected_at"}, {HookConnect, SlotCommonName, "common_name"}, {HookConnect, SlotDN, "dn"},
		{HookConnected, SlotPrincipal, "principal"}, {HookConnected, SlotTenant, "tenant"}, {HookConnected, SlotLocal, "local"},
		{HookConnect, SlotWillTopic, "will_topic"}, {HookConnect, SlotWillPayload, "will_payload"}, {HookConnect, SlotWillProps, "will_props"},
		{HookAuthenticate, SlotPassword, "password"}, {HookAuthenticate, SlotAuthMethod, "auth_method"},
		{HookAuthContinue, SlotAuthData, "auth_data"}, {HookAuthContinue, SlotAuthState, "auth_state"},
		{HookDisconnected, SlotDisconnectReason, "reason"}, {HookConnack, SlotReasonCode, "reason_code"}, {HookACLChecked, SlotTopic, "topic"},
		{HookPublish, SlotTopic, "topic"}, {HookPublish, SlotPayload, "payload"}, {HookPublish, SlotProps, "props"},
		{HookPublish, SlotExpiry, "expiry"}, {HookPublish, SlotFrom, "from"}, {HookDropped, SlotReason, "reason"},
		{HookPublish, SlotMessageID, "message_id"},
		{HookACL, SlotTopic, "topic"}, {HookACL, SlotACLPrincipal, "principal"}, {HookACL, SlotACLTenant, "tenant"},
		{HookACL, SlotACLName, "common_name"}, {HookACL, SlotACLDN, "dn"}, {HookACL, SlotACLLocal, "local"}, {HookAuthenticate, SlotAuthWill, "will_topic"},
		{HookSubscribe, SlotFilters, "filters"}, {HookUnsubscribe, SlotSubProps, "props"},
		{HookHTTPResponse, SlotID, "id"}, {HookHTTPResponse, SlotError, "error"}, {HookHTTPResponse, SlotHeaders, "headers"},
		{HookHTTPResponse, SlotAnswerBody, "body"}, {HookHashResult, SlotID, "id"}, {HookHashResult, SlotError, "error"},
		{HookRetainedRead, SlotFilter, "filter"}, {HookSubscribed, SlotSubID, "subscription_id"},
	} {
		if got := c.hook.Slots()[c.slot]; got != c.name {
			t.Errorf("%s slot %d is %q, want %q", c.hook, c.slot, got, c.name)
		}
	}
}

func TestMaskOfFieldNames(t *testing.T) {
	if m, bad := HookACL.Mask([]string{"username", "topic"}); bad != "" || m != 1<<SlotUsername|1<<SlotTopic {
		t.Errorf("%x %q", m, bad)
	}
	if m, bad := HookACL.Mask(nil); bad != "" || m != AllSlots || !m.Has(SlotTopic) {
		t.Errorf("%x %q", m, bad)
	}
	if _, bad := HookACL.Mask([]string{"topic", "payload"}); bad != "payload" {
		t.Errorf("unknown field %q", bad)
	}
}

func TestHookSet(t *testing.T) {
	s := HookSet(0).With(HookACL).With(MaxHook).With(64)
	if !s.Has(HookACL) || !s.Has(MaxHook) || s.Has(HookPublish) || s.Has(64) {
		t.Errorf("%x", s)
	}
}

func TestClassAndActionNames(t *testing.T) {
	for c, want := range map[Class]string{Intercept: "intercept", Observe: "observe", Consume: "consume", Provide: "provide", Answer: "answer", 0: "unknown"} {
		if c.String() != want {
			t.Errorf("%q, want %q", c, want)
		}
	}
	for a, want := range map[Action]string{Next: "next", Allow: "allow", Deny: "deny", Continue: "continue", Drop: "drop",
		Rewrite: "rewrite", Pending: "pending", 99: "unknown"} {
		if a.String() != want {
			t.Errorf("%q, want %q", a, want)
		}
	}
}

func TestFlagsHoldTheirParts(t *testing.T) {
	f := (FlagRetain | FlagPublish | FlagNew).WithQoS(2).WithVersion(5).WithOrigin(OriginPeer).WithHops(8)
	if f.QoS() != 2 || f.Version() != 5 || f.Origin() != OriginPeer || f.Hops() != 8 || !f.Has(FlagRetain|FlagPublish|FlagNew) {
		t.Errorf("%x", f)
	}
	if g := f.WithQoS(0).WithVersion(4).WithOrigin(OriginWill).WithHops(0); g.QoS() != 0 || g.Version() != 4 ||
		g.Origin() != OriginWill || g.Hops() != 0 || !g.Has(FlagRetain|FlagPublish|FlagNew) {
		t.Errorf("%x", g)
	}
	if f.WithQoS(7).WithVersion(15).WithOrigin(31)&^(FlagQoS|versionBits|originBits) != f&^(FlagQoS|versionBits|originBits) {
		t.Error("a part that is too large spills")
	}
}

// What the specification names must be what the code has.
func TestSpecificationNamesEverything(t *testing.T) {
	text, err := os.ReadFile("../../docs/plugin-contract.md")
	if err != nil {
		t.Fatal(err)
	}
	spec := string(text)
	words := []string{
		ExportMarker, ExportHooks, ExportBuf, ExportInit, ExportOn, ExportDrain, ExportRestore, HandshakeKey, HandshakeValue,
		ModuleLog + "." + ImportLogWrite, ModuleTime + "." + ImportTimeNow, ModulePub + "." + ImportPubPublish,
		ModuleTopicStore + "." + ImportStorePut, ModuleTopicStore + "." + ImportStoreDel,
		ModuleTopicStore + "." + ImportStoreDeliver, ModuleTopicStore + "." + ImportStoreCount,
		ModuleMetric + "." + ImportMetricAdd, ModuleMetric + "." + ImportMetricPut, ModuleKV + "." + ImportKVGet, ModuleKV + "." + ImportKVSet,
		ModuleKV + "." + ImportKVDel, ModuleKV + "." + ImportKVIncr, ModuleKV + "." + ImportKVCas, ModuleTimer,
	}
	for _, h := range Hooks() {
		if name := h.String(); !strings.HasPrefix(name, "session_") {
			words = append(words, "`"+name+"`")
		}
		for _, s := range h.Slots() {
			words = append(words, "`"+s+"`")
		}
	}
	for _, w := range words {
		if !strings.Contains(spec, w) {
			t.Errorf("the specification does not mention %s", w)
		}
	}
}
