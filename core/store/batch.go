package store

import "encoding/binary"

// MaxKey is the most bytes that a key may have: an MQTT topic and what a room
// puts around it.
const MaxKey = 1 << 17

// Kind is what an operation does.
type Kind byte

// The kinds of operations. The numbers are those of Pebble and RocksDB batches,
// so that a backend built on them can take a batch as it is.
const (
	KindDelete      Kind = 0
	KindPut         Kind = 1
	KindDeleteRange Kind = 15
)

// Batch is operations that are applied together and in order: later ones win.
// The zero Batch is empty and ready. A batch belongs to one goroutine, and from
// Commit to its completion to the store. It copies what it is given.
//
// Its bytes are, for each operation, the kind, the key and, but for KindDelete,
// the value (KindDeleteRange: the end of the range); keys and values are a
// uvarint length and the bytes.
type Batch struct {
	ops    []byte
	n      int
	ranges int
	puts   bool
	frees  bool
}

// Put sets the key's value. Keys of more than MaxKey bytes are a broken
// invariant of the caller.
func (b *Batch) Put(key, value []byte) {
	b.op(KindPut, key)
	b.bytes(value)
	b.puts = true
}

// Delete removes the key, if there is one.
func (b *Batch) Delete(key []byte) { b.op(KindDelete, key) }

// DeleteRange removes the keys k with from <= k < to. It is one operation
// however many there are, but on a disk the first read after it pays for all
// ranges that were deleted of late (some 0.3 µs each): below some 64 keys that
// the caller knows, delete them singly. An empty or inverted range removes
// nothing; to is never open.
func (b *Batch) DeleteRange(from, to []byte) {
	if string(from) >= string(to) {
		return
	}
	b.op(KindDeleteRange, from)
	b.bytes(to)
	b.ranges++
}

// Free marks the batch as one that has to pass when the store is full, because
// it frees more than it puts: acknowledgements, expiry, the end of a session.
// Batches without a Put pass anyhow.
func (b *Batch) Free() { b.frees = true }

// Growing tells that the batch is refused with ErrFull when the store is full.
func (b *Batch) Growing() bool { return b.puts && !b.frees }

// Len is how many operations the batch has.
func (b *Batch) Len() int { return b.n }

// Ranges is how many of them are DeleteRange.
func (b *Batch) Ranges() int { return b.ranges }

// Size is how many bytes the operations have.
func (b *Batch) Size() int { return len(b.ops) }

// Ops is the operations in their byte form, for backends. It belongs to the
// batch.
func (b *Batch) Ops() []byte { return b.ops }

// keepCap bounds what a batch that is used again holds on to.
const keepCap = 1 << 20

// Reset empties the batch for the next use and keeps its memory.
func (b *Batch) Reset() {
	ops := b.ops[:0]
	if cap(ops) > keepCap {
		ops = nil
	}
	*b = Batch{ops: ops}
}

// Append adds the operations of another batch.
func (b *Batch) Append(o *Batch) {
	b.ops = append(b.ops, o.ops...)
	b.n += o.n
	b.ranges += o.ranges
	b.puts = b.puts || o.puts
	b.frees = b.frees || o.frees
}

// Each calls fn with the operations in their order; the slices belong to the
// batch. end is the value, or the end of a range.
func (b *Batch) Each(fn func(kind Kind, key, end []byte)) {
	for rest := b.ops; len(rest) > 0; {
		kind := Kind(rest[0])
		var key, end []byte
		key, rest = cut(rest[1:])
		if kind != KindDelete {
			end, rest = cut(rest)
		}
		fn(kind, key, end)
	}
}

func cut(p []byte) (head, rest []byte) {
	n, w := binary.Uvarint(p)
	p = p[w:]
	return p[:n:n], p[n:]
}

func (b *Batch) op(kind Kind, key []byte) {
	if len(key) > MaxKey {
		panic("store: a key has too many bytes")
	}
	b.ops = append(b.ops, byte(kind))
	b.bytes(key)
	b.n++
}

func (b *Batch) bytes(p []byte) {
	b.ops = binary.AppendUvarint(b.ops, uint64(len(p)))
	b.ops = append(b.ops, p...)
}
