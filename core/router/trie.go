package router

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

// trie holds the filters with wildcards, level by level, with runs of levels
// that no other filter parts from kept in one node: it has at most two nodes a
// filter, however many levels that has. Readers take no lock.
type trie struct {
	seed maphash.Seed
	root node // its label means no level

	mu sync.Mutex // held by writers
}

// node is reached by its label, one level or more. Label and place are
// immutable: a node whose label has to change is replaced by a copy in its
// parent. Every node but the root has an entry or two children.
type node struct {
	label string // "+" is a wildcard; "#" is never part of it
	kids  atomic.Pointer[table[node]]
	plus  atomic.Pointer[node] // the child whose label begins with "+"
	here  entry                // filters that end here
	deep  entry                // filters that go on with "#" only
}

// named tells whether level is the first level of the label.
func (n *node) named(level string) bool {
	return strings.HasPrefix(n.label, level) && (len(n.label) == len(level) || n.label[len(level)] == '/')
}

// firstLevel returns s up to its first slash.
func firstLevel(s string) string {
	if i := strings.IndexByte(s, '/'); i >= 0 {
		return s[:i]
	}
	return s
}

// hash is the hash of a level or of a whole filter.
func hash(seed maphash.Seed, s string) uint64 {
	return max(maphash.String(seed, s), firstHash)
}

// splitHash parts a filter into the path of its node and whether "#" follows.
// root tells that the path has no level at all.
func splitHash(filter string) (path string, deep, root bool) {
	if filter == "#" {
		return "", true, true
	}
	if strings.HasSuffix(filter, "/#") {
		return filter[:len(filter)-2], true, false
	}
	return filter, false, false
}

// entryOf returns the node's entry for filters with or without "#".
func (n *node) entryOf(deep bool) *entry {
	if deep {
		return &n.deep
	}
	return &n.here
}

// child returns the child whose label begins with level.
func (t *trie) child(n *node, level string) *node {
	if level == "+" {
		return n.plus.Load()
	}
	kids := n.kids.Load()
	if kids == nil {
		return nil
	}
	return find(kids, hash(t.seed, level), level)
}

// link makes c a child of n, in the place of old if that is not nil.
func (t *trie) link(n, c, old *node) {
	level := firstLevel(c.label)
	if level == "+" {
		n.plus.Store(c)
		return
	}
	h := hash(t.seed, level)
	if old != nil {
		s, _ := seek(n.kids.Load(), h, level)
		s.val.Store(c)
		return
	}
	put(&n.kids, h, c)
}

// unlink takes the child c out of n.
func (t *trie) unlink(n, c *node) {
	level := firstLevel(c.label)
	if level == "+" {
		n.plus.Store(nil)
		return
	}
	s, _ := seek(n.kids.Load(), hash(t.seed, level), level)
	erase(&n.kids, s)
}

// reach returns the entry for filter, and makes its node if there is none. mu
// is held.
func (t *trie) reach(filter string) *entry {
	path, deep, root := splitHash(filter)
	n := &t.root
	if root {
		return n.entryOf(deep)
	}
	for {
		c := t.child(n, firstLevel(path))
		if c == nil {
			c = &node{label: path}
			t.link(n, c, nil)
			return c.entryOf(deep)
		}
		k := commonLevels(c.label, path)
		if k < len(c.label) {
			c = t.split(n, c, k)
		}
		if k == len(path) {
			return c.entryOf(deep)
		}
		n, path = c, path[k+1:]
	}
}

// split puts a node for the first k bytes of c's label between n and c.
func (t *trie) split(n, c *node, k int) *node {
	low := c.relabelled(c.label[k+1:])
	// A copy of its own: the upper part must not keep a filter's bytes when the
	// filter is gone.
	up := &node{label: strings.Clone(c.label[:k])}
	t.link(up, low, nil)
	t.link(n, up, c)
	return up
}

// relabelled returns a copy of n with another label.
func (n *node) relabelled(label string) *node {
	c := &node{label: label}
	c.kids.Store(n.kids.Load())
	c.plus.Store(n.plus.Load())
	n.here.copyTo(&c.here)
	n.deep.copyTo(&c.deep)
	return c
}

// commonLevels is the length of the longest common run of whole levels. The
// first levels are equal.
func commonLevels(a, b string) int {
	n := min(len(a), len(b))
	k := 0
	for k < n && a[k] == b[k] {
		k++
	}
	if (k == len(a) || a[k] == '/') && (k == len(b) || b[k] == '/') {
		return k
	}
	return strings.LastIndexByte(a[:k], '/')
}

// spot is a node with its parent and the parent's.
type spot struct {
	n, parent, grand *node
	deep             bool
}

// lookup finds the node of filter. mu is held.
func (t *trie) lookup(filter string) (s spot, ok bool) {
	path, deep, root := splitHash(filter)
	s = spot{n: &t.root, deep: deep}
	if root {
		return s, true
	}
	for {
		c := t.child(s.n, firstLevel(path))
		if c == nil || !strings.HasPrefix(path, c.label) {
			return s, false
		}
		s.n, s.parent, s.grand = c, s.n, s.parent
		if len(path) == len(c.label) {
			return s, true
		}
		if path[len(c.label)] != '/' {
			return s, false
		}
		path = path[len(c.label)+1:]
	}
}

// tidy restores the trie's shape after an entry of s.n was emptied. mu is held.
func (t *trie) tidy(s spot) {
	if s.parent == nil || !s.n.here.empty() || !s.n.deep.empty() {
		return
	}
	switch s.n.children() {
	case 0:
		t.unlink(s.parent, s.n)
		if p := s.parent; s.grand != nil && p.here.empty() && p.deep.empty() && p.children() == 1 {
			t.merge(s.grand, p)
		}
	case 1:
		t.merge(s.parent, s.n)
	}
}

// children counts n's children. mu is held.
func (n *node) children() int {
	c := n.kids.Load().count()
	if n.plus.Load() != nil {
		c++
	}
	return c
}

// merge replaces c, which has one child and no entry, by that child.
func (t *trie) merge(n, c *node) {
	only := c.plus.Load()
	if only == nil {
		c.kids.Load().all(func(k *node) bool { only = k; return false })
	}
	t.link(n, only.relabelled(c.label+"/"+only.label), c)
}
