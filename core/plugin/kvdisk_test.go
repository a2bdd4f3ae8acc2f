package plugin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// clock is a time that a test turns.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func durableKeys(t *testing.T, c *clock, j *journal.Journal, plugin string) *keys {
	t.Helper()
	k := newKeys(c.now)
	if err := k.keep(t.Context(), j, plugin); err != nil {
		t.Fatal(err)
	}
	return k
}

func load(k KV, key string) string {
	v, err := k.Load(nil, key)
	if err != nil {
		return err.Error()
	}
	return string(v)
}

// TestDurableKeys: what a plugin has set, added, swapped and deleted is so when the node starts again; values end when they should,
// whether the node ran or not; plugins do not see each other's keys.
func TestDurableKeys(t *testing.T) {
	disk := mem.New()
	c := &clock{time.Unix(1_000_000, 0)}
	k := durableKeys(t, c, journal.New(disk), "one")
	other := durableKeys(t, c, journal.New(disk), "one\x00two") // its form must not begin as that of "one"
	for _, err := range []error{
		k.Store("a", []byte("1"), 0), k.Store("a", []byte("2"), 0), k.Store("gone", nil, 0), k.Delete("gone"),
		k.Store("short", []byte("s"), time.Minute), k.Store("long", []byte("l"), time.Hour), k.Store("empty", nil, 0),
		k.Swap("swapped", nil, []byte("x")), k.Swap("swapped", []byte("x"), []byte("y")), other.Store("a", []byte("other"), 0),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if _, err := k.Add("n", 7); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := k.Add("long", 1); !errors.Is(err, contract.ErrnoInvalid) {
		t.Fatalf("%d, %v", n, err)
	}
	c.at = c.at.Add(2 * time.Minute)
	again := durableKeys(t, c, journal.New(disk), "one")
	missing := contract.ErrnoNotFound.Error()
	for key, want := range map[string]string{
		"a": "2", "gone": missing, "short": missing, "long": "l", "empty": "", "swapped": "y", "n": "21",
	} {
		if got := load(again, key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if again.bytes != k.bytes-sizeOf("short", keyed{value: []byte("s")}) {
		t.Errorf("%d bytes are counted, %d before", again.bytes, k.bytes)
	}
	if _, err := disk.Get(append(store.AppendString([]byte{keptPrefix}, "one"), "short"...), nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what has expired is still on the disk: %v", err)
	}
	if got := load(durableKeys(t, c, journal.New(disk), "one\x00two"), "a"); got != "other" {
		t.Errorf("the other plugin's key is %q", got)
	}
	c.at = c.at.Add(time.Hour)
	if got := load(again, "long"); got != missing {
		t.Errorf("long is %q", got)
	}
	if got := load(durableKeys(t, &clock{time.Unix(1_000_000, 0)}, journal.New(disk), "one"), "long"); got != missing {
		t.Errorf("after it has ended, long comes back as %q", got)
	}
}

// TestKeysBecomeDurable: a plugin that asks for kv:durable only now takes its keys along; what an earlier one has left is there too.
func TestKeysBecomeDurable(t *testing.T) {
	disk := mem.New()
	c := &clock{time.Unix(1_000_000, 0)}
	if err := durableKeys(t, c, journal.New(disk), "p").Store("old", []byte("o"), 0); err != nil {
		t.Fatal(err)
	}
	k := newKeys(c.now)
	if err := k.Store("new", []byte("n"), 0); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := k.keep(t.Context(), journal.New(disk), "p"); err != nil {
			t.Fatal(err)
		}
	}
	again := durableKeys(t, c, journal.New(disk), "p")
	if load(again, "old") != "o" || load(again, "new") != "n" {
		t.Errorf("old is %q, new %q", load(again, "old"), load(again, "new"))
	}
}

// TestDurableKeysRefuse: nothing is put on a disk that is full or has failed, deleting goes on; a node without a store, a newer
// format and a broken record are told.
func TestDurableKeysRefuse(t *testing.T) {
	c := &clock{time.Unix(1_000_000, 0)}
	disk := mem.New()
	j := journal.New(disk)
	k := durableKeys(t, c, j, "p")
	if err := k.Store("a", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[store.Mode]contract.Errno{store.Full: contract.ErrnoQuota, store.ReadOnly: contract.ErrnoInternal} {
		cause := map[store.Mode]error{store.Full: store.ErrFull, store.ReadOnly: store.ErrReadOnly}[mode]
		j.SetState(store.State{Mode: mode, Err: cause})
		if err := k.Store("a", []byte("2"), 0); !errors.Is(err, want) || load(k, "a") != "1" {
			t.Errorf("mode %v: %v, and the value is %q", mode, err, load(k, "a"))
		}
	}
	if err := k.Delete("a"); err != nil {
		t.Error(err)
	}
	if err := newKeys(c.now).keep(t.Context(), nil, "p"); err == nil || !strings.Contains(err.Error(), durableKV) {
		t.Errorf("without a store: %v", err)
	}
	j.SetState(store.State{})
	bad := store.AppendString([]byte{keptPrefix}, "bad")
	if err := j.Apply(t.Context(), store.Async, func(tx *journal.Tx) { tx.Put(store.Async, append(bad, 'x'), []byte("short")) }); err != nil {
		t.Fatal(err)
	}
	if err := newKeys(c.now).keep(t.Context(), j, "bad"); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a broken record: %v", err)
	}
	newer := store.Format{Room: keptRoom.Room, Version: 2, Steps: make([]store.Step, 1)}
	fresh := mem.New()
	if err := newer.Open(context.Background(), fresh); err != nil {
		t.Fatal(err)
	}
	if err := newKeys(c.now).keep(t.Context(), journal.New(fresh), "p"); !errors.Is(err, store.ErrNewer) {
		t.Errorf("a newer format: %v", err)
	}
}

// TestDurableKeysHoldAcknowledgements: a publication over which a plugin has put something into its durable keys is acknowledged
// when that is safe; others do not wait.
func TestDurableKeysHoldAcknowledgements(t *testing.T) {
	for _, c := range []struct {
		name          string
		durable, puts bool
	}{{"puts", true, true}, {"only looks", true, false}, {"in memory", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			p := &loaded{name: "p", keys: newKeys(time.Now)}
			if c.durable {
				p.keys = durableKeys(t, &clock{time.Unix(1, 0)}, journal.New(mem.New()), "p")
			}
			es := []hook.PublishEvent{{Msg: &message.Message{Topic: "a"}}, {Msg: &message.Message{Topic: "b"}}}
			p.watch(es, func() {
				_, _ = p.keys.Load(nil, "x")
				if c.puts {
					_ = p.keys.Store("x", nil, 0)
				}
			})
			if want := c.durable && c.puts; es[0].Kept != want || es[1].Kept != want {
				t.Errorf("kept: %v and %v", es[0].Kept, es[1].Kept)
			}
		})
	}
}
