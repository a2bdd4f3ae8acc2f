package plugin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// durableKV is the capability of a key space that survives.
const durableKV = "kv:durable"

// keptPrefix is before the plugin's name in the keys of what survives; no other
// room has it.
const keptPrefix = 'k'

// keptRoom is the form of what is on the disk: at 'k', the plugin's name and the
// key the end of the value's life (Unix nanoseconds, 0: none) and the value.
var keptRoom = store.Format{Room: "kv", Version: 1}

// kept is a key space's way to the disk. It is guarded by keys.mu, so
// that the disk sees changes in the order in which the plugin makes them.
type kept struct {
	j      *journal.Journal // nil: nothing survives
	prefix []byte
	tx     *journal.Tx // of the call under way; nil: it has changed nothing
	buf    []byte      // scratch

	// Any goroutine.
	on    atomic.Bool   // j is set
	wrote atomic.Uint64 // calls that have put something
}

// keep makes the key space one that survives, and reads what an earlier one of the
// plugin has left. What it holds by now goes to the disk too. A second call does
// nothing. The errors are those of a room's opening: store.ErrNewer,
// store.ErrCorrupt, the disk's.
func (k *keys) keep(ctx context.Context, j *journal.Journal, plugin string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.disk.j != nil {
		return nil
	}
	if j == nil {
		return fmt.Errorf("capability %q: this node keeps nothing", durableKV)
	}
	// The barrier: an unloaded plugin of the name may have changes on their way.
	err := errors.Join(j.Room(ctx, keptRoom), j.Barrier(ctx))
	if err != nil {
		return fmt.Errorf("read the keys of %s: %w", plugin, err)
	}
	k.disk.j, k.disk.prefix = j, store.AppendString([]byte{keptPrefix}, plugin)
	defer k.commit()
	earlier, bytes := k.values, k.bytes
	k.values, k.bytes = map[string]keyed{}, 0
	var bad error
	err = j.Store().Scan(store.Prefix(k.disk.prefix), func(key, value []byte) bool {
		name := string(key[len(k.disk.prefix):])
		v, ok := readKept(value)
		if !ok || name == "" {
			bad = fmt.Errorf("key %x: %w", key, store.ErrCorrupt)
			return false
		}
		v.value = append([]byte(nil), v.value...)
		k.enter(name, v)
		return ctx.Err() == nil
	})
	if err = errors.Join(bad, err, ctx.Err()); err != nil {
		k.disk.j, k.values, k.bytes = nil, earlier, bytes
		return fmt.Errorf("read the keys of %s: %w", plugin, err)
	}
	k.disk.on.Store(true)
	for key, v := range earlier {
		if err := k.set(key, v); err != nil {
			return fmt.Errorf("keep the keys of %s: %w", plugin, err)
		}
	}
	k.sweep()
	return nil
}

// refuses is why nothing may be put now; nil if it may. mu is held.
func (d *kept) refuses() error {
	if d.j == nil {
		return nil
	}
	switch err := d.j.Fault(); {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrFull):
		return contract.ErrnoQuota
	default:
		return contract.ErrnoInternal
	}
}

// put follows the key space. mu is held.
func (d *kept) put(key string, v keyed) {
	if d.j == nil {
		return
	}
	until := uint64(0)
	if !v.until.IsZero() {
		until = uint64(v.until.UnixNano())
	}
	n := len(d.prefix) + len(key)
	d.buf = append(append(d.buf[:0], d.prefix...), key...)
	d.buf = append(binary.BigEndian.AppendUint64(d.buf, until), v.value...)
	d.open().Put(store.Async, d.buf[:n], d.buf[n:])
}

// remove follows the key space. mu is held.
func (d *kept) remove(key string) {
	if d.j == nil {
		return
	}
	d.buf = append(append(d.buf[:0], d.prefix...), key...)
	t := d.open()
	t.Need(store.Async)
	t.Delete(d.buf)
}

func (d *kept) open() *journal.Tx {
	if d.tx == nil {
		d.tx = d.j.Begin()
	}
	return d.tx
}

// commit ends a call: what it has changed is on its way before the call returns,
// and before anything that the caller commits later. mu is held.
func (k *keys) commit() {
	if t := k.disk.tx; t != nil {
		k.disk.tx = nil
		k.disk.wrote.Add(1)
		t.Commit()
	}
}

// writes counts what was put on the disk. It is 0 for a key space in memory.
func (k *keys) writes() uint64 { return k.disk.wrote.Load() }

// durable tells whether the key space survives.
func (k *keys) durable() bool { return k.disk.on.Load() }
