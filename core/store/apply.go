package store

import (
	"context"
	"errors"
	"time"
)

// retry is how long Apply waits for room.
const retry = time.Millisecond

// Apply commits the batch, waits for room and for its end. It is for start-up,
// operators and tests, not for a goroutine that serves clients. When ctx ends
// first, the batch stays the store's.
func Apply(ctx context.Context, s Store, b *Batch, d Durability) error {
	end := make(chan error, 1)
	for {
		err := s.Commit(b, d, Func(func(err error) { end <- err }))
		if err == nil {
			break
		}
		if !errors.Is(err, ErrBusy) {
			return err
		}
		t := time.NewTimer(retry)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
	select {
	case err := <-end:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Count is how many keys r has, and the bytes of their keys and values.
func Count(s Reader, r Range) (keys, bytes int64, err error) {
	err = s.Scan(r, func(k, v []byte) bool {
		keys++
		bytes += int64(len(k) + len(v))
		return true
	})
	return keys, bytes, err
}
