package plugin

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// What a plugin has no room for is refused to its publishers, and nobody else's.
func TestRefused(t *testing.T) {
	s := &sink{}
	f := newFixture(t)
	var w Wants
	p := &builtinPlugin{on: s.on, open: func(s *Spec) error {
		w = s.Services.Wants
		return s.Services.Wants.Want(contract.HookMessage, []string{"s/#"})
	}}
	f.add("sink", `hook = [ { name = "message", class = "consume", filters = ["s/#"], dynamic = true }, { name = "will", class = "intercept" } ]`+"\n", p)
	f.start("sink.\n")
	if err := errors.Join(w.Refuse(contract.HookMessage, []string{"s/full/#"})); err != nil {
		t.Fatal(err)
	}
	if err := w.Refuse(contract.HookWill, nil); !errors.Is(err, contract.ErrnoDenied) {
		t.Errorf("another hook: %v", err)
	}
	if err := w.Refuse(contract.HookMessage, []string{"a#"}); !errors.Is(err, contract.ErrnoInvalid) {
		t.Errorf("a bad filter: %v", err)
	}
	send := func() []hook.ConsumeEvent {
		es := []hook.ConsumeEvent{{Msg: msg("s/full/a", "full", 1)}, {Msg: msg("s/a", "a", 1)}, {Msg: msg("s/full/a", "qos 0", 0)}, {Msg: msg("s/b", "b", 0)}}
		fold(&f.points.MessageConsume, es)
		return es
	}
	es := send()
	if es[0].Kept || es[0].Verdict != hook.Deny || es[0].Reason != packet.QuotaExceeded {
		t.Errorf("what there is no room for: %+v", es[0])
	}
	if es[2].Kept || es[2].Verdict != hook.Next {
		t.Errorf("with QoS 0: %+v", es[2])
	}
	if !es[1].Kept || !es[3].Kept {
		t.Error("another topic is refused")
	}
	eventually(t, "the others come", func() bool { return slices.Equal(s.list(), []string{"a", "b"}) })
	if err := w.Refuse(contract.HookMessage, nil); err != nil {
		t.Fatal(err)
	}
	send()
	eventually(t, "all come", func() bool { return len(s.list()) == 6 })
}

// A message is published once for its key, over restarts of the node, until the key is
// removed. What found no room was not published, and is published when it comes again.
func TestPublishOnce(t *testing.T) {
	disk := mem.New()
	node := func(manifest string) (*fixture, Keeper) {
		f := newFixture(t)
		cfg := f.config()
		cfg.Journal = journal.New(disk)
		f.Manager = New(cfg)
		var k Keeper
		f.add("in", manifest+hookLine(contract.HookPublish, ""), &builtinPlugin{on: always(contract.Next, 0).on, open: func(s *Spec) error {
			k = s.Services.Publish.(Keeper)
			return nil
		}})
		f.write("etc/in.toml", "[plugin]\ngrant = [\"publish\", \"kv:durable\"]\n")
		f.start("in.\n")
		return f, k
	}
	once := func(k Keeper, key, topic string) error {
		t.Helper()
		var rec []byte
		if topic != "" {
			var w contract.Writer
			w.Begin(contract.Header{Hook: contract.HookPublish})
			w.String(contract.SlotTopic, topic)
			w.End()
			rec = w.Frame()
		}
		end := make(chan error, 1)
		if err := k.PublishOnce(key, time.Hour, rec, func(err error) { end <- err }); err != nil {
			return err
		}
		return <-end
	}
	const caps = "capabilities = [\"publish\", \"kv:durable\"]\n"
	topics := func(f *fixture) (list []string) {
		for _, m := range f.messages() {
			list = append(list, m.Topic)
		}
		return list
	}
	f, k := node(caps)
	f.mu.Lock()
	f.full = 1
	f.mu.Unlock()
	if err := once(k, "1", "a"); !errors.Is(err, contract.ErrnoQuota) {
		t.Errorf("no room: %v", err)
	}
	if err := errors.Join(once(k, "1", "a"), once(k, "1", "a"), once(k, "2", "b"), once(k, "none", "")); err != nil {
		t.Fatal(err)
	}
	if got := topics(f); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("published %v", got)
	}
	for _, key := range []string{"", string(make([]byte, maxKey+1))} {
		if err := once(k, key, "a"); !errors.Is(err, contract.ErrnoInvalid) {
			t.Errorf("a key of %d bytes: %v", len(key), err)
		}
	}
	f, k = node(caps)
	if err := errors.Join(once(k, "1", "a"), once(k, "2", ""), once(k, "2", "c")); err != nil {
		t.Fatal(err)
	}
	if got := topics(f); !slices.Equal(got, []string{"c"}) {
		t.Errorf("the next node publishes %v", got)
	}
	_, k = node("capabilities = [\"publish\"]\n")
	if err := once(k, "3", "d"); !errors.Is(err, contract.ErrnoDenied) {
		t.Errorf("without a durable key space: %v", err)
	}
}
