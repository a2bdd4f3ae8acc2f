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
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
)

// Plugin is all bridges.
type Plugin struct {
	set atomic.Pointer[bridges] // changed by Configure and Reconfigure only

	disk struct {
		sync.Mutex
		buf *buffer.Buffer // nil: not open yet
	}

	// Owned by whoever runs between and in the frames.
	now  *bridges // of the present frame; nil: none of its messages was looked at
	tx   *buffer.Tx
	full error              // why the frame is not taken
	gone map[string]*bridge // bridges that are not configured any more
	seen seen

	room room
}

var _ = sdk.Register(&Plugin{})

func main() { sdk.Main() }

// openPause is how long the queues are left to the process before this one.
const openPause = 50 * time.Millisecond

// open opens the queues and starts the bridges.
func (p *Plugin) open() {
	for said := false; ; said = true {
		err := p.tryOpen()
		if err == nil {
			return
		}
		if !said {
			sdk.Log(sdk.Info, "bridges wait for their queues: "+err.Error())
		}
		time.Sleep(openPause)
	}
}

func (p *Plugin) tryOpen() error {
	buf, err := buffer.Open(filepath.Join(sdk.DataDir(), "queues"))
	if err != nil {
		return err
	}
	p.disk.Lock()
	defer p.disk.Unlock()
	all := p.set.Load()
	for _, b := range all.list {
		if err := b.open(buf, p.roomAgain); err != nil {
			return errors.Join(err, buf.Close())
		}
	}
	if err := p.seen.load(buf); err != nil { // no frame is looked at before buf is there
		return errors.Join(err, buf.Close())
	}
	for _, b := range all.list {
		if *b.set.Start {
			b.start() // before a message can meet a bridge that is not started
		}
	}
	p.disk.buf = buf
	return nil
}

// roomAgain tells the broker which bridges are full.
func (p *Plugin) roomAgain() { p.room.tell(p.set.Load()) }

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
	if p.now == nil {
		buf := p.opened()
		if buf == nil {
			p.full = errClosed
			return sdk.Verdict{}
		}
		p.now, p.tx = p.set.Load(), buf.Begin()
	}
	if e.QoS() == 2 && p.seen.again(e.MessageID()) {
		return sdk.Verdict{}
	}
	topic, twice := e.Topic(), true
	for _, b := range p.now.list {
		remote, most, ok := outward(b.set.Topics, topic)
		if !ok || !b.on.Load() || e.QoS() == 0 && !b.set.QueueQoS0 && !b.connected() {
			continue
		}
		n, props := passed(e.PropsBytes())
		if n >= b.set.MaxHops {
			b.count.looped.Add(1)
			continue
		}
		m := outgoing{topic: remote, payload: e.PayloadBytes(), qos: min(e.QoS(), most), retain: e.Retain()}
		if b.set.version == 5 {
			m.props = hop(props, n+1)
		}
		if left, expires := e.Expiry(); expires {
			m.expiry = e.Time().Add(left).UnixNano()
		}
		p.queue(b, &m)
		if m.qos == 2 && twice {
			twice = false
			p.seen.add(e.MessageID())
		}
	}
	return sdk.Verdict{}
}

// queue adds a message to a bridge's queue. One that is full loses the message, or has
// its publishers refused (room), as the operator wants it; when more comes all the same
// than overflow, it holds up the broker's log with the whole frame.
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
	all, tx, err := p.now, p.tx, p.full
	p.now, p.tx, p.full = nil, nil, nil
	if tx == nil {
		return err
	}
	if err != nil {
		tx.Cancel()
	} else {
		p.seen.note(tx)
		err = tx.Commit()
	}
	p.seen.done(err == nil)
	for _, b := range all.list {
		b.fills()
	}
	p.room.tell(all)
	return err
}

// find returns a bridge by its name.
func (p *Plugin) find(name string) (*bridge, error) {
	all := p.set.Load()
	if b := all.named[name]; b != nil {
		return b, nil
	}
	return nil, &sdk.CommandError{Kind: sdk.ErrNotFound, Text: fmt.Sprintf("there is no bridge %q; there are: %s", name, strings.Join(all.names(), ", "))}
}
