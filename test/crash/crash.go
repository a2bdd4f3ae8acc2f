// Package crash kills a real broker again and again under clients that keep
// their side of MQTT's promises, and counts what the broker owes: messages that
// were acknowledged and not delivered, QoS 2 messages that came twice, messages
// that came before those that were sent before them, retained messages and
// subscriptions that are not what was acknowledged, sessions that are gone.
// It refuses to know the broker's inside: it speaks MQTT to it, and asks
// `dunlin ctl` what is subscribed.
package crash

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Config is how a run goes.
type Config struct {
	Binary     string // the broker's
	Home       string // its home directory, made by the run; a short path
	Plugins    string // directory of built plugins; "": no retainer, no retained messages
	Cache      string // of compiled plugins
	Durability string // async or sync
	Kills      int    // of the broker
	Messages   int64  // go on until so many are acknowledged, also after the last kill
	Writers    int    // half of them with QoS 1, half with QoS 2
	Readers    int
	MaxUp      time.Duration // the longest time between the start of the broker and the next kill
	Seed       uint64
	Cut        int           // one packet in so many makes a client cut its connection; 0: 20,000
	Lag        time.Duration // readers wait so long after every 32nd message, so that a backlog grows
	Log        func(format string, args ...any)
}

// Summary is what a run has counted.
type Summary struct {
	Kills        int
	Acknowledged int64 // publications
	Sent         int64 // publications, repetitions included
	Delivered    int64 // to all readers, duplicates included
	Lost         int64 // acknowledged and not delivered, over all readers
	Duplicates1  int64 // QoS 1: allowed
	Duplicates2  int64 // QoS 2: not allowed
	Disorder     int64 // numbers that came before smaller ones did for the first time
	Sessions     int64 // that were gone after a kill
	Retained     int64 // retained messages that were not what was acknowledged
	RetainedOK   int64 // that were
	Subscribed   int64 // subscriptions that were not what was acknowledged
	SubscribedOK int64
	Panics       int64         // that the broker's log has
	Cut          int64         // connections that clients cut
	Recovery     time.Duration // longest, from the start of the process to the first CONNACK
	Took         time.Duration
	First        []string // what was wrong first
}

// Bad is how many promises were broken.
func (s *Summary) Bad() int64 {
	return s.Lost + s.Duplicates2 + s.Disorder + s.Sessions + s.Retained + s.Subscribed + s.Panics
}

// String is the summary in lines.
func (s *Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d kills of the broker, %d connections cut by clients, %s; longest recovery %s\n", s.Kills, s.Cut, s.Took.Round(time.Second), s.Recovery.Round(time.Millisecond))
	fmt.Fprintf(&b, "%d publications acknowledged (%d sent), %d deliveries\n", s.Acknowledged, s.Sent, s.Delivered)
	fmt.Fprintf(&b, "acknowledged and not delivered %d\nQoS 2 duplicates %d\norder violations %d\nsessions lost %d\n", s.Lost, s.Duplicates2, s.Disorder, s.Sessions)
	fmt.Fprintf(&b, "retained messages wrong %d (right %d)\nsubscriptions wrong %d (right %d)\n", s.Retained, s.RetainedOK, s.Subscribed, s.SubscribedOK)
	fmt.Fprintf(&b, "QoS 1 duplicates %d (allowed)\n", s.Duplicates1)
	for _, f := range s.First {
		fmt.Fprintf(&b, "! %s\n", f)
	}
	return b.String()
}

// tally is the summary while it is counted.
type tally struct {
	mu sync.Mutex
	Summary
}

func (t *tally) add(n *int64, by int64) {
	t.mu.Lock()
	*n += by
	t.mu.Unlock()
}

// wrong counts a broken promise and keeps the first few in words.
func (t *tally) wrong(n *int64, by int64, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*n += by
	if len(t.First) < 20 {
		t.First = append(t.First, fmt.Sprintf(format, args...))
	}
}

