package cluster

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// kv is a KV in memory.
type kv struct {
	mu       sync.Mutex
	entries  map[string]Entry // guarded by mu; values are never written again
	revision uint64           // guarded by mu
	watchers []*kvWatcher     // guarded by mu
	closed   bool             // guarded by mu
}

// kvWatcher follows a prefix. pending and telling are guarded by the kv's mu.
type kvWatcher struct {
	prefix  string
	fn      func(Entry)
	pending []Entry
	telling bool
	stopped bool
}

// Get returns a copy of the entry.
func (k *kv) Get(ctx context.Context, key string) (Entry, error) {
	if err := ctx.Err(); err != nil {
		return Entry{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	e, ok := k.entries[key]
	switch {
	case k.closed:
		return Entry{}, ErrClosed
	case !ok:
		return Entry{}, fmt.Errorf("%w: %q", ErrNoKey, key)
	}
	e.Value = bytes.Clone(e.Value)
	return e, nil
}

// Put writes under the condition was.
func (k *kv) Put(ctx context.Context, key string, value []byte, was uint64) (uint64, error) {
	e := Entry{Key: key, Value: append([]byte{}, value...)}
	return k.change(ctx, e, was)
}

// Delete removes under the condition was.
func (k *kv) Delete(ctx context.Context, key string, was uint64) error {
	_, err := k.change(ctx, Entry{Key: key, Deleted: true}, was)
	return err
}

// change makes e the entry of its key and tells the watchers.
func (k *kv) change(ctx context.Context, e Entry, was uint64) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	have := k.entries[e.Key].Revision
	switch {
	case k.closed:
		return 0, ErrClosed
	case e.Deleted && have == 0:
		return 0, fmt.Errorf("%w: %q", ErrNoKey, e.Key)
	case was != Any && was != have:
		return 0, fmt.Errorf("%w: %q has revision %d, not %d", ErrConflict, e.Key, have, was)
	}
	k.revision++
	e.Revision = k.revision
	if e.Deleted {
		delete(k.entries, e.Key)
	} else {
		k.entries[e.Key] = e
	}
	for _, w := range k.watchers { // all of them before mu is given up: order
		if strings.HasPrefix(e.Key, w.prefix) {
			w.pending = append(w.pending, e)
		}
	}
	for _, w := range slices.Clone(k.watchers) {
		k.tell(w)
	}
	return e.Revision, nil
}

// Watch begins with what there is.
func (k *kv) Watch(prefix string, fn func(Entry)) (stop func()) {
	w := &kvWatcher{prefix: prefix, fn: fn}
	k.mu.Lock()
	defer k.mu.Unlock()
	for key, e := range k.entries {
		if strings.HasPrefix(key, prefix) {
			w.pending = append(w.pending, e)
		}
	}
	slices.SortFunc(w.pending, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	w.stopped = k.closed
	k.watchers = append(k.watchers, w)
	k.tell(w)
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		w.stopped = true
		k.watchers = slices.DeleteFunc(k.watchers, func(x *kvWatcher) bool { return x == w })
	}
}

// tell calls the watcher without mu, which is held before and after, unless
// another goroutine does.
func (k *kv) tell(w *kvWatcher) {
	if w.telling {
		return
	}
	w.telling = true
	for len(w.pending) > 0 && !w.stopped {
		e := w.pending[0]
		w.pending = w.pending[1:]
		e.Value = bytes.Clone(e.Value)
		k.mu.Unlock()
		w.fn(e)
		k.mu.Lock()
	}
	w.telling = false
}

func (k *kv) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	for _, w := range k.watchers {
		w.stopped = true
	}
	k.watchers = nil
}
