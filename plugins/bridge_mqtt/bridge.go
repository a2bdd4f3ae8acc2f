//go:build !wasip1

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
)

// bridge is one bridge with its connections.
type bridge struct {
	// Immutable.
	name  string
	set   *settings
	count counts
	links []*link

	queue *buffer.Queue // set before ready, once
	told  func()        // set before ready: what is full has changed
	full  atomic.Bool   // its publishers are refused
	twice atomic.Bool   // there is no kv:durable: messages with QoS 2 may come in twice
	ready atomic.Bool
	on    atomic.Bool // started: messages are queued

	mu sync.Mutex // held while it starts and stops
	// Guarded by mu.
	stop context.CancelFunc // nil: it does not run
	done sync.WaitGroup
}

// counts are of this process, since the bridge's configuration was changed.
type counts struct {
	queued, sent, received            atomic.Uint64
	dropped, expired, refused, looped atomic.Uint64
}

func newBridge(name string, s *settings) *bridge {
	b := &bridge{name: name, set: s}
	for i := range s.Connections {
		id := s.ClientID
		if i > 0 {
			id = fmt.Sprintf("%s-%d", id, i)
		}
		b.links = append(b.links, &link{bridge: b, id: id, sends: i == 0, flight: newFlight()})
	}
	return b
}

// open gives the bridge its queue. It is called before the first start, and again
// without an effect.
func (b *bridge) open(buf *buffer.Buffer, told func()) error {
	if b.queue != nil {
		return nil
	}
	q, err := buf.Queue(b.name, b.set.limit())
	if err != nil {
		return err
	}
	b.queue, b.told = q, told
	b.fills()
	b.ready.Store(true)
	return nil
}

// start connects; false: it has been started.
func (b *bridge) start() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.on.Load() || !b.ready.Load() {
		return false
	}
	b.run()
	return true
}

// run connects. mu is held.
func (b *bridge) run() {
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.on.Store(true)
	for _, l := range b.links {
		b.done.Go(func() { l.run(ctx) })
	}
}

// halt disconnects and waits; false: it was not started. What is queued stays.
func (b *bridge) halt() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop == nil {
		return false
	}
	b.stop()
	b.done.Wait()
	b.stop = nil
	b.on.Store(false)
	return true
}

// follow takes the place of a bridge of the same name and of its queue; before may be
// nil. Messages are queued from now on, and it connects when the one before has gone.
func (b *bridge) follow(before *bridge) {
	b.mu.Lock()
	b.on.Store(*b.set.Start)
	go func() {
		defer b.mu.Unlock()
		if before != nil {
			before.halt()
		}
		if *b.set.Start {
			b.run()
		}
	}()
}

// leave ends a bridge that is not configured any more.
func (b *bridge) leave() {
	b.halt()
	if n, size := b.queue.Len(); n > 0 {
		sdk.Log(sdk.Warn, fmt.Sprintf("bridge %s: it is gone from the configuration, its %d messages (%d bytes) stay until there is a bridge of the name again", b.name, n, size))
	}
}

// connected tells whether the connection that sends is there.
func (b *bridge) connected() bool { return b.links[0].there.Load() }

// status is what an operator sees of a bridge.
type status struct {
	Name     string        `json:"name"`
	State    string        `json:"state"` // stopped, connecting, connected
	Address  string        `json:"address"`
	Protocol string        `json:"protocol"`
	Links    []linkStatus  `json:"connections"`
	Topics   []topicStatus `json:"topics"`
	Waiting  int           `json:"waiting"` // records in the queue
	Bytes    int64         `json:"bytes"`
	MaxBytes int64         `json:"max_bytes"`
	Queued   uint64        `json:"queued"`
	Sent     uint64        `json:"sent"`
	Received uint64        `json:"received"`
	Dropped  uint64        `json:"dropped"`
	Expired  uint64        `json:"expired"`
	Refused  uint64        `json:"refused"`
	Looped   uint64        `json:"looped"`
	Full     bool          `json:"full"` // publishers are refused
}

type linkStatus struct {
	ClientID string    `json:"client_id"`
	Up       bool      `json:"up"`
	Since    time.Time `json:"since"`
	Address  string    `json:"address"` // of the present or the next connection
	Error    string    `json:"error,omitempty"`
}

type topicStatus struct {
	Direction string `json:"direction"`
	QoS       byte   `json:"qos"`
	Local     string `json:"local"`
	Remote    string `json:"remote"`
}

func (b *bridge) status() status {
	s, c := b.set, &b.count
	st := status{
		Name: b.name, State: "stopped", Address: s.targets[0].text, Protocol: map[bool]string{true: "5.0", false: "3.1.1"}[s.version == 5], MaxBytes: s.QueueBytes,
		Queued: c.queued.Load(), Sent: c.sent.Load(), Received: c.received.Load(), Dropped: c.dropped.Load(),
		Expired: c.expired.Load(), Refused: c.refused.Load(), Looped: c.looped.Load(), Full: b.full.Load() && b.on.Load(),
	}
	if b.on.Load() {
		st.State = "connected"
	}
	for _, l := range b.links {
		l.mu.Lock()
		st.Links = append(st.Links, linkStatus{l.id, l.up, l.since, l.at, l.err})
		if !l.up && st.State == "connected" {
			st.State = "connecting"
		}
		l.mu.Unlock()
	}
	for i := range s.Topics {
		r := &s.Topics[i]
		st.Topics = append(st.Topics, topicStatus{r.Direction, *r.QoS, r.local(), r.remote()})
	}
	if b.ready.Load() {
		st.Waiting, st.Bytes = b.queue.Len()
	}
	return st
}
