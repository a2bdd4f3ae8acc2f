package wasm

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// What a plugin may cost beside its calls.
const (
	faultBurst, faultRate = 100, 10              // tokens, and how many come back a second
	faultTime             = 5 * time.Millisecond // of a fault, for one token more
	faultMost             = 20                   // tokens of one fault: the machine may be slow
	maxText               = 4 << 10              // bytes of a log line or of an error
)

// bucket is the token bucket of a plugin's faults.
type bucket struct {
	mu     sync.Mutex
	tokens float64
	last   time.Time
}

// charge takes the tokens of a fault: one, and more by how long it took. The
// bucket may go into debt.
func (b *bucket) charge(took time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill(time.Now(), faultRate, faultBurst)
	b.tokens -= min(1+float64(took)/float64(faultTime), faultMost)
}

// empty tells whether no fault can be afforded now.
func (b *bucket) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill(time.Now(), faultRate, faultBurst)
	return b.tokens < 0
}

// fill adds what has accrued. mu is held.
func (b *bucket) fill(now time.Time, rate, burst float64) {
	if !b.last.IsZero() {
		b.tokens = min(burst, b.tokens+rate*now.Sub(b.last).Seconds())
	}
	b.last = now
}

// clean makes what a guest said fit for a log: valid UTF-8 without control
// characters, at most limit bytes.
func clean(b []byte, limit int) string {
	cut := ""
	if len(b) > limit {
		cut = fmt.Sprintf("... (%d bytes)", len(b))
		for i := 1; i < utf8.UTFMax && limit > 0 && !utf8.RuneStart(b[limit]); i++ {
			limit-- // not within a character
		}
		b = b[:limit]
	}
	text := strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r == 0x7f:
			return '?'
		}
		return r
	}, strings.ToValidUTF8(string(b), "?"))
	return strings.TrimSpace(text) + cut
}

// head keeps the first bytes that a guest wrote to stderr in one call: the
// reason stands before the stack trace.
type head struct{ b []byte }

func (h *head) reset() { h.b = h.b[:0] }

func (h *head) write(p []byte) {
	if room := 512 - len(h.b); room > 0 {
		h.b = append(h.b, p[:min(room, len(p))]...)
	}
}

func (h *head) text() string { return clean(h.b, 512) }
