package listener

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestTCPHandsOver(t *testing.T) {
	p := open(t, Default(TCP, "external"))
	nc := p.dial()
	echo(t, nc)
	info := <-p.infos
	if info.Peer != netip.MustParseAddrPort(nc.LocalAddr().String()) || info.Listener != "tcp:external" || info.Zone != "external" || info.Proto != TCP {
		t.Errorf("%+v", info)
	}
	if s := p.Stats(); s.Current != 1 || s.Accepted != 1 || s.HandedOut != 1 {
		t.Errorf("%+v", s)
	}
	_ = nc.Close()
	eventually(t, "the place back", func() bool { return p.Stats().Current == 0 })
}

func TestPeerAddressIsNeverMapped(t *testing.T) {
	cfg := Default(TCP, "six")
	cfg.Bind = "[::]:0"
	l, err := Open(cfg, zap.NewNop())
	if err != nil {
		t.Log("this machine has no IPv6: ", err)
		return
	}
	got := make(chan Info, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- l.Run(t.Context(), func(a Accepted) { got <- a.Info; _ = a.Close() })
	}()
	nc, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", portOf(l.Addr())))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if info := <-got; !info.Peer.Addr().Is4() {
		t.Errorf("peer is %v", info.Peer)
	}
	_ = l.Close()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func portOf(a net.Addr) string {
	_, p, _ := net.SplitHostPort(a.String())
	return p
}

func TestOverMaxConnectionsIsClosedAtOnce(t *testing.T) {
	cfg := Default(TCP, "small")
	cfg.MaxConnections = 2
	p := open(t, cfg)
	a, b := p.dial(), p.dial()
	echo(t, a)
	echo(t, b)
	closes(t, p.dial())
	eventually(t, "the refusal", func() bool { s := p.Stats(); return s.Refused == 1 && s.Current == 2 })
	_ = a.Close()
	eventually(t, "the place back", func() bool { return p.Stats().Current == 1 })
	echo(t, p.dial())
}

func TestListenersStopOneByOne(t *testing.T) {
	one, two := open(t, Default(TCP, "one")), open(t, Default(TCP, "two"))
	nc := one.dial()
	echo(t, nc)
	_ = one.Close()
	if c, err := net.Dial("tcp", one.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("still listening")
	}
	echo(t, nc) // what was handed out stays
	echo(t, two.dial())
}

func TestPortInUse(t *testing.T) {
	p := open(t, Default(TCP, "first"))
	cfg := Default(TCP, "second")
	cfg.Bind = p.Addr().String()
	if l, err := Open(cfg, zap.NewNop()); err == nil {
		_ = l.Close()
		t.Error("bound twice")
	}
}

// scripted is a port's source with another accept.
type scripted struct {
	source
	next func() (Accepted, error)
}

func (s *scripted) accept() (Accepted, error) { return s.next() }

// script makes l's port accept what next says.
func script(l *Listener, next func() (Accepted, error)) *port {
	l.port.source = &scripted{l.port.source, next}
	return l.port
}

// Accept errors (out of descriptors) neither end the loop nor spin it.
func TestAcceptErrorsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(Config{Proto: TCP, Bind: "127.0.0.1:0"}, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zap.WarnLevel)
		l.log = zap.New(core)
		calls, start := 0, time.Now()
		l.acceptAll(script(l, func() (Accepted, error) {
			switch calls++; {
			case calls <= 20:
				return Accepted{}, errors.New("too many open files")
			case calls == 21:
				if d := time.Since(start); d < 10*time.Second || d > 20*time.Second {
					t.Errorf("20 failures took %v", d)
				}
				a, b := net.Pipe()
				_ = b.Close()
				return Accepted{Conn: a}, nil
			}
			return Accepted{}, net.ErrClosed
		}), func(a Accepted) { _ = a.Close() })
		if logs.Len() != 1 {
			t.Errorf("%d lines logged", logs.Len())
		}
		_ = l.Close()
	})
}

func TestCloseEndsAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(Config{Proto: TCP, Bind: "127.0.0.1:0", MaxConnRate: 0.001}, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		start, ended := time.Now(), make(chan struct{})
		p := script(l, func() (Accepted, error) { return Accepted{}, errors.New("never") })
		go func() {
			defer close(ended)
			l.acceptAll(p, nil)
		}()
		synctest.Wait()
		_ = l.Close()
		<-ended
		if d := time.Since(start); d > time.Second {
			t.Errorf("took %v", d)
		}
	})
}

func TestRateDelaysTheExcess(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBucket(10, now)
	b.take(now.Add(-time.Hour)) // a clock that steps back does no harm
	b = newBucket(10, now)
	now = now.Add(time.Minute)
	for i := range 10 {
		if d := b.take(now); d != 0 {
			t.Fatalf("token %d of the burst waits %v", i, d)
		}
	}
	for i := range 5 {
		if d, want := b.take(now), time.Duration(i+1)*100*time.Millisecond; d != want {
			t.Fatalf("excess %d waits %v, want %v", i, d, want)
		}
	}
	if d := newBucket(0, now).take(now); d != 0 {
		t.Errorf("no limit waits %v", d)
	}
}