// Run runs the broker and the clients. An error says that the run could not be
// done; what the broker did wrong is in the summary.
func Run(ctx context.Context, cfg Config) (*Summary, error) {
	began := time.Now()
	cfg.Cut = cmp.Or(cfg.Cut, cutOne)
	t := new(tally)
	b, err := newBroker(cfg)
	if err == nil {
		defer b.kill()
		_, err = b.start(ctx)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	rng := rand.New(rand.NewPCG(cfg.Seed, 1))

	readers := make([]*reader, cfg.Readers)
	for i := range readers {
		readers[i] = newReader(b, t, i)
		if err := readers[i].subscribe(ctx); err != nil {
			return nil, err
		}
	}
	writers := make([]*writer, cfg.Writers)
	for i := range writers {
		writers[i] = newWriter(b, t, i, rand.New(rand.NewPCG(cfg.Seed, uint64(200+i))))
	}
	var writing, others sync.WaitGroup
	stopWriting, endWriting := context.WithCancel(ctx)
	stopOthers, endOthers := context.WithCancel(ctx)
	defer endWriting()
	defer endOthers()
	for _, w := range writers {
		writing.Go(func() { w.run(ctx, stopWriting.Done()) })
	}
	for _, r := range readers {
		others.Go(func() { r.run(stopOthers) })
	}
	k := newKeeper(b, t, cfg.Plugins != "", rand.New(rand.NewPCG(cfg.Seed, 2)))
	keeping, endKeeping := context.WithCancel(ctx)
	defer endKeeping()
	var kept sync.WaitGroup
	kept.Go(func() { k.run(ctx, keeping.Done()) })

	err = killing(ctx, cfg, b, t, rng)
	endWriting()
	endKeeping()
	if err == nil {
		err = settle(ctx, &writing, &kept, writers, readers)
	}
	cancel(err)
	writing.Wait()
	others.Wait()
	kept.Wait()
	account(t, writers, readers)
	b.look(t)
	t.Took = time.Since(began)
	return &t.Summary, err
}

// killing kills the broker and starts it again, and waits for the messages.
func killing(ctx context.Context, cfg Config, b *broker, t *tally, rng *rand.Rand) error {
	for n := range cfg.Kills {
		if err := wait(ctx, 50*time.Millisecond+time.Duration(rng.Int64N(int64(cfg.MaxUp)))); err != nil {
			return err
		}
		b.kill()
		took, err := b.start(ctx)
		if err != nil {
			return fmt.Errorf("start %d of the broker: %w", n+2, err)
		}
		t.mu.Lock()
		t.Kills++
		t.Recovery = max(t.Recovery, took)
		bad, acked, behind := t.Bad(), t.Acknowledged, t.Acknowledged-t.Delivered/int64(max(1, cfg.Readers))
		t.mu.Unlock()
		if cfg.Log != nil && n%10 == 9 {
			cfg.Log("%d kills, %d publications acknowledged, readers some %d behind, %d promises broken", n+1, acked, max(0, behind), bad)
		}
	}
	for {
		t.mu.Lock()
		done := t.Acknowledged >= cfg.Messages
		t.mu.Unlock()
		if done {
			return nil
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// patience is how long a run waits for what is still owed at its end.
const patience = 60 * time.Second

// settle waits until the writers have all acknowledgements and the readers all
// messages, or nothing more comes.
func settle(ctx context.Context, writing, kept *sync.WaitGroup, writers []*writer, readers []*reader) error {
	done := make(chan struct{})
	go func() {
		writing.Wait()
		kept.Wait()
		close(done)
	}()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		return fmt.Errorf("the broker has not acknowledged everything within %s", patience)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	least := int64(-1)
	for until := time.Now().Add(patience); time.Now().Before(until); {
		owed := int64(0)
		for _, r := range readers {
			owed += r.owed(writers)
		}
		if owed == 0 {
			return nil
		}
		if least < 0 || owed < least {
			least, until = owed, time.Now().Add(patience) // it goes on
		}
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// account counts what is owed at the end.
func account(t *tally, writers []*writer, readers []*reader) {
	for _, r := range readers {
		if n := r.owed(writers); n > 0 {
			t.wrong(&t.Lost, n, "%s has not got %d acknowledged messages", r.id, n)
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
