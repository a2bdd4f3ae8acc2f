package plugin

import (
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Log lines of one plugin: what it says and what is said about it.
const (
	logRate  = 100 // a second
	logBurst = 500
)

// limited returns a logger that passes logRate lines a second on, with bursts
// of logBurst, and says how many it kept back.
func limited(l *zap.Logger, now func() time.Time) *zap.Logger {
	return l.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core {
		return rated{c, &bucket{now: now, tokens: logBurst, last: now()}}
	}))
}

// bucket is the token bucket that all loggers of one plugin share.
type bucket struct {
	now func() time.Time

	mu     sync.Mutex
	tokens float64
	last   time.Time
	kept   int // back since the last line that passed
}

// take tells whether a line may pass, and how many were kept back before it.
func (b *bucket) take() (kept int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.tokens = min(logBurst, b.tokens+now.Sub(b.last).Seconds()*logRate)
	b.last = now
	if b.tokens < 1 {
		b.kept++
		return 0, false
	}
	b.tokens--
	kept, b.kept = b.kept, 0
	return kept, true
}

// rated is a core with a rate limit.
type rated struct {
	zapcore.Core
	bucket *bucket
}

// With keeps the limit.
func (r rated) With(f []zapcore.Field) zapcore.Core { return rated{r.Core.With(f), r.bucket} }

// Check adds the core unless the level is off; the limit is Write's, so that
// only lines that would be written count.
func (r rated) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if r.Enabled(e.Level) {
		return c.AddCore(e, r)
	}
	return c
}

// Write passes a line on or counts it.
func (r rated) Write(e zapcore.Entry, f []zapcore.Field) error {
	kept, ok := r.bucket.take()
	if !ok {
		return nil
	}
	if kept > 0 {
		f = append(f[:len(f):len(f)], zap.Int("suppressed", kept))
	}
	return r.Core.Write(e, f)
}
