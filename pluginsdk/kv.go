package sdk

import (
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// The plugin's key space (capability "kv"): shared by its instances, kept over
// reloads, gone when the plugin is unloaded. With the capability "kv:durable" it
// outlives the plugin and the node, and a publication is acknowledged when what
// the plugin has set because of it is as safe as its zone's durability wants. Keys
// have 1 to 256 bytes, values at most 64 KiB, all of them together 16 MiB.

// Get returns the value of key, a copy. [ErrNotFound].
func Get(key string) ([]byte, error) {
	b, n := hostGet(key)
	if n < 0 {
		return nil, contract.Errno(n)
	}
	return b, nil
}

// Set keeps value under key, for ttl or, with 0, for as long as the plugin is
// loaded (kv:durable: for ever). [ErrQuota], [ErrInvalid]; any other error says that
// the disk has failed.
func Set(key string, value []byte, ttl time.Duration) error {
	if ttl < 0 {
		return ErrInvalid
	}
	ms := int64(0)
	if ttl > 0 {
		ms = max(1, ttl.Milliseconds())
	}
	return errnoOf(hostSet(key, value, ms))
}

// Delete removes key. [ErrNotFound].
func Delete(key string) error { return errnoOf(hostDelete(key)) }

// Increment adds delta to the decimal number at key (none: 0) and returns the sum,
// which must not be below zero: a guest cannot tell that from an error.
func Increment(key string, delta int64) (int64, error) {
	n := hostIncrement(key, delta)
	if n < 0 {
		return 0, contract.Errno(n)
	}
	return n, nil
}

// Swap sets value if the present value is old (nil: there is none). [ErrNotFound]:
// it is not.
func Swap(key string, old, value []byte) error { return errnoOf(hostSwap(key, old, value)) }
