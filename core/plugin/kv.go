package plugin

import (
	"bytes"
	"strconv"
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Bounds of a plugin's key space.
const (
	maxKey      = 256
	maxValue    = 64 << 10
	maxKeySpace = 16 << 20 // keys and values
	keyOverhead = 64       // what an entry costs beside its bytes
)

// keys is a plugin's key space: its [KV]. It lives as long as the plugin is loaded,
// also over reloads; with the capability kv:durable it also is on the disk, and
// outlives the node.
type keys struct {
	now func() time.Time

	mu     sync.Mutex
	values map[string]keyed
	bytes  int
	disk   kept
}

type keyed struct {
	value []byte
	until time.Time // zero: no end
}

// NewKV returns an empty key space as a loaded plugin gets it, for what runs a
// plugin outside of a broker.
func NewKV(now func() time.Time) KV { return newKeys(now) }

func newKeys(now func() time.Time) *keys { return &keys{now: now, values: map[string]keyed{}} }

// live returns the entry of key; expired ones are removed. mu is held.
func (k *keys) live(key string) (keyed, bool) {
	v, ok := k.values[key]
	if ok && !v.until.IsZero() && !k.now().Before(v.until) {
		k.remove(key)
		return keyed{}, false
	}
	return v, ok
}

// has tells whether there is a value at key.
func (k *keys) has(key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.live(key)
	return ok
}

// remove takes key out. mu is held.
func (k *keys) remove(key string) {
	if v, ok := k.values[key]; ok {
		k.bytes -= sizeOf(key, v)
		delete(k.values, key)
		k.disk.remove(key)
	}
}

// sizeOf is what an entry counts.
func sizeOf(key string, v keyed) int { return len(key) + len(v.value) + keyOverhead }

// enter puts v at key. mu is held.
func (k *keys) enter(key string, v keyed) {
	if old, ok := k.values[key]; ok {
		k.bytes -= sizeOf(key, old)
	}
	k.bytes += sizeOf(key, v)
	k.values[key] = v
}

// set puts v at key if it fits; else the key is as it was. mu is held.
func (k *keys) set(key string, v keyed) error {
	if err := k.disk.refuses(); err != nil {
		return err
	}
	more := sizeOf(key, v)
	if k.bytes+more > maxKeySpace {
		k.sweep()
	}
	if old, ok := k.values[key]; ok {
		more -= sizeOf(key, old)
	}
	if k.bytes+more > maxKeySpace {
		return contract.ErrnoQuota
	}
	k.enter(key, v)
	k.disk.put(key, v)
	return nil
}

// sweep removes what has expired. mu is held.
func (k *keys) sweep() {
	for key := range k.values {
		k.live(key)
	}
}

// Load appends the value of key to dst.
func (k *keys) Load(dst []byte, key string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.commit()
	v, ok := k.live(key)
	if !ok {
		return dst, contract.ErrnoNotFound
	}
	return append(dst, v.value...), nil
}

// Store keeps a copy of value.
func (k *keys) Store(key string, value []byte, ttl time.Duration) error {
	if key == "" || len(key) > maxKey || len(value) > maxValue || ttl < 0 {
		return contract.ErrnoInvalid
	}
	v := keyed{value: append([]byte(nil), value...)}
	if ttl > 0 {
		v.until = k.now().Add(ttl)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.commit()
	return k.set(key, v)
}

// Delete removes key.
func (k *keys) Delete(key string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.commit()
	if _, ok := k.live(key); !ok {
		return contract.ErrnoNotFound
	}
	k.remove(key)
	return nil
}

// Add adds delta to the decimal number at key.
func (k *keys) Add(key string, delta int64) (int64, error) {
	if key == "" || len(key) > maxKey {
		return 0, contract.ErrnoInvalid
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.commit()
	v, ok := k.live(key)
	var n int64
	if ok {
		var err error
		if n, err = strconv.ParseInt(string(v.value), 10, 64); err != nil {
			return 0, contract.ErrnoInvalid
		}
	}
	n += delta
	return n, k.set(key, keyed{value: strconv.AppendInt(nil, n, 10), until: v.until})
}

// Swap stores value if the present value is old.
func (k *keys) Swap(key string, old, value []byte) error {
	if key == "" || len(key) > maxKey || len(value) > maxValue {
		return contract.ErrnoInvalid
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.commit()
	v, ok := k.live(key)
	if ok != (old != nil) || ok && !bytes.Equal(v.value, old) {
		return contract.ErrnoNotFound
	}
	return k.set(key, keyed{value: append([]byte(nil), value...), until: v.until})
}
