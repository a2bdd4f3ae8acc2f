package conn_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/conn"
)

func TestCloseSendsWhatWasEncoded(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{}, accept)
		c, m := r.dial()
		// What follows the close is not handled and does not reset the answer away.
		c.send(append(packet(cmdClose, []byte("bye")), packet(cmdEcho, make([]byte, 300<<10))...))
		if cmd, body := c.next(); cmd != cmdClose || string(body) != "bye" {
			t.Fatalf("got %c %q", cmd, body)
		}
		c.ends()
		_ = c.Close()
		if err := m.gone(t); err != nil {
			t.Fatalf("lost by %v", err)
		}
		eventually(t, "release", func() bool { return r.engine.Len() == 0 })
	})
}

func TestCloseDrainsTheBacklog(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{}, accept)
		c, m := r.dial()
		const n = 12 << 20 // more than both sockets hold
		for range 12 {
			c.send(packet(cmdEcho, make([]byte, 1<<20-5)))
		}
		c.send(packet(cmdClose, nil))
		m.gone(t)
		_ = c.SetReadDeadline(time.Now().Add(patience))
		got, err := io.Copy(io.Discard, c)
		if err != nil || got != n+5 {
			t.Fatalf("%d bytes, %v", got, err)
		}
		_ = c.Close()
		eventually(t, "release", func() bool { return r.engine.Len() == 0 })
	})
}

func TestCloseDoesNotWaitForeverForAPeer(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{Linger: 300 * time.Millisecond}, accept)
		silent, m1 := r.dial() // takes the answer but does not close
		silent.send(packet(cmdClose, nil))
		deaf, m2 := r.dial() // does not even read
		go func() {
			for range 12 {
				_, _ = deaf.Write(packet(cmdEcho, make([]byte, 1<<20)))
			}
			_, _ = deaf.Write(packet(cmdClose, nil))
		}()
		noisy, m3 := r.dial() // goes on sending
		noisy.send(packet(cmdClose, nil))
		go func() {
			for {
				if _, err := noisy.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		}()
		for _, m := range []*machine{m1, m2, m3} {
			if err := m.gone(t); err != nil {
				t.Fatalf("lost by %v", err)
			}
		}
		eventually(t, "release", func() bool { return r.engine.Len() == 0 })
	})
}

func TestPeerClosesAfterItsLastPacket(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{}, accept)
		sub, _ := r.dial()
		for i := range 200 {
			c, m := r.dial()
			c.send(packet(cmdSend, u32(i)))
			_ = c.Close()
			if cmd, body := sub.next(); cmd != cmdSend || string(body) != string(u32(i)) {
				t.Fatalf("got %c %v", cmd, body)
			}
			if err := m.gone(t); !errors.Is(err, io.EOF) {
				t.Fatalf("lost by %v", err)
			}
		}
		eventually(t, "release", func() bool { return r.engine.Len() == 1 })
	})
}

func TestPeerResets(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{}, accept)
		c, m := r.dial()
		c.send(packet(cmdEcho, nil))
		c.next()
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
		if err := m.gone(t); err == nil || errors.Is(err, io.EOF) {
			t.Fatalf("lost by %v", err)
		}
	})
}

func TestPanicEndsOneConnection(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{Loops: 1}, accept)
		bad, m := r.dial()
		good, _ := r.dial()
		bad.send(packet(cmdPanic, nil))
		if err := m.gone(t); !errors.Is(err, conn.ErrPanic) {
			t.Fatalf("lost by %v", err)
		}
		bad.ends()
		good.send(packet(cmdEcho, nil))
		good.next()
	})
}

func TestWakeAfterLost(t *testing.T) {
	transports(t, func(t *testing.T, accept acceptFunc) {
		r := newRig(t, conn.Config{}, accept)
		c, m := r.dial()
		_ = c.Close()
		m.gone(t)
		for range 100 {
			m.command(func(*machine) {})
		}
		eventually(t, "release", func() bool { return r.engine.Len() == 0 })
		m.command(func(*machine) {})
	})
}
