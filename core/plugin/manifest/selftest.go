package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// maxSelfTests bounds the self-tests of a plugin: each is a call of it at every load.
const maxSelfTests = 64

// SelfTest is a record that a plugin is asked about after it was configured and before
// it gets events, and the verdict that it must give (contract C.9). It is for what
// holds with every configuration.
type SelfTest struct {
	Hook   string            `toml:"hook"`   // one of the manifest's, of class intercept
	Flags  []string          `toml:"flags"`  // of selfTestFlags
	QoS    byte              `toml:"qos"`    // of the message or subscription
	Slots  map[string]string `toml:"slots"`  // by name; the others are absent
	Want   string            `toml:"want"`   // the action: next, allow, deny, continue, drop or rewrite
	Reason byte              `toml:"reason"` // of a deny; 0: any
}

// selfTestFlags are the flags that a self-test may set.
var selfTestFlags = map[string]contract.Flags{
	"publish": contract.FlagPublish, "subscribe": contract.FlagSubscribe, "retain": contract.FlagRetain,
	"clean_start": contract.FlagCleanStart, "superuser": contract.FlagSuperuser,
}

// Action is the wanted action; ok is false if there is none of this name, or one that
// decides later.
func (t *SelfTest) Action() (a contract.Action, ok bool) {
	for a := contract.Next; a < contract.Pending; a++ {
		if a.String() == t.Want {
			return a, true
		}
	}
	return 0, false
}

// Record appends the record to w. The test was checked.
func (t *SelfTest) Record(w *contract.Writer) {
	k, _ := contract.ParseHook(t.Hook)
	h := contract.Header{Hook: k, Flags: contract.Flags(0).WithQoS(t.QoS).WithVersion(5)}
	for _, f := range t.Flags {
		h.Flags |= selfTestFlags[f]
	}
	if payload, ok := t.Slots["payload"]; ok {
		h.Aux = uint32(len(payload))
	}
	w.Begin(h)
	for s, name := range k.Slots() {
		if v, ok := t.Slots[name]; ok {
			w.String(contract.Slot(s), v)
		}
	}
	w.End()
}

// check tells what is wrong with t, a test of a plugin with these hooks.
func (t *SelfTest) check(hooks []Hook) string {
	k, known := contract.ParseHook(t.Hook)
	switch {
	case !known:
		return fmt.Sprintf("there is no hook %q", t.Hook) + didYouMean(t.Hook, hookNames())
	case !slices.ContainsFunc(hooks, func(h Hook) bool { return h.Name == t.Hook }):
		return fmt.Sprintf("the plugin has no hook %q", t.Hook)
	case k.Class() != contract.Intercept:
		return fmt.Sprintf("hook %q is of class %s: it has no verdict", t.Hook, k.Class())
	case t.QoS > 2:
		return fmt.Sprintf("qos = %d: want 0, 1 or 2", t.QoS)
	}
	if _, ok := t.Action(); !ok {
		return fmt.Sprintf("want = %q: want next, allow, deny, continue, drop or rewrite", t.Want)
	}
	for _, f := range t.Flags {
		if selfTestFlags[f] == 0 {
			return fmt.Sprintf("flags: there is no %q; there are %s", f, strings.Join(slices.Sorted(maps.Keys(selfTestFlags)), ", "))
		}
	}
	for name := range t.Slots {
		if !slices.Contains(k.Slots(), name) {
			return fmt.Sprintf("slots: there is no %q%s", name, didYouMean(name, k.Slots()))
		}
	}
	return ""
}

// checkSelfTests reports what is wrong with the self-tests.
func (m *Manifest) checkSelfTests(d *document) {
	if n := len(m.SelfTests); n > maxSelfTests {
		d.fault(fmt.Sprintf("%d self-tests: at most %d", n, maxSelfTests), "self_test")
	}
	for i := range m.SelfTests {
		if text := m.SelfTests[i].check(m.Hooks); text != "" {
			d.fault(fmt.Sprintf("self_test %d: %s", i+1, text), "self_test", "hook")
		}
	}
}
