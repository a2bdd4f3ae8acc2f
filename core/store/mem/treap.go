package mem

import "hash/maphash"

// node is one key in a treap that is never changed: every operation makes new
// nodes along its path and shares the rest, so that a root is a snapshot.
// Priorities come from the key, and the shape from the keys alone.
type node struct {
	key, value  []byte
	prio        uint64
	left, right *node
}

func (n *node) find(key []byte) *node {
	for n != nil {
		switch {
		case string(key) < string(n.key):
			n = n.left
		case string(key) > string(n.key):
			n = n.right
		default:
			return n
		}
	}
	return nil
}

// split parts n into the keys < key and those >= key.
func (n *node) split(key []byte) (less, rest *node) {
	if n == nil {
		return nil, nil
	}
	c := *n
	if string(n.key) < string(key) {
		c.right, rest = n.right.split(key)
		return &c, rest
	}
	less, c.left = n.left.split(key)
	return less, &c
}

// merge joins two treaps; every key of a is smaller than every key of b.
func merge(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.prio > b.prio:
		c := *a
		c.right = merge(a.right, b)
		return &c
	}
	c := *b
	c.left = merge(a, b.left)
	return &c
}

// put sets add's key, whether or not there is one.
func (n *node) put(add *node) *node {
	if n == nil {
		return add
	}
	if string(add.key) == string(n.key) {
		add.left, add.right = n.left, n.right
		return add
	}
	if add.prio > n.prio {
		less, rest := n.split(add.key)
		if rest.find(add.key) != nil {
			rest = rest.remove(add.key)
		}
		add.left, add.right = less, rest
		return add
	}
	c := *n
	if string(add.key) < string(n.key) {
		c.left = n.left.put(add)
	} else {
		c.right = n.right.put(add)
	}
	return &c
}

// remove removes a key that is there.
func (n *node) remove(key []byte) *node {
	if string(key) == string(n.key) {
		return merge(n.left, n.right)
	}
	c := *n
	if string(key) < string(n.key) {
		c.left = n.left.remove(key)
	} else {
		c.right = n.right.remove(key)
	}
	return &c
}

// removeRange removes from <= k < to.
func (n *node) removeRange(from, to []byte) *node {
	less, rest := n.split(from)
	_, more := rest.split(to)
	return merge(less, more)
}

// scan yields from <= k, and k < to unless to is nil, in order.
func (n *node) scan(from, to []byte, fn func(k, v []byte) bool) bool {
	if n == nil {
		return true
	}
	after := string(n.key) >= string(from)
	before := to == nil || string(n.key) < string(to)
	return (!after || n.left.scan(from, to, fn)) &&
		(!after || !before || fn(n.key, n.value)) &&
		(!before || n.right.scan(from, to, fn))
}

// seed makes the priorities, and with them the shape, nobody's to choose.
var seed = maphash.MakeSeed()

func newNode(key, value []byte) *node {
	buf := make([]byte, len(key)+len(value))
	copy(buf, key)
	copy(buf[len(key):], value)
	return &node{key: buf[:len(key):len(key)], value: buf[len(key):], prio: maphash.Bytes(seed, key)}
}
