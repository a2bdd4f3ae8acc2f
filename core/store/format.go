package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// formats is where the versions of the rooms stand; no other key begins so.
const formats = "\x00format/"

// Format is the version in which a room (sessions, retained, ...) keeps its keys
// and values.
type Format struct {
	Room    string
	Version int // from 1
	// Steps[i] takes the room from version i+1 to i+2; there are Version-1. A step
	// may be run again after a crash in its middle, on what it has left.
	Steps []Step
}

// Step rewrites what an older version has left. It may apply batches of its own
// in between; the operations that it leaves in last are applied together with
// the new version.
type Step func(ctx context.Context, s Store, last *Batch) error

// Open brings a room to f's version: a room that has none gets it, an older one
// is migrated step by step, and a newer one is refused with ErrNewer, unchanged.
// It is called before anything else reads or writes the room.
func (f Format) Open(ctx context.Context, s Store) error {
	if f.Version < 1 || len(f.Steps) != f.Version-1 {
		panic(fmt.Sprintf("store: format of %s: version %d with %d steps", f.Room, f.Version, len(f.Steps)))
	}
	v, err := f.read(s)
	if err != nil {
		return err
	}
	if v == 0 {
		return f.set(ctx, s, &Batch{}, f.Version)
	}
	for at := v; at < f.Version; at++ {
		last := &Batch{}
		if err := f.Steps[at-1](ctx, s, last); err != nil {
			return fmt.Errorf("store: migrate %s from format %d to %d: %w", f.Room, at, at+1, err)
		}
		if err := f.set(ctx, s, last, at+1); err != nil {
			return err
		}
	}
	return nil
}

// Same tells whether r has the room in f's version, or has no such room: who only
// reads can migrate nothing. The errors are ErrNewer, ErrOlder, ErrCorrupt and those
// of the disk.
func (f Format) Same(r Reader) error {
	v, err := f.read(r)
	if err == nil && v != 0 && v < f.Version {
		err = fmt.Errorf("%w: %s has format %d, this program reads %d: start a node with it once, which migrates it", ErrOlder, f.Room, v, f.Version)
	}
	return err
}

// read is the room's version, which is not above f's; 0: there is no room.
func (f Format) read(r Reader) (int, error) {
	p, err := r.Get([]byte(formats+f.Room), nil)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("store: format of %s: %w", f.Room, err)
	}
	v, n := binary.Uvarint(p)
	if n != len(p) || v == 0 {
		return 0, fmt.Errorf("store: format of %s is %x: %w", f.Room, p, ErrCorrupt)
	}
	if v > uint64(f.Version) {
		return 0, fmt.Errorf("%w: %s has format %d, this program knows up to %d: start the version that wrote it, or restore a backup",
			ErrNewer, f.Room, v, f.Version)
	}
	return int(v), nil
}

func (f Format) set(ctx context.Context, s Store, b *Batch, v int) error {
	b.Put([]byte(formats+f.Room), binary.AppendUvarint(nil, uint64(v)))
	b.Free() // an upgrade passes a full store
	if err := Apply(ctx, s, b, Sync); err != nil {
		return fmt.Errorf("store: set format %d of %s: %w", v, f.Room, err)
	}
	return nil
}
