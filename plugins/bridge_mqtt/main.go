//go:build !wasip1

// Package main is the bridge_mqtt plugin: it connects this broker with others and
// carries messages out and in. What goes out waits in a queue on the disk; what comes
// in is acknowledged when this broker has it. It is a process, and speaks MQTT by the
// broker's own codec: one code for both versions, with mosquitto's bridge bit, that
// no client library has.
package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Plugin is all bridges.
type Plugin struct {
	// Immutable once configured.
	bridges map[string]*bridge
	names   []string // in order

	disk struct {
		sync.Mutex
		buf *buffer.Buffer // nil: not open yet
	}

	// Owned by the handlers.
	tx    *buffer.Tx
	full  error // why the frame is not taken
	ready bool  // the queues are open
}

var _ = sdk.Register(&Plugin{})

func main() { sdk.Main() }

// Configure reads all bridges. They connect once the queues are open: a process that
// is being replaced has them until it ends.
func (p *Plugin) Configure(text []byte) error {
	all, err := parse(text, sdk.Node(), sdk.ConfigDir())
	if err != nil {
		return err
	}
	p.bridges, p.names = map[string]*bridge{}, slices.Sorted(maps.Keys(all))
	var wanted []string
	for name, s := range all {
		p.bridges[name] = newBridge(name, s)
		for i := range s.Topics {
			if r := &s.Topics[i]; r.out() && !slices.Contains(wanted, r.local()) {
				wanted = append(wanted, r.local())
			}
		}
	}
	if err := sdk.Want(contract.HookMessage, wanted); err != nil {
		return fmt.Errorf("topics: %w", err)
	}
	go p.open()
	return nil
}

// openPause is how long the queues are left to the process before this one.
const openPause = 50 * time.Millisecond

// open opens the queues and starts the bridges.
func (p *Plugin) open() {
	for said := false; ; said = true {
		err := p.tryOpen()
		if err == nil {
			break
		}
		if !said {
			sdk.Log(sdk.Info, "bridges wait for their queues: "+err.Error())
		}
		time.Sleep(openPause)
	}
	for _, name := range p.names {
		if b := p.bridges[name]; *b.set.Start {
			b.start()
		}
	}
}

func (p *Plugin) tryOpen() error {
	buf, err := buffer.Open(filepath.Join(sdk.DataDir(), "queues"))
	if err != nil {
		return err
	}
	for name, b := range p.bridges {
		q, err := buf.Queue(name, b.set.QueueBytes)
		if err != nil {
			return errors.Join(err, buf.Close())
		}
		b.mu.Lock()
		b.queue = q
		b.mu.Unlock()
	}
	p.disk.Lock()
	defer p.disk.Unlock()
	p.disk.buf = buf
	return nil
}

// opened is the buffer; nil: not yet.
func (p *Plugin) opened() *buffer.Buffer {
	p.disk.Lock()
	defer p.disk.Unlock()
	return p.disk.buf
}

var errClosed = errors.New("the queues are not open yet")

// OnMessage puts a message into the queues of the bridges that it is for.
func (p *Plugin) OnMessage(e *sdk.MessageEvent) sdk.Verdict {
	if p.full != nil {
		return sdk.Verdict{}
	}
	buf := p.opened()
	if buf == nil {
		p.full = errClosed
		return sdk.Verdict{}
	}
	topic := e.Topic()
	for _, name := range p.names {
		b := p.bridges[name]
		remote, most, ok := outward(b.set.Topics, topic)
		if !ok || !b.started() || e.QoS() == 0 && !b.set.QueueQoS0 && !b.connected() {
			continue
		}
		if n, _ := passed(e.PropsBytes()); n >= b.set.MaxHops {
			b.count.looped.Add(1)
			continue
		}
		m := outgoing{topic: remote, payload: e.PayloadBytes(), props: e.PropsBytes(), qos: min(e.QoS(), most), retain: e.Retain()}
		if left, expires := e.Expiry(); expires {
			m.expiry = e.Time().Add(left).UnixNano()
		}
		if p.tx == nil {
			p.tx = buf.Begin()
		}
		p.queue(b, &m)
	}
	return sdk.Verdict{}
}

// queue adds a message to a bridge's queue. One that is full holds up the broker's log
// with the whole frame, or loses the message, as the operator wants it.
func (p *Plugin) queue(b *bridge, m *outgoing) {
	err := p.tx.Add(b.queue, m.record())
	switch {
	case err == nil:
		b.count.queued.Add(1)
	case b.set.QueueFull == "drop" || m.qos == 0:
		b.count.dropped.Add(1)
	default:
		p.full = fmt.Errorf("the queue of the bridge %s is full: is %s down? queue_bytes and queue_full are its settings", b.name, b.set.Address)
	}
}

// AfterFrame makes what a frame has brought safe.
func (p *Plugin) AfterFrame() error {
	tx, full := p.tx, p.full
	p.tx, p.full = nil, nil
	switch {
	case tx == nil:
		return full
	case full != nil:
		tx.Cancel()
		return full
	}
	return tx.Commit()
}

// find returns a bridge by its name.
func (p *Plugin) find(name string) (*bridge, error) {
	b := p.bridges[name]
	if b == nil {
		return nil, &sdk.CommandError{Kind: sdk.ErrNotFound, Text: fmt.Sprintf("there is no bridge %q; there are: %s", name, strings.Join(p.names, ", "))}
	}
	return b, nil
}
