package contract

// Hook is the number of a hook point. Numbers are never reused.
type Hook uint16

// The hook points. 1..15 decide, 16..31 tell what has happened, 32..47 ask a
// provider, 48.. answer what the plugin asked for.
const (
	HookConnect      Hook = 1 // a CONNECT was decoded
	HookAuthenticate Hook = 2 // who is this client?
	HookAuthContinue Hook = 3 // an AUTH packet of enhanced authentication
	HookACL          Hook = 4 // may this client publish to / subscribe to this topic?
	HookSubscribe    Hook = 5 // one SUBSCRIBE, all its filters
	HookUnsubscribe  Hook = 6 // one UNSUBSCRIBE, all its filters
	HookPublish      Hook = 7 // one message before it is routed
	HookWill         Hook = 8 // one will before it is published
	HookDeliver      Hook = 9 // one message before it goes to one subscriber; WASM only

	HookConnected        Hook = 16
	HookDisconnected     Hook = 17
	HookSubscribed       Hook = 18
	HookUnsubscribed     Hook = 19
	HookSessionCreated   Hook = 20
	HookSessionResumed   Hook = 21
	HookSessionTakenOver Hook = 22
	HookSessionExpired   Hook = 23
	HookSessionDiscarded Hook = 24
	HookPublished        Hook = 25
	HookDelivered        Hook = 26
	HookAcked            Hook = 27
	HookDropped          Hook = 28
	HookConnack          Hook = 29 // a CONNECT was answered
	HookACLChecked       Hook = 30 // whether a client may publish or subscribe was decided

	HookRetainedStore Hook = 32 // one PUBLISH with RETAIN, before its acknowledgement
	HookRetainedRead  Hook = 33 // one new subscription

	HookMessage Hook = 40 // each message of the plugin's filters, until it is done

	HookTimer        Hook = 48 // a timer that the guest has set
	HookHTTPResponse Hook = 49 // the answer to a request of the guest
	HookKVChanged    Hook = 50 // reserved
	HookHashResult   Hook = 51 // the answer to a comparison of a password
)

// MaxHook bounds hook numbers, so that a set of hooks fits in a [HookSet].
const MaxHook Hook = 63

// HookSet is a set of hooks: bit n stands for hook n.
type HookSet uint64

// Has tells whether h is in the set.
func (s HookSet) Has(h Hook) bool { return h <= MaxHook && s&(1<<h) != 0 }

// With returns the set with h added. A number above [MaxHook] is ignored.
func (s HookSet) With(h Hook) HookSet {
	if h > MaxHook {
		return s
	}
	return s | 1<<h
}

// Class says how a hook is called.
type Class uint8

// The classes of plugin contract C.2.
const (
	Intercept Class = iota + 1 // the packet waits for a verdict
	Observe                    // told afterwards; bounded queue, lossy and counted
	Consume                    // from a log, again until it is done
	Provide                    // one plugin per role answers
	Answer                     // to the guest that asked, for nobody else
)

// String is the class's name in a manifest.
func (c Class) String() string {
	switch c {
	case Intercept:
		return "intercept"
	case Observe:
		return "observe"
	case Consume:
		return "consume"
	case Provide:
		return "provide"
	case Answer:
		return "answer"
	}
	return "unknown"
}

// hookInfo is what the contract fixes for one hook.
type hookInfo struct {
	name    string
	class   Class
	slots   []string // names of the slots in order, as in a manifest's fields
	actions actionSet
	exts    extSet
	reasons reasonSet // allowed with Deny
}

// String is the hook's name in a manifest; "unknown" for a number without one.
func (h Hook) String() string {
	if i := h.info(); i != nil {
		return i.name
	}
	return "unknown"
}

// Known tells whether the contract defines h.
func (h Hook) Known() bool { return h.info() != nil }

// Class is the hook's delivery class; 0 for an unknown hook.
func (h Hook) Class() Class {
	if i := h.info(); i != nil {
		return i.class
	}
	return 0
}

// Slots names the hook's slots in order. The slice must not be changed.
func (h Hook) Slots() []string {
	if i := h.info(); i != nil {
		return i.slots
	}
	return nil
}

// NumSlots is how many slots this version of the contract gives the hook.
func (h Hook) NumSlots() int { return len(h.Slots()) }

// SlotMask is a set of slots of one hook: bit n stands for slot n.
type SlotMask uint32

// AllSlots asks for every slot.
const AllSlots SlotMask = 1<<32 - 1

// Has tells whether slot s is in the mask.
func (m SlotMask) Has(s Slot) bool { return m&(1<<s) != 0 }

// Mask turns the field names of a manifest into slots. unknown is the first
// name that the hook does not have, "" if there is none. No names: all slots.
func (h Hook) Mask(fields []string) (m SlotMask, unknown string) {
	if len(fields) == 0 {
		return AllSlots, ""
	}
	for _, f := range fields {
		found := false
		for i, name := range h.Slots() {
			if name == f {
				m |= 1 << i
				found = true
			}
		}
		if !found {
			return 0, f
		}
	}
	return m, ""
}

// ParseHook finds a hook by its manifest name; 0, false if there is none.
func ParseHook(name string) (Hook, bool) {
	for h := range hooks {
		if hooks[h].name == name && name != "" {
			return Hook(h), true
		}
	}
	return 0, false
}

// Hooks lists all hooks in the order of their numbers.
func Hooks() []Hook {
	var hs []Hook
	for h := range hooks {
		if hooks[h].name != "" {
			hs = append(hs, Hook(h))
		}
	}
	return hs
}

func (h Hook) info() *hookInfo {
	if h > MaxHook || hooks[h].name == "" {
		return nil
	}
	return &hooks[h]
}
