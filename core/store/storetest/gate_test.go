package storetest

import (
	"errors"
	"testing"

	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
)

func TestGateHoldsReleasesAndFails(t *testing.T) {
	s := mem.New()
	g := NewGate(s)
	var ends []error
	commit := func(key string, d store.Durability) error {
		b := &store.Batch{}
		b.Put([]byte(key), nil)
		return g.Commit(b, d, store.Func(func(err error) { ends = append(ends, err) }))
	}
	for _, key := range []string{"a", "b", "c"} {
		if err := commit(key, store.Async); err != nil {
			t.Fatal(err)
		}
	}
	if err := commit("d", store.Sync); err != nil {
		t.Fatal(err)
	}
	if n, d := g.Waiting(); n != 4 || d != store.Sync || len(ends) != 0 {
		t.Errorf("%d wait with %v, %d told", n, d, len(ends))
	}
	expect(t, g, "")
	if err := g.Release(2); err != nil || len(ends) != 2 || ends[0] != nil {
		t.Errorf("release: %v, told %v", err, ends)
	}
	expect(t, g, "a= b= ")
	boom := errors.New("boom")
	g.Fail(boom)
	if len(ends) != 4 || !errors.Is(ends[3], boom) {
		t.Errorf("told %v", ends)
	}
	if err := commit("e", store.Sync); !errors.Is(err, boom) {
		t.Errorf("commit after the failure: %v", err)
	}
	if err := g.Release(-1); err != nil {
		t.Error(err)
	}
	expect(t, g, "a= b= ")
	if err := g.Close(); err != nil {
		t.Error(err)
	}
}
