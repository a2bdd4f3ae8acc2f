package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

var pingreq = &packet.Pingreq{}

// handshakes is how many are under way at once, at most.
const handshakes = 256

// run is one run.
type run struct {
	// Immutable after newRun.
	cfg     *Config
	target  *target
	ctx     context.Context // of connections that are being opened
	clock   clock
	number  uint32 // tells runs apart
	workers []*worker
	all     []*client    // in their order
	pubs    []*publisher // by their index
	gate    chan struct{}

	streams sync.WaitGroup

	mu     sync.Mutex // inside a worker's lock
	done   int        // handshakes that have ended, well or not
	faults map[string]int64
	first  error // of a client that did not get ready
	more   chan struct{}
}

// Run carries cfg out. Every second, and when a phase begins, progress is told
// how it goes; nil: nobody. When ctx is done the run ends early and its result is
// of what there was. An error means that there is no result.
func Run(ctx context.Context, cfg Config, progress func(Progress)) (*Result, error) {
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	t, err := resolve(ctx, cfg.Target, cfg.connections(), cfg.Kind == Storm)
	if err != nil {
		return nil, err
	}
	if err := enoughDescriptors(cfg.connections()); err != nil {
		return nil, err
	}
	probe, err := newProbe(cfg.PID)
	if err != nil {
		return nil, err
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	r := &run{
		cfg: &cfg, target: t, ctx: inner, clock: clock{time.Now()}, number: rand.Uint32(),
		gate: make(chan struct{}, handshakes), faults: map[string]int64{}, more: make(chan struct{}, 1),
	}
	stop, err := r.start()
	if err != nil {
		return nil, err
	}
	m := &meter{run: r, probe: probe, progress: progress}
	err = m.measure(ctx)
	for _, w := range r.workers {
		w.hangUp()
	}
	stop()
	cancel()
	r.streams.Wait()
	if err != nil {
		return nil, err
	}
	return m.result, nil
}

// start makes the clients and starts the workers; stop ends those.
func (r *run) start() (stop func(), err error) {
	for range r.cfg.Threads {
		w := &worker{run: r}
		if w.engine, err = newEngine(w); err != nil {
			return nil, fmt.Errorf("start a worker: %w", err)
		}
		r.workers = append(r.workers, w)
	}
	r.enlist()
	quit := make(chan struct{})
	var group sync.WaitGroup
	for _, w := range r.workers {
		group.Go(func() { w.engine.run(quit) })
	}
	return func() {
		close(quit)
		group.Wait()
	}, nil
}

// enlist makes the clients of each kind.
func (r *run) enlist() {
	f, n := &r.cfg.Flow, r.cfg.Clients.Count
	topic := func(standard string) string {
		if f.Topic != "" {
			return f.Topic
		}
		return fmt.Sprintf("bench/%08x/%s", r.number, standard)
	}
	switch r.cfg.Kind {
	case Conn:
		r.each(n, "", func(*client) {})
	case Pub:
		r.each(n, "", func(c *client) { r.publishes(c, f.Topic) })
	case Sub:
		r.each(n, "", func(c *client) { c.subscribes(f.Topic) })
	case Storm:
		r.each(n, "", func(c *client) { c.subscribes(topic("%i")); r.publishes(c, topic("%i")) })
	case P2P:
		r.each(n, "-s", func(c *client) { c.subscribes(topic("%i")) })
		r.each(n, "-p", func(c *client) { r.publishes(c, topic("%i")) })
	case Fan:
		if f.In {
			r.each(1, "-s", func(c *client) { c.subscribes(widen(topic("%i"))) })
			r.each(n, "-p", func(c *client) { r.publishes(c, topic("%i")) })
		} else {
			r.each(n, "-s", func(c *client) { c.subscribes(topic("all")) })
			r.each(1, "-p", func(c *client) { r.publishes(c, topic("all")).fan = uint64(n) })
		}
	}
	if f.Limit > 0 {
		r.limit(f.Limit)
	}
}

// limit spreads the messages to publish over the publishers.
func (r *run) limit(n uint64) {
	each, more := n/uint64(len(r.pubs)), n%uint64(len(r.pubs))
	for i, p := range r.pubs {
		p.most = each
		if uint64(i) < more {
			p.most++
		}
		p.none = p.most == 0
	}
}

// each makes n clients and spreads them over the workers.
func (r *run) each(n int, suffix string, role func(*client)) {
	prefix := r.cfg.Clients.Prefix
	if prefix == "" {
		prefix = fmt.Sprintf("bench-%08x", r.number)
	}
	for i := range n {
		number := r.cfg.Clients.Start + i
		name := naming{number: number, id: fmt.Sprintf("%s%s-%d", prefix, suffix, number)}
		name.user = name.fill(r.cfg.Clients.Username)
		w := r.workers[i%len(r.workers)]
		c := &client{worker: w, name: name}
		w.clients = append(w.clients, c)
		r.all = append(r.all, c)
		role(c)
	}
}

func (r *run) publishes(c *client, topic string) *publisher {
	p := newPublisher(c, uint32(len(r.pubs)), c.name.fill(topic))
	c.pub = p
	r.pubs = append(r.pubs, p)
	c.worker.publishers = append(c.worker.publishers, p)
	return p
}

// widen makes a filter of a topic: each level that differs among clients is open.
func widen(topic string) string {
	levels := strings.Split(topic, "/")
	for i, l := range levels {
		if strings.Contains(l, "%") {
			levels[i] = "+"
		}
	}
	return strings.Join(levels, "/")
}

// publisherOf is the run's own publisher of a message; nil: another's.
func (r *run) publisherOf(s stamp) *publisher {
	if s.run != r.number || int(s.publisher) >= len(r.pubs) {
		return nil
	}
	return r.pubs[s.publisher]
}

// errAborted is why a run without all its clients ends.
var errAborted = errors.New("a client is missing")

// connect opens all connections and returns when each is ready or has failed.
func (r *run) connect(ctx context.Context, each func()) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	began := time.Now()
	begun, all := 0, len(r.all)
	for {
		r.mu.Lock()
		done, first := r.done, r.first
		r.mu.Unlock()
		switch {
		case first != nil && r.cfg.Kind != Conn && r.cfg.Kind != Pub && r.cfg.Kind != Sub:
			return fmt.Errorf("%w: %w", errAborted, first)
		case done == all:
			return nil
		}
		var gate chan<- struct{}
		var pace <-chan time.Time
		if begun < all {
			if wait := r.turn(begun, began); wait <= 0 {
				gate = r.gate
			} else {
				pace = time.After(wait)
			}
		}
		select {
		case gate <- struct{}{}:
			c := r.all[begun]
			begun++
			c.worker.mu.Lock()
			c.worker.begin(c)
			c.worker.mu.Unlock()
		case <-pace:
		case <-r.more:
		case <-ticker.C:
			each()
		case <-ctx.Done():
			return nil
		}
	}
}

// turn is how long the n-th connection has to wait for its turn.
func (r *run) turn(n int, began time.Time) time.Duration {
	if r.cfg.Pace.ConnRate == 0 {
		return 0
	}
	return time.Until(began.Add(time.Duration(float64(n) / r.cfg.Pace.ConnRate * 1e9)))
}

// arrived counts a client that is ready.
func (r *run) arrived() { r.settle(nil) }

// failed counts a client that did not get ready.
func (r *run) failed(err error) {
	r.note(err)
	r.settle(err)
}

func (r *run) settle(err error) {
	r.mu.Lock()
	r.done++
	if r.first == nil {
		r.first = err
	}
	r.mu.Unlock()
	select {
	case <-r.gate:
	default:
	}
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// maxFaults bounds how many different faults are told.
const maxFaults = 20

// note counts why a client has failed or ended.
func (r *run) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := err.Error()
	if _, ok := r.faults[text]; !ok && len(r.faults) >= maxFaults {
		text = "other faults"
	}
	r.faults[text]++
}
