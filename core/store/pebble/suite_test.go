package pebble

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/storetest"
)

func TestMain(m *testing.M) {
	child() // ends the process if this is one
	// The engine leaves this one behind when it fails to open; a store that is not
	// closed leaves others too.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/cockroachdb/pebble/v2.(*ConcurrencyLimitScheduler).periodicGranter"))
}

func TestSuiteOnDisk(t *testing.T) {
	storetest.Run(t, storetest.Backend{
		Open:   func(t testing.TB) store.Store { return open(t, Config{Dir: t.TempDir()}) },
		Reopen: reopen,
	})
}

// Tiny tables in memory: every test flushes and compacts.
func TestSuiteInMemory(t *testing.T) {
	storetest.Run(t, storetest.Backend{
		Open: func(t testing.TB) store.Store {
			return open(t, Config{Dir: "/s", FS: vfs.NewMem(), MemTableBytes: 256 << 10, CacheBytes: 64 << 10})
		},
		Reopen: reopen,
	})
}

func reopen(t testing.TB, s store.Store) store.Store {
	t.Helper()
	cfg := s.(*Store).cfg
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, cfg)
}

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, errInjected) {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func apply(s store.Store, d store.Durability, fill func(b *store.Batch)) error {
	var b store.Batch
	fill(&b)
	return store.Apply(context.Background(), s, &b, d)
}

func put(s store.Store, d store.Durability, key, value string) error {
	return apply(s, d, func(b *store.Batch) { b.Put([]byte(key), []byte(value)) })
}

func fill(t testing.TB, s store.Store, n, size int) {
	t.Helper()
	value := make([]byte, size)
	for i := 0; i < n; {
		if err := apply(s, store.Async, func(b *store.Batch) {
			for ; i < n && b.Size() < 64<<10; i++ {
				b.Put(fmt.Appendf(nil, "fill/%08d", i), value)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}
