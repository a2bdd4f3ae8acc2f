package registry

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/dunlinmq/dunlin/core/message"
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
func (c *Client) read(places []uint64, most int) ([]session.Loaded, error) {
	d := c.durable
	if d == nil || len(places) == 0 {
		return nil, nil
	}
	r := fetch{c: c, places: places, ms: make([]session.Loaded, len(places))}
	for i, seq := range places {
		r.ms[i].Seq = seq
	}
	r.blocks, r.lost = c.blocksOf(places)
	for i := range places {
		k := r.blocks[i]
		if k == nil || r.ms[i].Msg != nil {
			continue
		}
		if r.size >= most {
			r.ms = r.ms[:i]
			break
		}
		if err := r.read(k); err != nil {
			return nil, err
		}
	}
	return r.ms, r.lost
}

// blocksOf is the block of each place; nil: it is over. One that is over may have
// the block of its neighbours: nobody waits for it any more.
func (c *Client) blocksOf(places []uint64) (ks []*block, err error) {
	ks = make([]*block, len(places))
	c.mu.Lock()
	defer c.mu.Unlock()
	l := &c.durable.backlog
	runs := l.runs
	for i, seq := range places {
		at := runOf(runs, seq)
		switch {
		case at < 0 && !l.isOver(seq):
			err = fmt.Errorf("%w: place %d of %q is in no block", ErrLost, seq, c.id)
		case at >= 0 && runs[at].live > 0:
			ks[i], runs = runs[at].block, runs[at:]
		}
	}
	return ks, err
}

// fetch is a read under way.
type fetch struct {
	c      *Client
	places []uint64
	blocks []*block
	ms     []session.Loaded
	size   int
	buf    []byte
	slab   message.Slab
	lost   error
}

// read brings what a block has of the places, and makes none ask for it again.
func (r *fetch) read(k *block) error {
	v, err := r.c.reg.cfg.Journal.Store().Get(appendBlock(nil, k.no), r.buf[:0])
	for i := range r.blocks {
		if r.blocks[i] == k {
			r.blocks[i] = nil
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r.buf = v
	err = eachPlace(v, func(p *placed) {
		if p.sid != r.c.durable.sid {
			return
		}
		i, ok := slices.BinarySearch(r.places, p.seq)
		if !ok {
			return
		}
		r.ms[i] = p.loaded(&r.slab)
		r.size += p.msg.Size()
	})
	if err != nil {
		r.lost = fmt.Errorf("%w: block %d with places of %q: %w", ErrLost, k.no, r.c.id, err)
	}
	return nil
}
