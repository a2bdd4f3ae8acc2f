package router

import "sync/atomic"

// The hash values that are no hash.
const (
	slotEmpty = 0
	slotGone  = 1 // something was here: a search goes on
	firstHash = 2
)

// slot holds one value of a table. A writer stores val before hash.
type slot[T any] struct {
	hash atomic.Uint64
	val  atomic.Pointer[T]
}

// table is an open-addressing hash table of pointers. Readers take no lock;
// writers hold the owner's. A value never moves inside one table, and a table
// that is too small is replaced by a copy, so that a reader finds every value
// that is there for the whole of its search.
type table[T any] struct {
	slots []slot[T] // a power of two, at least one of them empty

	// Guarded by the owner's lock.
	live int32 // values
	used int32 // values and slotGone
}

// keyer is a pointer to a table's value.
type keyer[T any] interface {
	*T
	named(key string) bool
}

// find returns the value with that key, or nil. t may be nil.
func find[T any, P keyer[T]](t *table[T], h uint64, key string) *T {
	_, v := seek[T, P](t, h, key)
	return v
}

// seek returns the value with that key and its slot, or nils.
func seek[T any, P keyer[T]](t *table[T], h uint64, key string) (*slot[T], *T) {
	if t == nil {
		return nil, nil
	}
	mask := uint64(len(t.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		switch s.hash.Load() {
		case slotEmpty:
			return nil, nil
		case h:
			if v := s.val.Load(); v != nil && P(v).named(key) {
				return s, v
			}
		}
	}
}

// put adds v, whose key is not in the table at loc.
func put[T any](loc *atomic.Pointer[table[T]], h uint64, v *T) {
	t := loc.Load()
	if t == nil || int(t.used+1)*4 > len(t.slots)*3 {
		t = t.resized(1)
		t.insert(h, v)
		loc.Store(t)
		return
	}
	t.insert(h, v)
}

// insert stores v into the first free slot of its run.
func (t *table[T]) insert(h uint64, v *T) {
	mask := uint64(len(t.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		was := s.hash.Load()
		if was >= firstHash {
			continue
		}
		if was == slotEmpty {
			t.used++
		}
		t.live++
		s.val.Store(v)
		s.hash.Store(h)
		return
	}
}

// erase removes the value in slot s of the table at loc; a table without values
// is given up, one with few is made smaller.
func erase[T any](loc *atomic.Pointer[table[T]], s *slot[T]) {
	t := loc.Load()
	s.hash.Store(slotGone)
	s.val.Store(nil)
	t.live--
	switch {
	case t.live == 0:
		loc.Store(nil)
	case len(t.slots) > 8 && int(t.live) < len(t.slots)/8:
		loc.Store(t.resized(0))
	}
}

// resized returns a copy at most half full after more values are added. t may
// be nil.
func (t *table[T]) resized(more int32) *table[T] {
	want := more
	if t != nil {
		want += t.live
	}
	size := int32(2)
	for size < want*2 {
		size *= 2
	}
	n := &table[T]{slots: make([]slot[T], size)}
	if t == nil {
		return n
	}
	for i := range t.slots {
		if h := t.slots[i].hash.Load(); h >= firstHash {
			n.insert(h, t.slots[i].val.Load())
		}
	}
	return n
}

// all yields every value until fn returns false. t may be nil.
func (t *table[T]) all(fn func(*T) bool) bool {
	if t == nil {
		return true
	}
	for i := range t.slots {
		if v := t.slots[i].val.Load(); v != nil && !fn(v) {
			return false
		}
	}
	return true
}

// count is the number of values. The owner's lock is held. t may be nil.
func (t *table[T]) count() int {
	if t == nil {
		return 0
	}
	return int(t.live)
}
