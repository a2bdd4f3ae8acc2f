package access

import "container/list"

// recent is a table of bounded size: a key that finds it full takes the place
// of the one that was used longest ago. Its owner guards it.
type recent[K comparable, V any] struct {
	limit int
	items map[K]*list.Element
	order *list.List // of *slot[K, V], the last used first
}

type slot[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](limit int) *recent[K, V] {
	return &recent[K, V]{limit: max(limit, 1), items: map[K]*list.Element{}, order: list.New()}
}

// at returns the value of k, new if there was none, and marks it as used.
func (r *recent[K, V]) at(k K) *V {
	if e := r.items[k]; e != nil {
		r.order.MoveToFront(e)
		return &e.Value.(*slot[K, V]).value
	}
	if len(r.items) >= r.limit {
		r.drop(r.order.Back().Value.(*slot[K, V]).key)
	}
	s := &slot[K, V]{key: k}
	r.items[k] = r.order.PushFront(s)
	return &s.value
}

// look returns the value of k without marking it; nil: there is none.
func (r *recent[K, V]) look(k K) *V {
	e := r.items[k]
	if e == nil {
		return nil
	}
	return &e.Value.(*slot[K, V]).value
}

func (r *recent[K, V]) drop(k K) {
	if e := r.items[k]; e != nil {
		r.order.Remove(e)
		delete(r.items, k)
	}
}
