//go:build !wasip1

package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
)

func queues(t *testing.T, dir string) *buffer.Buffer {
	t.Helper()
	buf, err := buffer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return buf
}

// A queue that waits is full at its bound, takes what comes all the same, and is full
// no more when an eighth of it is free; one that drops is never full.
func TestFills(t *testing.T) {
	buf := queues(t, t.TempDir())
	defer func() { _ = buf.Close() }()
	put := func(b *bridge, n int) error {
		tx := buf.Begin()
		return errors.Join(tx.Add(b.queue, make([]byte, n)), tx.Commit())
	}
	wait := newBridge("wait", &settings{QueueFull: "wait", QueueBytes: 800, Connections: 1})
	drop := newBridge("drop", &settings{QueueFull: "drop", QueueBytes: 800, Connections: 1})
	for _, b := range []*bridge{wait, drop} {
		if err := b.open(buf, func() {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(put(wait, 700), put(drop, 700)); err != nil || wait.fills() || wait.full.Load() {
		t.Errorf("full below its bound, %v", err)
	}
	if err := put(wait, 200); err != nil || !wait.fills() || !wait.full.Load() || wait.fills() {
		t.Errorf("not full above its bound, %v", err)
	}
	if err := put(drop, 200); !errors.Is(err, buffer.ErrFull) || drop.fills() {
		t.Errorf("a queue that drops has taken more than its bound: %v", err)
	}
	again := newBridge("wait", wait.set)
	if err := again.open(buf, func() {}); err != nil || !again.full.Load() {
		t.Errorf("a bridge that is made anew does not see that its queue is full, %v", err)
	}
	rs, err := wait.queue.Peek(0, 1, 1)
	if err == nil {
		err = wait.queue.Remove(rs)
	}
	if err != nil || !wait.fills() || wait.full.Load() {
		t.Errorf("full with 200 of 800, %v", err)
	}
}

// Messages of the last frames are known again, also to the next process; those of
// frames that were not kept are not, nor those that are too old.
func TestSeen(t *testing.T) {
	dir := t.TempDir()
	buf := queues(t, dir)
	var s seen
	if err := s.load(buf); err != nil {
		t.Fatal(err)
	}
	id := func(n int) []byte { return fmt.Appendf(nil, "%016d", n) }
	frame := func(keep bool, ns ...int) {
		t.Helper()
		tx := buf.Begin()
		for _, n := range ns {
			s.add(id(n))
		}
		s.note(tx)
		if keep {
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		s.done(keep)
	}
	frame(true, 1, 2)
	frame(true)
	frame(false, 3)
	frame(true, 4)
	known := func() (list []int) {
		for n := range 1000 {
			if s.again(id(n)) {
				list = append(list, n)
			}
		}
		return list
	}
	if got := fmt.Sprint(known()); got != "[1 2 4]" {
		t.Errorf("known are %s", got)
	}
	if err := buf.Close(); err != nil {
		t.Fatal(err)
	}
	buf, s = queues(t, dir), seen{}
	defer func() { _ = buf.Close() }()
	if err := s.load(buf); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(known()); got != "[1 2 4]" || s.next != 2 {
		t.Errorf("the next process knows %s, its frame is %d", got, s.next)
	}
	for n := range seenFrames {
		frame(true, 100+n)
	}
	if got := known(); len(got) != seenFrames || got[0] != 100 {
		t.Errorf("%d are known, the first is %d", len(got), got[0])
	}
	if s.again(nil) || s.again([]byte("short")) {
		t.Error("what is no identifier is known")
	}
}
