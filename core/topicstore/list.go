package topicstore

import (
	"slices"
	"strings"

	"github.com/dunlinmq/dunlin/core/message"
)

// Chunk sizes. A chunk of messages that came in ascending order is left nearly
// full; one in random order is two thirds full on average.
const (
	chunkMax = 256
	chunkMin = chunkMax / 4
)

// list is the messages sorted by topic, in chunks: finding one takes two binary
// searches, adding and removing move at most a chunk. The chunk headers move
// when a chunk is added, which is cheap up to about ten million messages.
// Not concurrent.
type list struct {
	// from[i] is at most the first topic of chunks[i] and more than the last one
	// of chunks[i-1]; from[0] is "". Copies: they pin no message.
	from   []string
	chunks [][]item
	n      int
}

// item holds the topic beside the message to save a memory access in searches.
// It is the message's own string, so that a replaced message is not pinned.
type item struct {
	topic string
	m     *message.Message
}

// place is a position in the list.
type place struct{ chunk, i int }

// find returns the place of topic, or where it belongs.
func (l *list) find(topic string) (place, bool) {
	if len(l.chunks) == 0 {
		return place{}, false
	}
	c, ok := slices.BinarySearch(l.from, topic)
	if !ok {
		c-- // from[0] is "", so c was at least 1
	}
	i, ok := slices.BinarySearchFunc(l.chunks[c], topic, func(it item, t string) int {
		return strings.Compare(it.topic, t)
	})
	return place{c, i}, ok
}

// at returns the message at p if ok, else nil.
func (l *list) at(p place, ok bool) *message.Message {
	if !ok {
		return nil
	}
	return l.chunks[p.chunk][p.i].m
}

// set replaces the message at p by one of the same topic.
func (l *list) set(p place, m *message.Message) { l.chunks[p.chunk][p.i] = item{m.Topic, m} }

// insert puts m where find said that it belongs.
func (l *list) insert(p place, m *message.Message) {
	l.n++
	if len(l.chunks) == 0 {
		l.from, l.chunks = append(l.from, ""), append(l.chunks, nil)
	}
	c := l.chunks[p.chunk]
	if len(c) < chunkMax {
		l.chunks[p.chunk] = slices.Insert(c, p.i, item{m.Topic, m})
		return
	}
	cut := chunkMax / 2
	if p.i == chunkMax && p.chunk == len(l.chunks)-1 {
		cut = chunkMax - 1 // ascending: leave the chunk full
	}
	right := append(make([]item, 0, chunkMax), c[cut:]...)
	clear(c[cut:])
	l.chunks[p.chunk] = c[:cut]
	l.chunks = slices.Insert(l.chunks, p.chunk+1, right)
	l.from = slices.Insert(l.from, p.chunk+1, strings.Clone(right[0].topic))
	if p.i > cut {
		p = place{p.chunk + 1, p.i - cut}
	}
	l.chunks[p.chunk] = slices.Insert(l.chunks[p.chunk], p.i, item{m.Topic, m})
}

// remove takes the message at p out. Small chunks are joined, so that what is
// kept after many removals is not much more than what is needed.
func (l *list) remove(p place) {
	l.n--
	l.chunks[p.chunk] = slices.Delete(l.chunks[p.chunk], p.i, p.i+1)
	switch n := len(l.chunks[p.chunk]); {
	case n == 0:
		l.drop(p.chunk)
	case n < chunkMin && !l.join(p.chunk):
		l.join(p.chunk - 1)
	}
}

// join puts chunk c+1 into c if both together are small.
func (l *list) join(c int) bool {
	if c < 0 || c+1 >= len(l.chunks) || len(l.chunks[c])+len(l.chunks[c+1]) > chunkMax/2 {
		return false
	}
	l.chunks[c] = append(l.chunks[c], l.chunks[c+1]...)
	l.drop(c + 1)
	return true
}

// drop takes chunk c out.
func (l *list) drop(c int) {
	l.chunks = slices.Delete(l.chunks, c, c+1)
	l.from = slices.Delete(l.from, c, c+1)
	if len(l.chunks) == 0 {
		*l = list{}
	} else {
		l.from[0] = ""
	}
}

// after returns the place that follows p; ok is false at the end.
func (l *list) after(p place) (place, bool) { return l.settle(place{p.chunk, p.i + 1}) }

// settle moves p, if it is beyond its chunk, to the next chunk.
func (l *list) settle(p place) (place, bool) {
	if p.chunk < len(l.chunks) && p.i >= len(l.chunks[p.chunk]) {
		p = place{p.chunk + 1, 0}
	}
	return p, p.chunk < len(l.chunks)
}

// seek returns the place of the first topic that is not before from.
func (l *list) seek(from string) (place, bool) {
	p, _ := l.find(from)
	return l.settle(p)
}

// skip is seek(to) for a topic to after the one at p. Near ones are found
// without a search.
func (l *list) skip(p place, to string) (place, bool) {
	for range 4 {
		next, ok := l.after(p)
		if !ok || l.chunks[next.chunk][next.i].topic >= to {
			return next, ok
		}
		p = next
	}
	return l.seek(to)
}
