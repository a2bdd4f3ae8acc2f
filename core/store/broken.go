package store

import "fmt"

// Broken collects what a reader of a store cannot understand and passes over. The
// zero Broken has none.
type Broken struct {
	n     int
	first error
}

// Add takes note of a key and of what is wrong with it or its value.
func (b *Broken) Add(key []byte, err error) {
	if b.n++; b.first == nil {
		b.first = fmt.Errorf("key %x: %w", key, err)
	}
}

// Err tells how much was passed over, and why the first; nil: nothing. It wraps
// ErrCorrupt.
func (b *Broken) Err() error {
	switch b.n {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%w: %w", ErrCorrupt, b.first)
	}
	return fmt.Errorf("%w: %d entries, the first: %w", ErrCorrupt, b.n, b.first)
}
