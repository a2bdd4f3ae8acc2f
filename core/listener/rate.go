package listener

import "time"

// bucket is a token bucket that holds a second's worth. Owned by the accept loop.
type bucket struct {
	every time.Duration // a token; 0: no limit
	burst int64
	next  time.Time // when the bucket has been full since, as if tokens were times
}

func newBucket(perSecond float64, now time.Time) *bucket {
	if perSecond <= 0 {
		return &bucket{}
	}
	every := time.Duration(float64(time.Second) / perSecond)
	return &bucket{every: max(every, 1), burst: max(int64(perSecond), 1), next: now}
}

// take takes a token and returns how long to wait until it may be used.
func (b *bucket) take(now time.Time) time.Duration {
	if b.every == 0 {
		return 0
	}
	if full := now.Add(-time.Duration(b.burst-1) * b.every); b.next.Before(full) {
		b.next = full
	}
	d := b.next.Sub(now)
	b.next = b.next.Add(b.every)
	return max(d, 0)
}
