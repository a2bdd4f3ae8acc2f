package conn_test

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/conn"
	"github.com/dunlinmq/dunlin/core/router"
)

// A peer that does not read holds up neither its publisher nor others, and gets
// all in order when it reads again.
func TestSlowReaderLeavesOthersServed(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{Loops: 2}, accept)
		slow, _ := r.dial()
		good, _ := r.dial()
		pub, _ := r.dial()
		const n, size = 400, 64 << 10 // 25 MiB
		go func() {
			for i := range n {
				pub.send(packet(cmdSend, bytes.Repeat([]byte{byte(i)}, size)))
			}
		}()
		for i := range n {
			if _, body := good.next(); body[0] != byte(i) || body[size-1] != byte(i) {
				t.Fatalf("packet %d is %d", i, body[0])
			}
		}
		for i := range n {
			if _, body := slow.next(); len(body) != size || body[0] != byte(i) || body[size-1] != byte(i) {
				t.Fatalf("slow packet %d is %d", i, body[0])
			}
		}
	})
}

// A machine that holds back while there is a backlog is run when it has drained.
func TestBacklogIsToldAndItsEndToo(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{}, accept)
		c, m := r.dial()
		total := 64 << 20 / len(blastPacket) * len(blastPacket)
		c.send(packet(cmdBlast, u32(total)))
		got := 0
		for got < total {
			_, body := c.next()
			got += 5 + len(body)
		}
		c.send(packet(cmdClose, nil))
		for cmd := byte('z'); cmd != cmdClose; {
			cmd, _ = c.next()
		}
		m.gone(t)
		if m.most > 4<<20 {
			t.Errorf("backlog grew to %d bytes", m.most)
		}
	})
}

func TestWakesFromManyGoroutines(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{Loops: 2}, accept)
		const conns, writers, each = 8, 8, 300
		var cs []*client
		var ms []*machine
		for range conns {
			c, m := r.dial()
			cs, ms = append(cs, c), append(ms, m)
		}
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					b := &router.Batch{Now: time.Now().UnixNano()}
					for _, m := range ms {
						if w%2 == 0 {
							m.deliver(b, packet(byte('A'+w), u32(i)))
						} else {
							m.deliver(nil, packet(byte('A'+w), u32(i)))
						}
					}
					b.Flush()
				}
			})
		}
		for _, c := range cs { // and input at the same time
			wg.Go(func() {
				for range each {
					c.send(packet(cmdEcho, nil))
				}
			})
		}
		for _, c := range cs {
			var next [writers]int
			echoes := 0
			for range writers*each + each {
				cmd, body := c.next()
				if cmd == cmdEcho {
					echoes++
					continue
				}
				if w := cmd - 'A'; !bytes.Equal(body, u32(next[w])) {
					t.Fatalf("writer %d: got %v, want %d", w, body, next[w])
				} else {
					next[w]++
				}
			}
			if echoes != each {
				t.Fatalf("%d echoes", echoes)
			}
		}
		wg.Wait()
	})
}

// Connections come and go while others wake them.
func TestWakesWhileConnectionsEnd(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{Loops: 2, Linger: 100 * time.Millisecond}, accept)
		var stop atomic.Bool
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for !stop.Load() {
					b := &router.Batch{Now: time.Now().UnixNano()}
					for i, m := range r.hub.others(nil) {
						if i%2 == 0 {
							m.deliver(b, packet('A', nil))
						} else {
							m.deliver(nil, packet('A', nil))
						}
					}
					b.Flush()
				}
			})
		}
		for i := range 120 {
			c, m := r.dial()
			switch i % 4 {
			case 0:
				_ = c.Close()
			case 1:
				c.send(packet(cmdClose, nil))
			case 2:
				m.command(func(m *machine) { m.quit = true })
			case 3:
				c.send(packet(cmdPanic, nil))
			}
		}
		eventually(t, "all to end", func() bool { return r.engine.Len() == 0 })
		stop.Store(true)
		wg.Wait()
	})
}

// A flood on one connection does not keep another of the same loop waiting.
func TestFloodLeavesOthersServed(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{Loops: 1}, accept)
		flood, _ := r.dial()
		c, _ := r.dial()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			chunk := bytes.Repeat(packet('n', make([]byte, 95)), 1000)
			for {
				if _, err := flood.Write(chunk); err != nil {
					return
				}
			}
		}()
		for range 200 {
			c.send(packet(cmdEcho, nil))
			c.next()
		}
		_ = flood.Close()
		<-ended
	})
}

func TestBlockedMachineLeavesOthersServed(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{Loops: 1, Blocking: func() bool { return true }}, accept)
		blocked, _ := r.dial()
		pub, _ := r.dial()
		sub, _ := r.dial()
		// It touches the subscriber before it blocks: the subscriber must not wait for it.
		blocked.send(append(packet(cmdSend, []byte("before")), packet(cmdBlock, nil)...))
		if _, body := sub.next(); string(body) != "before" {
			t.Fatalf("got %q", body)
		}
		for i := range 50 {
			pub.send(packet(cmdSend, u32(i)))
			if _, body := sub.next(); !bytes.Equal(body, u32(i)) {
				t.Fatalf("got %v", body)
			}
		}
		close(r.hub.gate)
		for cmd := byte(0); cmd != cmdBlock; {
			cmd, _ = blocked.next()
		}
	})
}
