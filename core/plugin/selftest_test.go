package plugin

import (
	"errors"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// aclTests is a manifest with two self-tests of the hook acl.
const aclTests = `hook = [ { name = "acl", class = "intercept" } ]
[[self_test]]
hook = "acl"
flags = ["publish"]
qos = 1
slots = { username = "u", topic = "mine/u" }
want = "allow"
[[self_test]]
hook = "acl"
flags = ["subscribe"]
slots = { topic = "secret/#" }
want = "deny"
reason = 0x87
`

// A plugin is asked about its self-tests, in order and as they are written, before any
// event; one that answers otherwise is not loaded, and the one that runs goes on.
func TestSelfTests(t *testing.T) {
	f := newFixture(t)
	var asked []string
	secret := byte(0x87)
	p := each(func(r contract.Record, w *contract.VerdictWriter, i int) {
		topic := string(r.Slot(contract.SlotTopic))
		asked = append(asked, topic)
		switch {
		case topic == "mine/u" && r.Flags().Has(contract.FlagPublish) && r.Flags().QoS() == 1 && string(r.Slot(contract.SlotUsername)) == "u":
			w.Set(i, contract.Allow, 0)
		case r.Flags().Has(contract.FlagSubscribe) && secret != 0:
			w.Set(i, contract.Deny, secret)
		}
	})
	f.add("a", aclTests, p)
	f.start("a.\n")
	if strings.Join(asked, " ") != "mine/u secret/#" {
		t.Errorf("asked about %v", asked)
	}
	for _, c := range []struct {
		secret byte
		want   string
	}{
		{0, "self_test 2 (acl): the verdict is next, want deny"},
		{0x80, "self_test 2 (acl): the reason code is 0x80, want 0x87"},
	} {
		secret = c.secret
		if err := f.Reload("a"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("err = %v, want %q", err, c.want)
		}
	}
	if opened, closed := p.opened.Load(), p.closed.Load(); opened != 3 || closed != 2 {
		t.Errorf("%d opened, %d closed", opened, closed)
	}
	es := []hook.ACLEvent{{Client: &hook.Client{ID: "c", Username: "u", Conn: 1}, Topic: "mine/u", Action: hook.Publish, QoS: 1}}
	f.points.ClientCheckACL.Walk(nil, func(fold hook.InterceptMany[hook.ACLEvent]) bool { fold(es); return true })
	if es[0].Verdict != hook.Allow {
		t.Errorf("the version that ran answers %v", es[0].Verdict)
	}
}

// A fault is told as such.
func TestSelfTestFaults(t *testing.T) {
	f := newFixture(t)
	f.add("a", aclTests, &builtinPlugin{on: func(_ *builtinInstance, c *Call) error {
		c.Fail(0, errors.New("out of fuel"))
		return nil
	}})
	f.write("loaded_plugins", "a.\n")
	if err := f.StartAll(t.Context()); err == nil || !strings.Contains(err.Error(), "self_test 1 (acl): out of fuel") {
		t.Errorf("err = %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// What a plugin publishes because of a self-test goes nowhere; afterwards it may.
func TestSelfTestPublishesNothing(t *testing.T) {
	f := newFixture(t)
	var w contract.Writer
	w.Begin(contract.Header{Hook: contract.HookPublish})
	w.String(contract.SlotTopic, "a/b")
	w.End()
	var errs []error
	publish := func(s *Spec) {
		errs = append(errs, s.Services.Publish.Publish(w.Frame(), 0),
			s.Services.Publish.(Keeper).PublishKept(w.Frame(), 0, func(error) {}))
	}
	var spec *Spec
	p := &builtinPlugin{on: func(i *builtinInstance, c *Call) error {
		spec = i.spec
		publish(i.spec)
		return c.Take(0, c.N, nil)
	}}
	f.add("a", "capabilities = [\"publish\"]\n"+hookLine(contract.HookACL, "")+"[[self_test]]\nhook = \"acl\"\nwant = \"next\"\n", p)
	f.write("etc/a.toml", "[plugin]\ngrant = [\"publish\"]\n")
	f.start("a.\n")
	if len(errs) != 2 || !errors.Is(errs[0], contract.ErrnoDenied) || !errors.Is(errs[1], contract.ErrnoDenied) {
		t.Fatalf("errors %v", errs)
	}
	publish(spec)
	if errs[2] != nil || errs[3] != nil {
		t.Errorf("afterwards: %v", errs[2:])
	}
	eventually(t, "both messages are published", func() bool { return len(f.messages()) == 2 })
}
