package conn

import (
	"math/rand/v2"
	"testing"
)

// clock drives a wheel and fires as a loop does.
type clock struct {
	wheel wheel
	now   int64
	fired map[*Conn]int64
}

func newClock() *clock {
	c := &clock{now: 1_700_000_000 * 1e9, fired: map[*Conn]int64{}}
	c.wheel.now = c.now / tick
	return c
}

func (k *clock) set(c *Conn, at int64) {
	c.deadline.Store(at)
	if c.due() {
		k.wheel.add(c, at)
	}
}

func (k *clock) advance(d int64) {
	k.now += d
	k.wheel.advance(k.now, func(c *Conn) {
		switch at := c.deadline.Load(); {
		case at == 0:
		case at > k.now:
			k.wheel.add(c, at)
		default:
			c.deadline.Store(0)
			k.fired[c] = k.now
		}
	})
}

func TestWheelFiresInTime(t *testing.T) {
	k := newClock()
	rng := rand.New(rand.NewPCG(5, 6))
	want := map[*Conn]int64{}
	for range 3000 {
		c := new(Conn)
		at := k.now + 1 + rng.Int64N(1000*1e9) // five times the horizon
		k.set(c, at)
		if rng.IntN(2) == 0 { // moved, either way
			at = k.now + 1 + rng.Int64N(1000*1e9)
			k.set(c, at)
		}
		if rng.IntN(10) == 0 {
			k.set(c, 0)
			continue
		}
		want[c] = at
	}
	for range 12000 {
		k.advance(tick)
	}
	if len(k.fired) != len(want) {
		t.Fatalf("%d fired, want %d", len(k.fired), len(want))
	}
	for c, at := range want {
		if late := k.fired[c] - at; late < 0 || late > tick {
			t.Fatalf("fired %d ns after the deadline", late)
		}
	}
	if _, ok := k.wheel.next(); ok {
		t.Error("the wheel is not empty")
	}
}

func TestWheelTellsTheNextSlot(t *testing.T) {
	k := newClock()
	if _, ok := k.wheel.next(); ok {
		t.Fatal("an empty wheel has a next")
	}
	for _, d := range []int64{150e9, 90e9, 6.45e9, 1} {
		at := k.now + d
		c := new(Conn)
		k.set(c, at)
		next, ok := k.wheel.next()
		if !ok || next < at || next-at > tick {
			t.Fatalf("next is %d after the deadline", next-at)
		}
	}
}

func TestWheelAfterAJumpOfTheClock(t *testing.T) {
	k := newClock()
	near, far, past := new(Conn), new(Conn), new(Conn)
	k.set(near, k.now+5e9)
	k.set(far, k.now+7200e9)
	k.advance(3600e9)
	if k.fired[near] == 0 || k.fired[far] != 0 {
		t.Fatal(k.fired)
	}
	k.set(past, k.now-100e9)
	k.advance(2 * tick)
	if k.fired[past] == 0 {
		t.Fatal("a deadline in the past did not fire")
	}
	k.advance(3600e9)
	if k.fired[far] == 0 {
		t.Fatal("the far deadline did not fire")
	}
}

func TestWheelRemoves(t *testing.T) {
	k := newClock()
	var cs []*Conn
	for range 10 {
		c := new(Conn)
		k.set(c, k.now+1e9) // all in one slot
		cs = append(cs, c)
	}
	for _, i := range []int{0, 9, 5, 4, 6} {
		k.wheel.remove(cs[i])
		k.wheel.remove(cs[i])
	}
	k.advance(2e9)
	if len(k.fired) != 5 {
		t.Fatalf("%d fired", len(k.fired))
	}
}

// A deadline that moves later, as keepalive's does with every packet, touches
// nothing but its own word.
func TestLaterDeadlinesAreFree(t *testing.T) {
	k := newClock()
	c := new(Conn)
	k.set(c, k.now+90e9)
	armed := c.timer.armed.Load()
	for i := range int64(1000) {
		k.set(c, k.now+90e9+i)
	}
	if c.timer.armed.Load() != armed {
		t.Error("the timer was moved")
	}
}
