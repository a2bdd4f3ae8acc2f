package plugin

import (
	"context"
	"testing"
	"testing/synctest"
)

// Turns are given in order, no more at a time than there are, and who gives up
// leaves the line without a trace.
func TestHashersAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hashers{free: 1, memory: 100}
		var got []int
		gaveUp, giveUp := context.WithCancel(t.Context())
		first := make(chan struct{})
		for i, bytes := range []int64{10, 90, 100, 10, 10} {
			ctx := t.Context()
			if i == 2 {
				ctx = gaveUp
			}
			go func() {
				if !h.enter(ctx, bytes) {
					got = append(got, -i)
					return
				}
				got = append(got, i)
				if i == 0 {
					<-first
				}
				h.leave(bytes)
			}()
			synctest.Wait()
		}
		if len(got) != 1 || len(h.line) != 4 {
			t.Fatalf("%v have a turn, %d wait", got, len(h.line))
		}
		giveUp()
		synctest.Wait()
		close(first)
		synctest.Wait()
		want := []int{0, -2, 1, 3, 4}
		for i := range want {
			if len(got) != len(want) || got[i] != want[i] {
				t.Fatalf("turns: %v, want %v", got, want)
			}
		}
		if h.free != 1 || h.memory != 100 || len(h.line) != 0 {
			t.Errorf("left: %d turns, %d bytes, %d in the line", h.free, h.memory, len(h.line))
		}
	})
}

// What is larger than all there is gets a turn by itself and stops nobody for ever.
func TestHashersLargest(t *testing.T) {
	h := newHashers()
	if !h.enter(t.Context(), 2*maxHashMemory) {
		t.Fatal("no turn")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if h.enter(ctx, 1) {
		t.Error("a turn beside it")
	}
	h.leave(2 * maxHashMemory)
	if !h.enter(t.Context(), 1) {
		t.Error("no turn behind it")
	}
}
