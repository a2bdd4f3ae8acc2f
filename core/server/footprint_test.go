package server

import (
	"testing"
)

// Memory is given back when many clients have come and no more are coming, once,
// and again when those have gone and others have come.
func TestFootprintIsDueAfterARamp(t *testing.T) {
	f := newFootprint(nil)
	for i, step := range []struct {
		open int
		due  bool
	}{
		{0, false}, {999, false}, {999, false}, // too few
		{5000, false}, {9000, false}, {9000, true}, {9000, false}, // a ramp, its end, done
		{9050, false}, {10_100, false}, {10_100, false}, // more, but less than a quarter of all
		{12_500, false}, {12_510, true}, {12_510, false},
		{100, false}, {1200, false}, {1200, true}, // all have gone, others have come
	} {
		if got := f.due(step.open); got != step.due {
			t.Errorf("step %d, %d open: due is %v", i, step.open, got)
		}
	}
}
