package channel

import (
	"math"
	"sync"
	"testing"
	"time"
)

// A reader is called again up to a timer's tick too late. The rate holds within
// one in a thousand all the same, for every period that a zone may have.
func TestBucketIsExactWithALateTimer(t *testing.T) {
	const tick = int64(100 * time.Millisecond)
	for _, r := range []Rate{
		{1, time.Second}, {7, time.Second}, {100, time.Second}, {100, 10 * time.Second},
		{100 << 10, 10 * time.Second}, {1_000_000, time.Second}, {3, time.Minute},
	} {
		begin := time.Now().UnixNano()
		now, end := begin, begin+int64(10*time.Minute)
		b := newBucket(r, now)
		taken := int64(0)
		for now < end {
			step := int64(1)
			if r.Limit > 1000 {
				step = r.Limit / 1000 // packets of many bytes
			}
			for b.wait(r, now) == 0 {
				b.take(float64(step))
				taken += step
			}
			now += b.wait(r, now)
			now = (now + tick - 1) / tick * tick // the wheel's resolution
		}
		want := float64(r.Limit) + float64(r.Limit)*float64(now-begin)/float64(r.Per)
		if off := math.Abs(float64(taken)-want) / want; off > 0.001 && math.Abs(float64(taken)-want) > 2 {
			t.Errorf("%+v: %d taken in %v, want %.0f: off by %.2f %%", r, taken, time.Duration(now-begin), want, 100*off)
		}
	}
}

func TestBucketDebt(t *testing.T) {
	r := Rate{10, time.Second}
	b := newBucket(r, 0)
	b.take(30)
	if got, want := b.wait(r, 0), int64(2100*time.Millisecond); got != want {
		t.Errorf("wait %v, want %v", time.Duration(got), time.Duration(want))
	}
	if got := b.wait(r, int64(2100*time.Millisecond)); got != 0 {
		t.Errorf("wait %v after the wait", time.Duration(got))
	}
	b.take(-100)
	if b.wait(r, int64(2200*time.Millisecond)); b.tokens != 10 {
		t.Errorf("%v tokens in a bucket of 10", b.tokens)
	}
	b.wait(r, 0) // a clock that steps back fills nothing twice
	if b.at != int64(2200*time.Millisecond) {
		t.Errorf("the bucket went back to %v", time.Duration(b.at))
	}
}

// The bucket of a zone counts each token once, whoever takes it.
func TestSharedBucket(t *testing.T) {
	r := Rate{1000, time.Hour}
	s := &shared{bucket: newBucket(r, 0)}
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			for range 200 {
				s.wait(r, 0)
				s.take(1)
			}
		})
	}
	g.Wait()
	if s.bucket.tokens != 200 {
		t.Errorf("%v tokens are left", s.bucket.tokens)
	}
}

// A zone without limits costs its connections nothing but a pointer.
func TestNoLimitsNoBuckets(t *testing.T) {
	z := new(Zone)
	if z.newRates(1) != nil {
		t.Error("buckets without limits")
	}
	var r *rates
	r.spend(nil, 1)
	if r.pausedUntil(1) != 0 {
		t.Error("paused without limits")
	}
	z.Limits.Routing = Rate{1, time.Second}
	if z.newRates(1) == nil {
		t.Error("no buckets with a limit")
	}
}
