package test

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// pair is a publisher and a subscriber that must not notice what happens to plugins:
// one message after the other, each of which arrives once, in order, on connections
// that are never lost.
type pair struct {
	topic    string
	qos      byte
	to, from *client

	mu   sync.Mutex
	sent int             // guarded by mu
	took []time.Duration // guarded by mu; of a message, to its delivery and acknowledgement
	err  error           // guarded by mu
}

// pairs are the pairs of a test.
type pairs struct {
	b    *broker
	all  []*pair
	stop chan struct{}
	wg   sync.WaitGroup
}

// pairs starts a pair for each topic, at QoS 1 and 2 by turns. prefix is of client ids.
func (b *broker) pairs(prefix string, topics ...string) *pairs {
	b.t.Helper()
	ps := &pairs{b: b, stop: make(chan struct{})}
	for i, topic := range topics {
		p := &pair{topic: topic, qos: byte(1 + i%2), to: b.dial(v5), from: b.dial(v311)}
		p.to.connect(fmt.Sprint(prefix, "-to-", i))
		p.to.subscribe(topic, p.qos)
		p.from.connect(fmt.Sprint(prefix, "-from-", i))
		ps.all = append(ps.all, p)
	}
	for _, p := range ps.all {
		ps.wg.Go(func() { p.run(ps.stop) })
	}
	ps.flows()
	return ps
}

func (p *pair) run(stop chan struct{}) {
	for i := 1; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		start := time.Now()
		err := p.one(i)
		p.mu.Lock()
		p.sent, p.err = i, err
		p.took = append(p.took, time.Since(start))
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// one sends message i and waits for it and for its acknowledgement.
func (p *pair) one(i int) error {
	want := fmt.Sprint(i)
	if err := p.from.trySend(&packet.Publish{Topic: p.topic, Payload: []byte(want), QoS: p.qos, PacketID: uint16(i%60000 + 1)}); err != nil {
		return err
	}
	if err := p.from.await(1); err != nil {
		return fmt.Errorf("%s, message %d at its publisher: %w", p.topic, i, err)
	}
	m, err := p.to.tryMessage()
	if err != nil {
		return fmt.Errorf("%s, message %d at its subscriber: %w", p.topic, i, err)
	}
	if string(m.Payload) != want {
		return fmt.Errorf("%s: got message %s, want %s: lost, repeated or out of order", p.topic, m.Payload, want)
	}
	return nil
}

func (p *pair) state() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent, p.err
}

// flows waits for a message more of each pair, and insists that none has failed.
func (ps *pairs) flows() {
	ps.b.t.Helper()
	for _, p := range ps.all {
		before, _ := p.state()
		ps.b.eventually("messages flow", func() bool {
			now, err := p.state()
			if err != nil {
				ps.b.t.Fatalf("a client that minds its own business: %v", err)
			}
			return now > before
		})
	}
}

// fresh forgets what messages took so far.
func (ps *pairs) fresh() {
	for _, p := range ps.all {
		p.mu.Lock()
		p.took = nil
		p.mu.Unlock()
	}
}

// p99 is what 99 of 100 messages took at most since fresh, and how many there were.
func (ps *pairs) p99() (time.Duration, int) {
	var all []time.Duration
	for _, p := range ps.all {
		p.mu.Lock()
		all = append(all, p.took...)
		p.mu.Unlock()
	}
	if len(all) == 0 {
		return 0, 0
	}
	slices.Sort(all)
	return all[len(all)*99/100], len(all)
}

// end stops the pairs and insists that nothing was lost.
func (ps *pairs) end() {
	ps.b.t.Helper()
	ps.flows()
	close(ps.stop)
	ps.wg.Wait()
	for _, p := range ps.all {
		if _, err := p.state(); err != nil {
			ps.b.t.Errorf("a client that minds its own business: %v", err)
		}
	}
}
