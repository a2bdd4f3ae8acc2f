package schedule

import "slices"

// entry is what memory holds of a message that waits: 24 bytes.
type entry struct {
	when int64  // by the clock of its heap, nanoseconds
	due  int64  // Unix nanoseconds: of its key
	seq  uint64 // its number, in the order in which messages came
}

func (e *entry) before(o *entry) bool { return e.when < o.when || e.when == o.when && e.seq < o.seq }

// heap is a binary heap of entries, the first to be due in front.
type heap []entry

// push adds an entry.
func (h *heap) push(e entry) {
	s := append(*h, e)
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s[i].before(&s[up]) {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
	*h = s
}

// pop takes the first entry out.
func (h *heap) pop() entry {
	s := *h
	first, last := s[0], len(s)-1
	s[0] = s[last]
	*h = s[:last]
	h.down(0)
	if len(*h) == 0 {
		*h = nil // what a million have taken is not held on to
	}
	return first
}

// down moves entry i to its place among those below it.
func (h heap) down(i int) {
	for {
		least := i
		for _, child := range [...]int{2*i + 1, 2*i + 2} {
			if child < len(h) && h[child].before(&h[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// find looks an entry up by its number, in time of the heap's size.
func (h heap) find(seq uint64) (entry, bool) {
	i := slices.IndexFunc(h, func(e entry) bool { return e.seq == seq })
	if i < 0 {
		return entry{}, false
	}
	return h[i], true
}

// drop takes the entries out whose numbers are in gone.
func (h *heap) drop(gone map[uint64]struct{}) {
	*h = slices.DeleteFunc(*h, func(e entry) bool { _, is := gone[e.seq]; return is })
	for i := len(*h)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}
