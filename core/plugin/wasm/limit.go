package wasm

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
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

// culprits are the connections whose records have faulted. One that goes on is not asked
// about for a while, so that a client that has found a poison takes the plugin from
// nobody else: without it the plugin's own bucket would be empty.
type culprits struct {
	some atomic.Bool // a look before mu

	mu    sync.Mutex
	conns map[uint64]culprit // guarded by mu
}

type culprit struct {
	faults int
	last   time.Time // of them
	until  time.Time // not asked before
}

// What a connection may do.
const (
	culpritFree  = 3 // faults without a pause
	culpritPause = 100 * time.Millisecond
	culpritMost  = 10 * time.Second // the longest pause, and after how long faults are forgotten
	maxCulprits  = 4096
)

// fault notes that a record of a connection has faulted by itself.
func (c *culprits) fault(conn uint64, now time.Time) {
	if conn == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.conns) >= maxCulprits {
		maps.DeleteFunc(c.conns, func(_ uint64, p culprit) bool { return now.Sub(p.last) > culpritMost })
	}
	p := c.conns[conn]
	if now.Sub(p.last) > culpritMost {
		p = culprit{}
	}
	p.faults, p.last = p.faults+1, now
	if over := p.faults - culpritFree; over >= 0 {
		p.until = now.Add(min(culpritPause<<min(over, 10), culpritMost))
	}
	if _, known := c.conns[conn]; known || len(c.conns) < maxCulprits {
		if c.conns == nil {
			c.conns = map[uint64]culprit{}
		}
		c.conns[conn] = p
	}
	c.some.Store(true)
}

// paused tells whether a connection is not asked about now.
func (c *culprits) paused(conn uint64) bool {
	if !c.some.Load() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.conns[conn]
	if !ok {
		return false
	}
	now := time.Now()
	if now.Sub(p.last) > culpritMost {
		delete(c.conns, conn)
		c.some.Store(len(c.conns) > 0)
	}
	return now.Before(p.until)
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
