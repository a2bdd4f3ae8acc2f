package router

import "sync/atomic"

// indexFrom is how many members make a map cheaper than a search.
const indexFrom = 32

// places is a set of pointers that readers walk without a lock while writers,
// who hold the owner's lock, change it in place: a member keeps its place until
// it leaves, so that a walk meets every member that is there all the time
// exactly once. Adding and removing cost O(1) amortised, however many there are.
type places[K comparable, T any] struct {
	arr atomic.Pointer[[]atomic.Pointer[T]] // nil: no member yet; a nil place is free

	// Guarded by the owner's lock.
	n     int32
	index *placeIndex[K] // nil while there are few
}

// placeIndex finds members and free places of a large set.
type placeIndex[K comparable] struct {
	at   map[K]int32
	free []int32
}

// placer is a pointer to a member.
type placer[K comparable, T any] interface {
	*T
	placeKey() K
}

// walk returns the places; the reader skips those that hold nil.
func (p *places[K, T]) walk() []atomic.Pointer[T] {
	if a := p.arr.Load(); a != nil {
		return *a
	}
	return nil
}

// findPlace returns where the member with that key is, or -1.
func findPlace[K comparable, T any, P placer[K, T]](p *places[K, T], key K) int32 {
	if p.index != nil {
		if i, ok := p.index.at[key]; ok {
			return i
		}
		return -1
	}
	arr := p.walk()
	for i := range arr {
		if v := arr[i].Load(); v != nil && P(v).placeKey() == key {
			return int32(i)
		}
	}
	return -1
}

// addPlace adds v, whose key has no place yet.
func addPlace[K comparable, T any, P placer[K, T]](p *places[K, T], v *T) {
	arr := p.walk()
	if int(p.n) == len(arr) {
		arr = movePlaces[K, T, P](p, max(2, 2*int(p.n)))
	}
	at := int32(-1)
	if x := p.index; x != nil {
		last := len(x.free) - 1
		at = x.free[last]
		x.free = x.free[:last]
		x.at[P(v).placeKey()] = at
	} else {
		for i := range arr {
			if arr[i].Load() == nil {
				at = int32(i)
				break
			}
		}
	}
	p.n++
	arr[at].Store(v)
}

// dropPlace frees the place at.
func dropPlace[K comparable, T any, P placer[K, T]](p *places[K, T], at int32) {
	arr := p.walk()
	if x := p.index; x != nil {
		delete(x.at, P(arr[at].Load()).placeKey())
		x.free = append(x.free, at)
	}
	arr[at].Store(nil)
	p.n--
	if len(arr) > 8 && int(p.n) < len(arr)/4 {
		movePlaces[K, T, P](p, max(2, 2*int(p.n)))
	}
}

// movePlaces publishes a copy with size places. Walks that are under way see
// the old one, which is not written any more.
func movePlaces[K comparable, T any, P placer[K, T]](p *places[K, T], size int) []atomic.Pointer[T] {
	old, arr := p.walk(), make([]atomic.Pointer[T], size)
	p.index = nil
	if size > indexFrom {
		p.index = &placeIndex[K]{at: make(map[K]int32, size)}
	}
	next := 0
	for i := range old {
		v := old[i].Load()
		if v == nil {
			continue
		}
		arr[next].Store(v)
		if p.index != nil {
			p.index.at[P(v).placeKey()] = int32(next)
		}
		next++
	}
	if p.index != nil {
		p.index.free = make([]int32, 0, size-next)
		for i := size - 1; i >= next; i-- {
			p.index.free = append(p.index.free, int32(i))
		}
	}
	p.arr.Store(&arr)
	return arr
}
