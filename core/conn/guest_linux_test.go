package conn_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/conn"
)

// chunk is n numbered packets for all others, from the number at on.
func chunk(at, n int) []byte {
	var p []byte
	for i := range n {
		p = append(p, packet(cmdSend, u32(at+i))...)
	}
	return p
}

// While there is little to do one loop runs for all, with much to do each runs by
// itself, and nothing is lost or comes out of order when that changes.
func TestOneLoopRunsForAllWhileThereIsLittleToDo(t *testing.T) {
	r := newRig(t, conn.Config{Loops: 3}, accepts["descriptor"])
	eventually(t, "guests at the start", func() bool { return r.engine.Running() == 1 })
	pub, _ := r.dial()
	var subs []*client
	for range 5 {
		c, _ := r.dial()
		subs = append(subs, c)
	}
	at := 0
	// send has n packets come to everybody.
	send := func(n int) {
		t.Helper()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			pub.send(chunk(at, n))
		}()
		for _, c := range subs {
			for i := range n {
				if _, body := c.next(); !bytes.Equal(body, u32(at+i)) {
					t.Fatalf("got %v, want %d", body, at+i)
				}
			}
		}
		<-sent
		at += n
	}
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for range 2 {
		eventually(t, "loops that run by themselves", func() bool {
			pub.send(packet(cmdWork, u64(50*time.Millisecond))) // more than a host gets done in a window
			send(100)
			return r.engine.Running() == 3
		})
		// Every loop has a packet now and then: they come back one by one.
		eventually(t, "guests again", func() bool {
			send(1)
			for _, c := range subs {
				c.send(packet(cmdEcho, nil))
				c.next()
			}
			<-pause.C
			return r.engine.Running() == 1
		})
	}
}

// A guest's timers fire and its connections end with the engine.
func TestGuestsHaveTimers(t *testing.T) {
	r := newRig(t, conn.Config{Loops: 3}, accepts["descriptor"])
	eventually(t, "guests", func() bool { return r.engine.Running() == 1 })
	for range 6 {
		c, _ := r.dial()
		start := time.Now()
		c.send(packet(cmdNext, u64(200*time.Millisecond)))
		if cmd, _ := c.next(); cmd != 't' {
			t.Fatalf("got %c", cmd)
		}
		if d := time.Since(start); d < 200*time.Millisecond {
			t.Errorf("tick after %v", d)
		}
	}
}
