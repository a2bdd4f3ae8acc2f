package registry

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/core/store/pebble"
)

// TestMigrateFixture: testdata/format1 was written by the last program that knew version 1. Its sessions: "away" has
// acknowledged the receipt of a QoS 2 message and has three others to come, "other" one of those, "writer" owes a PUBREL.
func TestMigrateFixture(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "format1"))); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to migrate
		st, err := pebble.Open(pebble.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		r := New(Config{Hooks: new(hook.Points), Router: router.New(router.Config{}), Journal: journal.New(st), Zone: anyZone})
		got, err := r.Recover(t.Context(), 1, func(Recovered) {})
		if want := (Recovered{Sessions: 3, Subscriptions: 2, Messages: 7}); err != nil || got != want {
			t.Fatalf("%+v came back, want %+v: %v", got, want, err)
		}
		for id, want := range map[string]string{"away": "1 one, 1 two, 2 three, 2 four", "other": "1 two, 1 three", "writer": ""} {
			if got := waits(t, r.Lookup(id)); got != want {
				t.Errorf("%s: %q waits, want %q", id, got, want)
			}
		}
		if i := r.Lookup("away").sess.Info(); i.Inflight != 1 {
			t.Errorf("%d exchanges are under way with away, want the one that owes a PUBREL", i.Inflight)
		}
		var owed []uint16
		r.Lookup("writer").sess.Awaiting(func(id uint16) { owed = append(owed, id) })
		if len(owed) != 1 || owed[0] != 9 {
			t.Errorf("writer owes PUBREL of %v, want 9", owed)
		}
		if n, _, err := store.Count(st, store.Prefix([]byte{oldPlace})); n != 0 || err != nil {
			t.Errorf("%d records of version 1 are left, %v", n, err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// waits is what waits for a client: QoS and payload.
func waits(t *testing.T, c *Client) string {
	t.Helper()
	var places []uint64
	c.sess.Kept(func(seq uint64) { places = append(places, seq) })
	ms, err := c.read(places, readBytes)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i := range ms {
		all = append(all, string('0'+rune(ms[i].QoS))+" "+string(ms[i].Msg.Payload))
	}
	return strings.Join(all, ", ")
}

// dying is a store that dies after some batches.
type dying struct {
	store.Store
	left int
}

func (d *dying) Commit(b *store.Batch, l store.Durability, done store.Completion) error {
	if d.left--; d.left < 0 {
		return store.ErrClosed
	}
	return d.Store.Commit(b, l, done)
}

// TestMigrationDies: wherever the process ends in the middle of the migration, the next start goes on, nothing is lost and
// nothing is there twice; and the old program does not take the store for one of its own meanwhile.
func TestMigrationDies(t *testing.T) {
	const sessions, messages = 3, 40
	for die := range 12 {
		st := mem.New()
		fillOld(t, st, sessions, messages)
		r := New(Config{Hooks: new(hook.Points), Router: router.New(router.Config{}), Journal: journal.New(&dying{st, die}), Zone: anyZone})
		_, died := r.Recover(t.Context(), 1, func(Recovered) {})
		if died != nil && !errors.Is(died, store.ErrClosed) {
			t.Fatal(died)
		}
		old := store.Format{Room: roomName, Version: 1}
		if err := old.Open(t.Context(), st); die > 0 && !errors.Is(err, store.ErrNewer) {
			t.Fatalf("after %d batches the old program opens it: %v", die, err)
		}
		r = New(Config{Hooks: new(hook.Points), Router: router.New(router.Config{}), Journal: journal.New(st), Zone: anyZone})
		got, err := r.Recover(t.Context(), 1, func(Recovered) {})
		if want := (Recovered{sessions, 0, sessions * messages}); err != nil || got != want {
			t.Fatalf("after %d batches %+v came back, want %+v: %v", die, got, want, err)
		}
		for _, id := range []string{"a", "b", "c"} {
			c := r.Lookup(id)
			if n := strings.Count(waits(t, c), id); n == 0 {
				t.Errorf("after %d batches %s has other messages", die, id)
			}
		}
		if died == nil && die < 6 {
			t.Fatalf("the migration took %d batches: this test wants more", die)
		}
	}
}

// fillOld makes a store of version 1.
func fillOld(t *testing.T, st store.Store, sessions, messages int) {
	t.Helper()
	ctx := context.Background()
	if err := (store.Format{Room: roomName, Version: 1}).Open(ctx, st); err != nil {
		t.Fatal(err)
	}
	b := &store.Batch{}
	for i := range sessions {
		sid := uint64(i + 1)
		rec := record{ClientID: string('a' + rune(i)), Level: store.Async, Expiry: NeverExpires}
		b.Put(appendSession(nil, sid), rec.append(nil))
		for seq := range messages {
			d := message.Delivery{Msg: &message.Message{Topic: "t", Payload: []byte(strings.Repeat(rec.ClientID, 50_000)), QoS: 1}, Opts: message.SubOptions{QoS: 1}}
			key := store.AppendUint64(store.AppendUint64([]byte{oldPlace}, sid), uint64(seq+1))
			b.Put(key, session.AppendDelivery([]byte{oldMessage}, &d, 1))
		}
	}
	if err := store.Apply(ctx, st, b, store.Async); err != nil {
		t.Fatal(err)
	}
}

// TestMigrateRefuses: what cannot be understood is not thrown away.
func TestMigrateRefuses(t *testing.T) {
	key := store.AppendUint64(store.AppendUint64([]byte{oldPlace}, 1), 1)
	for _, c := range []struct{ key, value []byte }{{key, nil}, {key, []byte{7}}, {key, []byte{oldMessage, 1}}, {key[:9], []byte{oldReceived}}} {
		st := mem.New()
		fillOld(t, st, 1, 0)
		b := &store.Batch{}
		b.Put(c.key, c.value)
		if err := store.Apply(t.Context(), st, b, store.Async); err != nil {
			t.Fatal(err)
		}
		if err := room.Open(t.Context(), st); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%x = %x: %v", c.key, c.value, err)
		}
		if n, _, err := store.Count(st, store.Prefix([]byte{oldPlace})); n != 1 || err != nil {
			t.Errorf("%x = %x: %d records are left, %v", c.key, c.value, n, err)
		}
	}
}
