package router

// Each yields every subscription until fn returns false. It takes no lock, and
// fn may call the router: a subscription that is there during the whole walk
// is met once; one that comes or goes meanwhile may be met.
func (r *Router) Each(fn func(*Subscription) bool) {
	more := true
	r.walk(func(e *entry) bool {
		more = e.each(fn)
		return more
	})
}

// Filters yields every filter that is subscribed, with the number of its
// subscriptions, until fn returns false; otherwise as Each.
func (r *Router) Filters(fn func(filter string, subscriptions int) bool) {
	r.walk(func(e *entry) bool {
		filter, n := "", 0
		e.each(func(s *Subscription) bool {
			filter = s.Filter
			n++
			return true
		})
		return n == 0 || fn(filter, n)
	})
}

// routes yields all entries.
func (r *Router) routes(fn func(*entry)) {
	r.walk(func(e *entry) bool { fn(e); return true })
}

// walk yields all entries, empty ones too, until fn returns false.
func (r *Router) walk(fn func(*entry) bool) {
	for i := range r.exact {
		if !r.exact[i].exact.Load().all(fn) {
			return
		}
	}
	stack := []*node{&r.wild.root}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !fn(&n.here) || !fn(&n.deep) {
			return
		}
		if p := n.plus.Load(); p != nil {
			stack = append(stack, p)
		}
		n.kids.Load().all(func(k *node) bool {
			stack = append(stack, k)
			return true
		})
	}
}
