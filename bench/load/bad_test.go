package load

import (
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// badBroker gives every message to every client that has subscribed, as its
// script says.
type badBroker struct {
	listener net.Listener
	connack  packet.Connack
	suback   packet.ReasonCode
	// script is what becomes of the messages of each publisher, in turn: how often
	// each is sent, and whether it waits for the one behind it.
	script func(seq uint64, out []byte, send func([]byte))

	mu   sync.Mutex
	subs []net.Conn
}

func startBad(t *testing.T, b *badBroker) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.listener = l
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(nc)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func (b *badBroker) serve(nc net.Conn) {
	defer nc.Close()
	var d packet.Decoder
	var rest []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := nc.Read(buf)
		if err != nil {
			return
		}
		rest = append(rest, buf[:n]...)
		for {
			p, n, err := d.Next(rest)
			if err != nil {
				return
			}
			if p == nil {
				break
			}
			if !b.answer(nc, p) {
				return
			}
			rest = rest[n:]
		}
	}
}

func (b *badBroker) answer(nc net.Conn, p packet.Packet) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch p := p.(type) {
	case *packet.Connect:
		_, _ = nc.Write(packet.Append(nil, packet.V50, &b.connack))
		return b.connack.Code == packet.Success
	case *packet.Subscribe:
		b.subs = append(b.subs, nc)
		_, _ = nc.Write(packet.Append(nil, packet.V50, &packet.Suback{PacketID: p.PacketID, Codes: []packet.ReasonCode{b.suback}}))
	case *packet.Publish:
		s, _ := readStamp(p.Payload)
		b.script(s.seq, packet.Append(nil, packet.V50, &packet.Publish{Topic: p.Topic, Payload: p.Payload}), func(out []byte) {
			for _, sub := range b.subs {
				_, _ = sub.Write(out)
			}
		})
	}
	return true
}

func badRun(port int) Config {
	cfg := brief(P2P, port)
	cfg.Clients.Count, cfg.Clients.Version = 1, packet.V50
	cfg.Flow.Limit, cfg.Pace.Duration = 100, time.Minute
	return cfg
}

// Losing, doubling and turning around is found, and the run does not stand still.
func TestBadDeliveryIsCounted(t *testing.T) {
	var kept []byte
	port := startBad(t, &badBroker{script: func(seq uint64, out []byte, send func([]byte)) {
		switch {
		case seq%50 == 10: // lost
		case seq%50 == 20:
			send(out)
			send(out)
		case seq%50 == 30:
			kept = out
		case seq%50 == 31:
			send(out)
			send(kept)
		default:
			send(out)
		}
	}})
	res := must(t, badRun(port))
	if res.Sent != 100 || res.Received != 98 || res.Lost != 2 || res.Duplicates != 2 || res.OutOfOrder != 2 {
		t.Errorf("of 100 with 2 lost, 2 doubled, 2 turned around: %+v", res)
	}
}

// A window that lost messages hold shut is opened again.
func TestLossDoesNotStopQoS0(t *testing.T) {
	port := startBad(t, &badBroker{script: func(seq uint64, out []byte, send func([]byte)) {
		if seq < 50 {
			return
		}
		send(out)
	}})
	res := must(t, badRun(port))
	if res.Sent != 100 || res.Lost != 50 || res.Stalls == 0 {
		t.Errorf("of 100 with the first 50 lost: %+v", res)
	}
}

// What the broker answers is told.
func TestRefusedClientsAreTold(t *testing.T) {
	port := startBad(t, &badBroker{connack: packet.Connack{Code: packet.NotAuthorized}})
	if _, err := Run(t.Context(), badRun(port), nil); err == nil || !strings.Contains(strings.ToLower(err.Error()), "not authorized") {
		t.Errorf("a refusing CONNACK: %v", err)
	}
	port = startBad(t, &badBroker{suback: packet.NotAuthorized})
	if _, err := Run(t.Context(), badRun(port), nil); err == nil || !strings.Contains(err.Error(), "subscription of") || !errors.Is(err, errAborted) {
		t.Errorf("a refusing SUBACK: %v", err)
	}
	cfg := badRun(startBad(t, &badBroker{connack: packet.Connack{Code: packet.NotAuthorized}}))
	cfg.Kind = Storm
	cfg.Flow.Limit, cfg.Pace.Duration = 0, 100*time.Millisecond
	if res := must(t, cfg); res.Cycles != 0 || res.Failed == 0 || len(res.Faults) != 1 {
		t.Errorf("a storm that is refused: %+v", res)
	}
}

// A broker that says how many messages it takes at once gets no more; one that
// never acknowledges is measured as that.
func TestReceiveMaximumBoundsTheWindow(t *testing.T) {
	props := packet.AppendUint16Prop(nil, packet.PropReceiveMaximum, 3)
	b := &badBroker{connack: packet.Connack{Props: props}, script: func(uint64, []byte, func([]byte)) {}}
	cfg := badRun(startBad(t, b))
	cfg.Kind, cfg.Flow.Topic, cfg.Flow.QoS = Pub, "a", 1
	cfg.Pace.Duration = 100 * time.Millisecond
	if res := must(t, cfg); res.Sent != 3 || res.Acked != 0 || res.Lost != 3 {
		t.Errorf("three at once and no answer: %+v", res)
	}
}

// A broker that accepts and says nothing.
func TestSilenceEndsAHandshake(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := badRun(l.Addr().(*net.TCPAddr).Port)
	cfg.Pace.Timeout = 50 * time.Millisecond
	if _, err := Run(t.Context(), cfg, nil); !errors.Is(err, errTimeout) {
		t.Errorf("silence: %v", err)
	}
	cfg.Target.WebSocket = "/mqtt"
	if _, err := Run(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), "WebSocket") {
		t.Errorf("silence for an upgrade: %v", err)
	}
}
