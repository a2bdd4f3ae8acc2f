package conn

import "math/bits"

// A tick is the resolution of deadlines. A deadline beyond the wheel's horizon
// sits in its last slot and is put in again when that comes.
const (
	tick       = int64(100e6) // 100 ms in nanoseconds
	wheelSlots = 2048         // a horizon of 204 s
)

// wheel is a loop's timers: a hashed timing wheel of intrusive lists, so that a
// connection's timer costs two pointers and moving one costs nothing else. Owned
// by the loop. It neither skips nor repeats when the clock steps: what is due
// waits until the clock has come to it.
type wheel struct {
	now   int64 // the last tick that was handled
	used  [wheelSlots / 64]uint64
	slots [wheelSlots]*Conn
}

// place is the tick at which a timer for the time at fires, and the time itself
// unless it is beyond the horizon.
func (w *wheel) place(at int64) (t, due int64) {
	t = (at + tick - 1) / tick
	switch {
	case t <= w.now:
		return w.now + 1, at
	case t >= w.now+wheelSlots:
		t = w.now + wheelSlots - 1
		return t, t * tick
	}
	return t, at
}

// add arms c for the time at, or for the horizon if that is earlier.
func (w *wheel) add(c *Conn, at int64) {
	w.remove(c)
	t, due := w.place(at)
	i := t % wheelSlots
	c.timer.slot = int32(i)
	c.timer.prev, c.timer.next = nil, w.slots[i]
	if c.timer.next != nil {
		c.timer.next.timer.prev = c
	}
	w.slots[i] = c
	w.used[i/64] |= 1 << (i % 64)
	c.timer.armed.Store(due)
}

// remove disarms c.
func (w *wheel) remove(c *Conn) {
	if c.timer.armed.Load() == 0 {
		return
	}
	c.timer.armed.Store(0)
	i := c.timer.slot
	if c.timer.prev != nil {
		c.timer.prev.timer.next = c.timer.next
	} else {
		w.slots[i] = c.timer.next
	}
	if c.timer.next != nil {
		c.timer.next.timer.prev = c.timer.prev
	}
	c.timer.prev, c.timer.next = nil, nil
	if w.slots[i] == nil {
		w.used[i/64] &^= 1 << (i % 64)
	}
}

// advance disarms all timers up to now and calls fire for each. A timer that
// fire adds is not due in this call.
func (w *wheel) advance(now int64, fire func(*Conn)) {
	target := now / tick
	if target-w.now > wheelSlots {
		w.now = target - wheelSlots // every slot once
	}
	for w.now < target {
		w.now++
		i := w.now % wheelSlots
		if w.used[i/64]&(1<<(i%64)) == 0 {
			continue
		}
		c := w.slots[i]
		w.slots[i] = nil
		w.used[i/64] &^= 1 << (i % 64)
		for c != nil {
			next := c.timer.next
			c.timer.prev, c.timer.next = nil, nil
			c.timer.armed.Store(0)
			fire(c)
			c = next
		}
	}
}

// next is the time of the first slot in use; false: none is.
func (w *wheel) next() (at int64, ok bool) {
	for d := int64(1); d <= wheelSlots; {
		i := (w.now + d) % wheelSlots
		if word := w.used[i/64] >> (i % 64); word != 0 {
			return (w.now + d + int64(bits.TrailingZeros64(word))) * tick, true
		}
		d += 64 - i%64
	}
	return 0, false
}
