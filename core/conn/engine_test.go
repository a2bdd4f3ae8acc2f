package conn_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/conn"
	"github.com/dunlinmq/dunlin/core/listener"
)

type acceptFunc = func(net.Conn) (listener.Accepted, error)

func TestEchoWhateverTheCuts(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{}, accept)
		c, _ := r.dial()
		rng := rand.New(rand.NewPCG(1, 2))
		var all []byte
		var sizes []int
		for range 300 {
			n := rng.IntN(600)
			if rng.IntN(30) == 0 {
				n = 40000
			}
			sizes = append(sizes, n)
			all = append(all, packet(cmdEcho, bytes.Repeat([]byte{byte(n)}, n))...)
		}
		go func() {
			for len(all) > 0 {
				n := min(len(all), 1+rng.IntN(3000))
				if rng.IntN(3) == 0 {
					n = 1
				}
				if _, err := c.Write(all[:n]); err != nil {
					return
				}
				all = all[n:]
			}
		}()
		for i, n := range sizes {
			if _, body := c.next(); len(body) != n || n > 0 && body[n-1] != byte(n) {
				t.Fatalf("packet %d: %d bytes of %d", i, len(body), n)
			}
		}
	})
}

func TestEchoOfALargePacket(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{}, accept)
		c, m := r.dial()
		body := bytes.Repeat([]byte("0123456789abcdef"), 3<<16) // 3 MiB
		go c.send(packet(cmdEcho, body), packet(cmdEcho, []byte("after")))
		if _, got := c.next(); !bytes.Equal(got, body) {
			t.Fatal("large packet changed")
		}
		if _, got := c.next(); string(got) != "after" {
			t.Fatalf("then %q", got)
		}
		if n := m.inputs.Load(); n > 2000 {
			t.Errorf("a 3 MiB packet took %d inputs", n)
		}
	})
}

func TestFanOutKeepsOrder(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{Loops: 3}, accept)
		pub, _ := r.dial()
		var subs []*client
		for range 40 {
			c, _ := r.dial()
			subs = append(subs, c)
		}
		const n = 500
		go func() {
			for i := range n {
				pub.send(packet(cmdSend, u32(i)))
			}
		}()
		for _, c := range subs {
			for i := range n {
				if _, body := c.next(); !bytes.Equal(body, u32(i)) {
					t.Fatalf("got %v, want %d", body, i)
				}
			}
		}
	})
}

func TestPauseHoldsInputBack(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{}, accept)
		c, m := r.dial()
		other, _ := r.dial()
		c.send(append(packet(cmdPause, nil), packet(cmdEcho, []byte("one"))...))
		if cmd, _ := c.next(); cmd != cmdPause {
			t.Fatalf("got %c", cmd)
		}
		c.send(packet(cmdEcho, []byte("two")))
		before := m.inputs.Load()
		m.command(func(*machine) {}) // a Run does not end the pause
		other.send(packet(cmdEcho, nil))
		other.next()
		eventually(t, "run", func() bool { return m.runs.Load() >= 2 })
		if n := m.inputs.Load(); n != before {
			t.Fatalf("%d inputs while paused", n-before)
		}
		m.command(func(m *machine) { m.resume = true })
		for _, want := range []string{"one", "two"} {
			if _, body := c.next(); string(body) != want {
				t.Fatalf("got %q, want %q", body, want)
			}
		}
	})
}

func TestPauseThenEndOfStream(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{}, accept)
		c, m := r.dial()
		c.send(append(packet(cmdPause, nil), packet(cmdEcho, []byte("one"))...))
		c.next()
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		m.command(func(m *machine) { m.resume = true })
		if err := m.gone(t); !errors.Is(err, io.EOF) {
			t.Fatalf("lost by %v", err)
		}
	})
}

func TestTickAtTheDeadline(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{}, accept)
		c, _ := r.dial()
		start := time.Now()
		c.send(packet(cmdNext, u64(time.Hour)), packet(cmdNext, u64(300*time.Millisecond)))
		if cmd, _ := c.next(); cmd != 't' {
			t.Fatalf("got %c", cmd)
		}
		if d := time.Since(start); d < 300*time.Millisecond {
			t.Errorf("tick after %v", d)
		}
		// A deadline that moves later replaces the earlier one.
		start = time.Now()
		c.send(packet(cmdNext, u64(200*time.Millisecond)), packet(cmdNext, u64(700*time.Millisecond)))
		c.next()
		if d := time.Since(start); d < 700*time.Millisecond {
			t.Errorf("tick after %v", d)
		}
		// The deadline is used up: no second tick comes before the echo.
		c.send(packet(cmdEcho, nil))
		if cmd, _ := c.next(); cmd != cmdEcho {
			t.Fatalf("got %c", cmd)
		}
	})
}

func TestStopLosesEverybodyOnce(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{Loops: 2}, accept)
		var ms []*machine
		for i := range 50 {
			c, m := r.dial()
			if i%2 == 0 {
				c.send(packet(cmdEcho, nil))
			}
			ms = append(ms, m)
		}
		r.stop()
		for _, m := range ms {
			if err := m.gone(t); !errors.Is(err, conn.ErrClosed) || !errors.Is(err, channel.ErrServerShutdown) {
				t.Fatalf("lost by %v", err)
			}
		}
		r.dones.Store(int32(len(r.hub.machines)))
	})
}

func TestServeAfterStopIsRefused(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{}, accept)
		c, _ := r.dial()
		c.send(packet(cmdEcho, nil))
		c.next()
		r.stop()
		nc, err := net.Dial("tcp", r.ln.Addr().String())
		if err == nil {
			t.Fatal("the rig still listens")
		}
		_ = nc
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		nc, err = net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		sc, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		a, err := accept(sc)
		if err != nil {
			t.Fatal(err)
		}
		done := 0
		a.Done = func() { done++ }
		if err := r.engine.Serve(a, nil); !errors.Is(err, conn.ErrClosed) || done != 1 {
			t.Fatalf("%v, done %d", err, done)
		}
		(&client{nc, t}).ends()
	})
}

func TestDrainWaitsForTheMachines(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{}, accept)
		var cs []*client
		var ms []*machine
		for range 20 {
			c, m := r.dial()
			cs, ms = append(cs, c), append(ms, m)
		}
		drained := make(chan error, 1)
		go func() { drained <- r.engine.Drain(t.Context()) }()
		for _, m := range ms {
			m.command(func(m *machine) { m.quit = true })
		}
		for i, c := range cs {
			if cmd, _ := c.next(); cmd != 'q' {
				t.Fatalf("got %c", cmd)
			}
			c.ends()
			_ = c.Close()
			if err := ms[i].gone(t); err != nil {
				t.Fatalf("lost by %v", err)
			}
		}
		select {
		case err := <-drained:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(patience):
			t.Fatal("still draining")
		}
	})
}
