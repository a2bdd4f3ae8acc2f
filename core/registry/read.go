package registry

import (
	"errors"
	"fmt"
	"sync"

	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
)

// ErrLost comes with messages of which some cannot be understood: they are gone.
var ErrLost = errors.New("a stored message cannot be read")

// readBytes is about how many bytes one Read brings at most.
const readBytes = 256 << 10

// Read reads back messages of places, which are in order, away from the calling
// goroutine, and calls done once, on any goroutine and perhaps before Read returns.
// It brings as many of the first as come to some 256 KiB, at least one; one that is
// gone has no message. After an error that is not ErrLost nothing is known of the
// places, and the messages are still there.
func (c *Client) Read(places []uint64, done func([]session.Loaded, error)) {
	c.reg.background.do(func() {
		done(c.read(places, readBytes))
	})
}

// background are the goroutines that read the disk, so that no event loop waits
// for it. There are only as many as there is work for.
type background struct {
	most int // 0: the caller's goroutine does the work

	mu      sync.Mutex
	work    []func() // guarded by mu; oldest first
	running int      // guarded by mu
}

// do has fn run, soon.
func (g *background) do(fn func()) {
	if g.most == 0 {
		fn()
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.work = append(g.work, fn)
	if g.running < g.most {
		g.running++
		go g.run()
	}
}

// run works until there is nothing to do.
func (g *background) run() {
	for {
		g.mu.Lock()
		if len(g.work) == 0 {
			g.running--
			g.mu.Unlock()
			return
		}
		fn := g.work[0]
		g.work[0] = nil
		g.work = g.work[1:]
		g.mu.Unlock()
		fn()
	}
}

// read is Read on this goroutine, of at most some bytes.
func (c *Client) read(places []uint64, most int) (ms []session.Loaded, err error) {
	d, n := c.durable, len(places)
	if d == nil || n == 0 {
		return nil, nil
	}
	ms = make([]session.Loaded, 0, n)
	size := 0
	gone := func(upTo uint64) {
		for len(ms) < n && places[len(ms)] < upTo {
			l := session.Loaded{}
			l.Seq = places[len(ms)]
			ms = append(ms, l)
		}
	}
	var lost error
	r := store.Range{From: appendPlace(nil, d.sid, places[0]), To: appendPlace(nil, d.sid, places[n-1]+1)}
	err = c.reg.cfg.Journal.Store().Scan(r, func(key, value []byte) bool {
		_, seq, ok := cutPlace(key)
		if !ok {
			lost = fmt.Errorf("%w: key %x", ErrLost, key)
			return true
		}
		gone(seq)
		if len(ms) == n || places[len(ms)] != seq || len(value) == 0 || value[0] != kindMessage {
			return len(ms) < n
		}
		l, bad := session.ReadDelivery(value[1:])
		if bad != nil {
			lost = fmt.Errorf("%w: place %d of %q: %w", ErrLost, seq, c.id, bad)
		}
		l.Seq = seq
		ms = append(ms, l)
		size += len(value)
		return len(ms) < n && size < most
	})
	if err != nil {
		return nil, err
	}
	if size < most {
		gone(places[n-1] + 1)
	}
	return ms, lost
}
