// Package mem keeps a store in memory: for durability "memory" and for tests. It
// promises the order and the atomicity of a store, and nothing beyond the life
// of the process.
package mem

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/core/store"
)

// Store is a store in memory. Reading takes no lock. Batches are applied by
// Commit; completions are told by it, or by another Commit that is telling
// already, so that they keep their order.
type Store struct {
	root atomic.Pointer[node]

	mu      sync.Mutex // guards what follows; nothing is called under it
	closed  time.Time
	ended   []store.Completion // applied, to be told
	telling bool
	idle    *sync.Cond // telling has become false
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	s := &Store{}
	s.idle = sync.NewCond(&s.mu)
	return s
}

// Get implements [store.Reader].
func (s *Store) Get(key, dst []byte) ([]byte, error) {
	if s.isClosed() {
		return dst, store.ErrClosed
	}
	n := s.root.Load().find(key)
	if n == nil {
		return dst, store.ErrNotFound
	}
	return append(dst, n.value...), nil
}

// Scan implements [store.Reader].
func (s *Store) Scan(r store.Range, fn func(key, value []byte) bool) error {
	if s.isClosed() {
		return store.ErrClosed
	}
	s.root.Load().scan(r.From, r.To, fn)
	return nil
}

// Commit implements [store.Store]. Every durability is that of memory.
func (s *Store) Commit(b *store.Batch, _ store.Durability, done store.Completion) error {
	s.mu.Lock()
	if !s.closed.IsZero() {
		s.mu.Unlock()
		return store.ErrClosed
	}
	root := s.root.Load()
	b.Each(func(kind store.Kind, key, end []byte) {
		switch kind {
		case store.KindPut:
			root = root.put(newNode(key, end))
		case store.KindDelete:
			if root.find(key) != nil {
				root = root.remove(key)
			}
		case store.KindDeleteRange:
			root = root.removeRange(key, end)
		}
	})
	s.root.Store(root)
	if done != nil {
		s.ended = append(s.ended, done)
	}
	if s.telling {
		s.mu.Unlock()
		return nil
	}
	s.telling = true
	s.tell()
	return nil
}

// tell is called with mu held and telling set, and returns without either.
func (s *Store) tell() {
	var list []store.Completion
	for len(s.ended) > 0 {
		list, s.ended = s.ended, list[:0]
		s.mu.Unlock()
		for i, done := range list {
			list[i] = nil
			done.Done(nil)
		}
		s.mu.Lock()
	}
	s.telling = false
	s.idle.Broadcast()
	s.mu.Unlock()
}

// Busy implements [store.Store]: memory has no queue.
func (*Store) Busy() bool { return false }

// State implements [store.Store].
func (s *Store) State() store.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed.IsZero() {
		return store.State{Mode: store.Closed, Err: store.ErrClosed, Since: s.closed}
	}
	return store.State{}
}

// Close implements [store.Store]. What was stored is gone.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.IsZero() {
		s.closed = time.Now()
	}
	for s.telling {
		s.idle.Wait()
	}
	s.root.Store(nil)
	return nil
}

func (s *Store) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed.IsZero()
}
