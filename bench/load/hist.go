package load

import (
	"math/bits"
	"time"
)

// Each power of two of nanoseconds has 2^histBits buckets: a quantile is at most
// 1.6 % too small.
const histBits = 6

// hist counts durations.
type hist struct {
	buckets [(64 - histBits) << histBits]uint64
	n       uint64
	sum     float64
	max     int64
}

func (h *hist) add(d int64) {
	d = max(d, 0)
	h.buckets[bucket(uint64(d))]++
	h.n++
	h.sum += float64(d)
	h.max = max(h.max, d)
}

func bucket(v uint64) int {
	shift := max(bits.Len64(v)-histBits-1, 0)
	return shift<<histBits + int(v>>shift)
}

// least is the smallest value of a bucket.
func least(b int) int64 {
	shift := max(b>>histBits-1, 0)
	return int64(b-shift<<histBits) << shift
}

func (h *hist) merge(o *hist) {
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
	h.n += o.n
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// quantile is the duration that q of all are not longer than; 0: there is none.
func (h *hist) quantile(q float64) time.Duration {
	left := uint64(q * float64(h.n))
	for b, n := range h.buckets {
		if left < n {
			return time.Duration(min(least(b), h.max))
		}
		left -= n
	}
	return time.Duration(h.max)
}

// latency is the quantiles people ask for, in microseconds.
func (h *hist) latency() Latency {
	us := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
	l := Latency{P50: us(h.quantile(0.5)), P99: us(h.quantile(0.99)), P999: us(h.quantile(0.999)), Max: us(time.Duration(h.max))}
	if h.n > 0 {
		l.Mean = h.sum / float64(h.n) / 1e3
	}
	return l
}
