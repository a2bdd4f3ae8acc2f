package clustertest

import (
	"errors"
	"testing"

	"github.com/dunlinmq/dunlin/core/cluster"
)

func keyValue(t *testing.T, f cluster.Fabric) {
	ctx, kv := deadline(t), f.KV()
	if _, err := kv.Get(ctx, "a"); !errors.Is(err, cluster.ErrNoKey) {
		t.Errorf("Get of nothing: %v", err)
	}
	value := []byte("one")
	r1, err := kv.Put(ctx, "a", value, cluster.Any)
	if err != nil {
		t.Fatal(err)
	}
	value[0] = 'X'
	e, err := kv.Get(ctx, "a")
	if err != nil || string(e.Value) != "one" || e.Revision != r1 || e.Key != "a" || e.Deleted {
		t.Fatalf("Get: %+v, %v", e, err)
	}
	e.Value[0] = 'Y'
	if e, _ = kv.Get(ctx, "a"); string(e.Value) != "one" {
		t.Error("the value is shared with a reader")
	}
	if r2, err := kv.Put(ctx, "b", nil, cluster.Any); err != nil || r2 <= r1 {
		t.Errorf("revision %d after %d, %v", r2, r1, err)
	}
	if e, err := kv.Get(ctx, "b"); err != nil || len(e.Value) != 0 {
		t.Errorf("an empty value: %+v, %v", e, err)
	}
}

func keyValueConditions(t *testing.T, f cluster.Fabric) {
	ctx, kv := deadline(t), f.KV()
	r1, err := kv.Put(ctx, "a", []byte("one"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(ctx, "a", nil, 0); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("Put of an existing key as new: %v", err)
	}
	r2, err := kv.Put(ctx, "a", []byte("two"), r1)
	if err != nil || r2 <= r1 {
		t.Fatalf("Put at the revision: %d, %v", r2, err)
	}
	if _, err := kv.Put(ctx, "a", nil, r1); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("Put at an old revision: %v", err)
	}
	if err := kv.Delete(ctx, "a", r1); !errors.Is(err, cluster.ErrConflict) {
		t.Errorf("Delete at an old revision: %v", err)
	}
	if err := kv.Delete(ctx, "a", r2); err != nil {
		t.Error(err)
	}
	if err := kv.Delete(ctx, "a", cluster.Any); !errors.Is(err, cluster.ErrNoKey) {
		t.Errorf("second Delete: %v", err)
	}
	if r3, err := kv.Put(ctx, "a", nil, 0); err != nil || r3 <= r2 {
		t.Errorf("Put after Delete: %d, %v", r3, err)
	}
}

func keyValueWatch(t *testing.T, f cluster.Fabric) {
	ctx, kv := deadline(t), f.KV()
	put := func(key, value string) {
		t.Helper()
		if _, err := kv.Put(ctx, key, []byte(value), cluster.Any); err != nil {
			t.Fatal(err)
		}
	}
	put("conf/b", "2")
	put("conf/a", "1")
	put("other", "0")
	events := make(chan cluster.Entry, 16)
	stop := kv.Watch("conf/", func(e cluster.Entry) { events <- e })
	put("conf/b", "3")
	put("other", "1")
	if err := kv.Delete(ctx, "conf/a", cluster.Any); err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	for i, want := range []string{"conf/a=1", "conf/b=2", "conf/b=3", "conf/a="} {
		e := receive(t, events, want)
		if e.Key+"="+string(e.Value) != want || e.Deleted != (i == 3) {
			t.Errorf("event %d is %+v, want %s", i, e, want)
		}
		if i > 1 && e.Revision <= last {
			t.Errorf("event %d has revision %d after %d", i, e.Revision, last)
		}
		last = max(last, e.Revision)
	}
	stop()
	put("conf/c", "4")
	select {
	case e := <-events:
		t.Errorf("%+v after stop", e)
	default:
	}
}

// keyValueWatchNested: a watcher may use the KV; its own changes come after.
func keyValueWatchNested(t *testing.T, f cluster.Fabric) {
	ctx, kv := deadline(t), f.KV()
	events := make(chan cluster.Entry, 16)
	stop := kv.Watch("", func(e cluster.Entry) {
		events <- e
		if e.Key == "a" {
			if _, err := kv.Put(ctx, "b", e.Value, cluster.Any); err != nil {
				t.Error(err)
			}
		}
	})
	defer stop()
	if _, err := kv.Put(ctx, "a", []byte("x"), cluster.Any); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a", "b"} {
		if e := receive(t, events, want); e.Key != want || string(e.Value) != "x" {
			t.Errorf("event %+v, want %s", e, want)
		}
	}
}

func closed(t *testing.T, f cluster.Fabric) {
	ctx := deadline(t)
	events := make(chan cluster.Entry, 1)
	f.KV().Watch("", func(e cluster.Entry) { events <- e })
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.KV().Put(ctx, "a", nil, cluster.Any); !errors.Is(err, cluster.ErrClosed) {
		t.Errorf("Put: %v", err)
	}
	if _, err := f.KV().Get(ctx, "a"); !errors.Is(err, cluster.ErrClosed) {
		t.Errorf("Get: %v", err)
	}
	if _, err := f.Leases().Acquire(ctx, "a"); !errors.Is(err, cluster.ErrClosed) {
		t.Errorf("Acquire: %v", err)
	}
	if len(events) != 0 {
		t.Error("an event after Close")
	}
}
