package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/store"
)

// testModel runs random batches against a map, and opens the store anew from
// time to time.
func testModel(t *testing.T, b Backend) {
	for seed := range uint64(2) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		model := map[string]string{}
		s := b.Open(t)
		for i := range 200 {
			var batch store.Batch
			for range rnd.IntN(8) {
				modelOp(rnd, &batch, model, i)
			}
			if err := store.Apply(context.Background(), s, &batch, levels[rnd.IntN(3)]); err != nil {
				t.Fatalf("seed %d, batch %d: %v", seed, i, err)
			}
			if b.Reopen != nil && rnd.IntN(40) == 0 {
				s = b.Reopen(t, s)
			}
			if i%25 == 0 {
				compare(t, s, model)
			}
		}
		compare(t, s, model)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func modelOp(rnd *rand.Rand, b *store.Batch, model map[string]string, i int) {
	key := func() string { return fmt.Sprintf("%03d", rnd.IntN(200)) }
	switch k := key(); rnd.IntN(6) {
	case 0:
		b.Delete([]byte(k))
		delete(model, k)
	case 1:
		to := fmt.Sprintf("%03d", rnd.IntN(200))
		b.DeleteRange([]byte(k), []byte(to))
		maps.DeleteFunc(model, func(x, _ string) bool { return k <= x && x < to })
	default:
		v := strings.Repeat(fmt.Sprint(i, " "), rnd.IntN(20))
		b.Put([]byte(k), []byte(v))
		model[k] = v
	}
}

func compare(t *testing.T, s store.Reader, model map[string]string) {
	t.Helper()
	var want strings.Builder
	for _, k := range slices.Sorted(maps.Keys(model)) {
		fmt.Fprintf(&want, "%s=%s ", k, model[k])
		if p, err := s.Get([]byte(k), nil); err != nil || string(p) != model[k] {
			t.Fatalf("get %s: %q, %v; want %q", k, p, err, model[k])
		}
	}
	if got := dump(t, s, store.Range{}); got != want.String() {
		t.Fatalf("the store has %q, the model %q", got, want.String())
	}
}

// A room is given its version, migrated step by step, and refused when newer.
func testFormats(t *testing.T, s store.Store) {
	ctx := context.Background()
	add := func(text string) store.Step {
		return func(_ context.Context, s store.Store, last *store.Batch) error {
			p, err := s.Get([]byte("room"), nil)
			last.Put([]byte("room"), append(p, text...))
			return err
		}
	}
	boom := errors.New("boom")
	fail := func(context.Context, store.Store, *store.Batch) error { return boom }
	one := store.Format{Room: "test", Version: 1}
	three := store.Format{Room: "test", Version: 3, Steps: []store.Step{add("+2"), add("+3")}}
	broken := store.Format{Room: "test", Version: 3, Steps: []store.Step{add("+2"), fail}}

	if err := one.Open(ctx, s); err != nil {
		t.Fatal(err)
	}
	put(t, s, "room", "1")
	if err := broken.Open(ctx, s); !errors.Is(err, boom) {
		t.Errorf("a step that fails: %v", err)
	}
	if err := three.Open(ctx, s); err != nil {
		t.Error(err)
	}
	if err := three.Open(ctx, s); err != nil {
		t.Error(err)
	}
	if p, err := s.Get([]byte("room"), nil); err != nil || string(p) != "1+2+3" {
		t.Errorf("after both steps, once each: %q, %v", p, err)
	}
	if err := one.Open(ctx, s); !errors.Is(err, store.ErrNewer) || !strings.Contains(err.Error(), "format 3") {
		t.Errorf("a newer format: %v", err)
	}
	other := store.Format{Room: "other", Version: 2, Steps: []store.Step{fail}}
	if err := other.Open(ctx, s); err != nil {
		t.Errorf("a room that has nothing is not migrated: %v", err)
	}
}
