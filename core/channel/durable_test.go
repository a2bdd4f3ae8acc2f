package channel_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dunlinmq/dunlin/core/broker"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/core/store/storetest"
)

// disk is the store of a world: what has passed the gate survives a crash.
type disk struct {
	*storetest.Gate
	mem    store.Store
	j      *journal.Journal
	auto   bool // batches pass at once
	broken bool
	blind  bool // nothing can be read
}

// Scan implements store.Store.
func (d *disk) Scan(r store.Range, fn func(key, value []byte) bool) error {
	if d.blind {
		return errors.New("the disk cannot be read")
	}
	return d.mem.Scan(r, fn)
}

// Get implements store.Store.
func (d *disk) Get(key, dst []byte) ([]byte, error) {
	if d.blind {
		return dst, errors.New("the disk cannot be read")
	}
	return d.mem.Get(key, dst)
}

// Commit implements store.Store.
func (d *disk) Commit(b *store.Batch, l store.Durability, done store.Completion) error {
	if d.auto && !d.broken {
		return d.mem.Commit(b, l, done)
	}
	return d.Gate.Commit(b, l, done)
}

// durable runs a command about the store: "store [auto]" gives the world one,
// "safe [n]" lets batches pass, "broken" fails them, "full" and "room" tell of
// its quota, "unreadable" and "readable" of reading, "crash" ends the node and starts it anew from what is safe, "keys"
// shows what there is by kind.
func (w *world) durable(cmd string, k words) error {
	switch cmd {
	case "store":
		w.disk = &disk{mem: mem.New(), auto: k.has("auto")}
		if w.zone.Durability = store.Async; k.has("sync") {
			w.zone.Durability = store.Sync
		}
		w.disk.open()
		w.build()
	case "safe":
		n := -1
		if k.has("n") {
			n = k.num("n")
		}
		return w.disk.Release(n)
	case "waiting":
		n, d := w.disk.Waiting()
		fmt.Fprintf(&w.out, "%d batches wait, %v\n", n, d)
	case "broken":
		err := fmt.Errorf("%w: the disk is gone", store.ErrReadOnly)
		w.disk.j.SetState(store.State{Mode: store.ReadOnly, Err: err})
		w.disk.broken = true
		w.disk.Fail(err)
	case "full":
		w.disk.j.SetState(store.State{Mode: store.Full, Err: store.ErrFull})
	case "unreadable", "readable":
		w.disk.blind = cmd == "unreadable"
	case "room":
		w.disk.j.SetState(store.State{})
	case "crash":
		return w.crash()
	case "keys":
		return w.keys()
	}
	return nil
}

// open makes what a node's start makes.
func (d *disk) open() {
	d.Gate = storetest.NewGate(d.mem)
	d.j = journal.New(d)
}

// build makes the node's parts anew.
func (w *world) build() {
	w.env.Router = router.New(router.Config{})
	w.env.Broker = broker.New(broker.Config{Node: 1, Incarnation: 1}, w.env.Hooks, w.env.Router)
	cfg := registry.Config{
		Hooks: w.env.Hooks, Router: w.env.Router, PublishWill: w.env.PublishWill, Redispatch: w.env.Broker.Redispatch,
	}
	if w.disk != nil {
		w.env.Journal, cfg.Journal = w.disk.j, w.disk.j
		cfg.Zone = func(string, packet.Version) (*session.Config, any) { return &w.zone.Session, &w.zone }
	}
	w.env.Registry = registry.New(cfg)
}

// crash ends the node without a word to anybody and starts it again.
func (w *world) crash() error {
	for _, l := range w.links {
		l.closed = true
	}
	w.links = nil
	w.env.Hooks = new(hook.Points)
	w.guard()
	d := w.disk
	auto := d.auto
	d.auto = true // what recovery writes is not held back
	d.open()
	w.build()
	done, err := w.env.Registry.Recover(context.Background(), w.now, func(registry.Recovered) {})
	if err != nil {
		return err
	}
	fmt.Fprintf(&w.out, "%d sessions, %d subscriptions, %d messages\n", done.Sessions, done.Subscriptions, done.Messages)
	d.auto = auto
	return nil
}

// keys counts what the store has, by the first letter.
func (w *world) keys() error {
	n := map[byte]int{}
	err := w.disk.mem.Scan(store.Range{From: []byte{1}}, func(key, _ []byte) bool {
		n[key[0]]++
		return true
	})
	var b strings.Builder
	for _, letter := range "sumfxi" {
		fmt.Fprintf(&b, "%c=%d ", letter, n[byte(letter)])
	}
	fmt.Fprintln(&w.out, strings.TrimSpace(b.String()))
	return errors.Join(err)
}
