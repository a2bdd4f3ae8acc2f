package test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/dunlinmq/dunlin/core/packet"
)

// impatient is a broker whose patience with those who say nothing useful is
// short: two seconds on every port.
var impatient = setup{
	config: "[zone.external]\nidle_timeout = \"2s\"\n",
	listeners: strings.NewReplacer(
		"[listener.ssl.external]", "[listener.ssl.external]\nhandshake_timeout = \"2s\"",
		"[listener.ws.external]", "[listener.ws.external]\nhandshake_timeout = \"2s\"",
		"[listener.wss.external]", "[listener.wss.external]\nhandshake_timeout = \"2s\"",
	).Replace(defaultListeners),
}

// endOfNoise is when every connection of an impatient broker that has said
// nothing useful must have ended; a busy machine gets its time.
const endOfNoise = 10 * time.Second

// noises is what comes to a port that is open to the world.
func noises() map[string][]byte {
	r := rand.New(rand.NewChaCha8([32]byte{7}))
	garbage := make([]byte, 8<<10)
	for i := range garbage {
		garbage[i] = byte(r.Uint32())
	}
	hello := new(recorder)
	_ = tls.Client(hello, &tls.Config{ServerName: "localhost"}).Handshake()
	connect := packet.Append(nil, v311, &packet.Connect{ClientID: "half", CleanStart: true, Version: v311})
	return map[string][]byte{
		"nothing":           nil,
		"garbage":           garbage,
		"zeros":             make([]byte, 4<<10),
		"ones":              []byte(strings.Repeat("\xff", 4<<10)),
		"a TLS hello":       hello.sent,
		"an HTTP GET":       []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"an HTTP POST":      []byte("POST /api/v4/login HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{\"user\":\"admin\"}1234"),
		"half an HTTP GET":  []byte("GET /mqtt HTTP/1.1\r\nHost: loc"),
		"an SSH banner":     []byte("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
		"a PROXY header":    []byte("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"),
		"half a CONNECT":    connect[:len(connect)/2],
		"a lying length":    append([]byte{0x10, 0xff, 0xff, 0xff, 0x7f}, make([]byte, 1<<10)...),
		"five length bytes": {0x10, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"a PUBLISH first":   packet.Append(nil, v311, &packet.Publish{Topic: "t", Payload: []byte("x")}),
		"a wrong protocol":  []byte("\x10\x0f\x00\x04MQTX\x04\x02\x00\x3c\x00\x03abc"),
		"level 6":           []byte("\x10\x0f\x00\x04MQTT\x06\x02\x00\x3c\x00\x03abc"),
		"a WebSocket frame": {0x82, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	}
}

// recorder is a connection that keeps what is sent and then breaks.
type recorder struct {
	net.Conn
	sent []byte
}

func (r *recorder) Write(b []byte) (int, error) {
	r.sent = append(r.sent, b...)
	return len(b), nil
}
func (r *recorder) Read([]byte) (int, error)    { return 0, io.EOF }
func (r *recorder) SetDeadline(time.Time) error { return nil }
func (r *recorder) Close() error                { return nil }

// ends reads until the other side has ended conn, which it must do by then.
func ends(conn net.Conn, by time.Time) error {
	_ = conn.SetReadDeadline(by)
	_, err := io.Copy(io.Discard, conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the connection was not ended in time")
	}
	return nil
}

// bystanders are clients that mind their own business, one for each port.
func (b *broker) bystanders() (check func()) {
	var all []*client
	for _, transport := range allTransports {
		c := b.dialAt(transport+":external", v5)
		c.connect("bystander-" + transport)
		c.subscribe("quiet/"+transport, 1)
		all = append(all, c)
	}
	return func() {
		b.t.Helper()
		for i, c := range all {
			topic := "quiet/" + allTransports[i]
			c.publish(topic, "still here", 0)
			c.expect(topic, "still here")
		}
		b.alive()
	}
}

// Noise on every port, bare and inside TLS and WebSocket, ends its own
// connection in bounded time and no other.
func TestNoiseEndsItsConnectionOnly(t *testing.T) {
	t.Parallel()
	b := start(t, impatient)
	check := b.bystanders()
	var group sync.WaitGroup
	noise := func(what string, conn net.Conn, text []byte) {
		group.Go(func() {
			defer conn.Close()
			_ = conn.SetWriteDeadline(time.Now().Add(patience))
			_, _ = conn.Write(text) // the broker may have had enough already
			if err := ends(conn, time.Now().Add(endOfNoise)); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	for name, text := range noises() {
		for _, transport := range allTransports {
			id := transport + ":external"
			bare, err := net.Dial("tcp", b.addr(id))
			if err != nil {
				t.Fatal(err)
			}
			noise(name+" to "+id, bare, text)
			if transport == "tcp" {
				continue
			}
			inside, err := b.transport(id)
			if err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			noise(name+" inside "+id, inside, text)
		}
	}
	check()
	group.Wait()
	check()
	b.eventually("only the bystanders are left", func() bool { return b.nodeStatus().Connections == len(allTransports) })
}

// A client may cut its bytes as it likes: one at a time, or everything at once.
func TestAnyCutOfTheBytesIsServed(t *testing.T) {
	t.Parallel()
	b := start(t, setup{})
	for _, transport := range allTransports {
		for _, v := range allVersions {
			id := fmt.Sprintf("cut-%s-%d", transport, v)
			var all []byte
			for _, p := range []packet.Packet{
				&packet.Connect{ClientID: id, CleanStart: true, KeepAlive: 60, Version: v},
				&packet.Subscribe{PacketID: 1, Filters: []packet.Filter{{Filter: id, QoS: 1}}},
				&packet.Publish{Topic: id, Payload: []byte("whole"), QoS: 1, PacketID: 2},
				&packet.Pingreq{},
			} {
				all = packet.Append(all, v, p)
			}
			for _, size := range []int{1, 2, 7, len(all)} {
				t.Run(fmt.Sprintf("%s by %d", id, size), func(t *testing.T) {
					c := b.dialAt(transport+":external", v)
					for rest := all; len(rest) > 0; rest = rest[min(size, len(rest)):] {
						if err := c.raw(rest[:min(size, len(rest))]); err != nil {
							t.Fatal(err)
						}
					}
					seen := map[packet.Type]int{}
					for seen[packet.TypePingresp] == 0 || seen[packet.TypePublish] == 0 {
						p := c.read()
						if p == nil {
							t.Fatalf("closed after %v", seen)
						}
						seen[p.Type()]++
					}
					for _, want := range []packet.Type{packet.TypeConnack, packet.TypeSuback, packet.TypePuback} {
						if seen[want] != 1 {
							t.Errorf("%d %v", seen[want], want)
						}
					}
					c.close()
				})
			}
		}
	}
}

// Half a packet from a connected client is no sign of life: the keep alive ends
// its connection [MQTT-3.1.2-22].
func TestHalfAPacketDoesNotKeepAlive(t *testing.T) {
	t.Parallel()
	b := start(t, setup{})
	check := b.bystanders()
	var group sync.WaitGroup
	for _, transport := range allTransports {
		c := b.dialAt(transport+":external", v5)
		c.connectWith(&packet.Connect{ClientID: "half-" + transport, CleanStart: true, KeepAlive: 1})
		whole := packet.Append(nil, v5, &packet.Publish{Topic: "half", Payload: make([]byte, 1<<10)})
		if err := c.raw(whole[:len(whole)/2]); err != nil {
			t.Fatal(err)
		}
		group.Go(func() {
			p, err := c.tryRead()
			if d, ok := p.(*packet.Disconnect); !ok || d.Code != packet.KeepAliveTimeout {
				t.Errorf("%s: got %v, %v, want DISCONNECT 0x8D", transport, p, err)
			}
		})
	}
	group.Wait()
	check()
}

// Clients that send a byte now and then but never say what they want do not get
// more time for it, and the others do not notice.
func TestSlowLoris(t *testing.T) {
	t.Parallel()
	const each = 50
	b := start(t, impatient)
	check := b.bystanders()
	drip := strings.Repeat("x", 1<<10)
	slow := map[string]string{
		"tcp": "\x10\x80\x02" + drip,           // a CONNECT of 256 bytes
		"ssl": "\x16\x03\x01\x04\x00" + drip,   // a TLS record of 1 KiB
		"ws":  "GET /mqtt HTTP/1.1\r\n" + drip, // a header line
		"wss": "\x16\x03\x01\x04\x00" + drip,
	}
	var group sync.WaitGroup
	for transport, text := range slow {
		for range each {
			conn, err := net.Dial("tcp", b.addr(transport+":external"))
			if err != nil {
				t.Fatal(err)
			}
			group.Go(func() {
				defer conn.Close()
				by := time.Now().Add(endOfNoise)
				ended := make(chan error, 1)
				go func() { ended <- ends(conn, by) }()
				tick := time.NewTicker(50 * time.Millisecond)
				defer tick.Stop()
				for i := 0; ; i++ {
					_, _ = conn.Write([]byte{text[min(i, len(text)-1)]})
					select {
					case err := <-ended:
						if err != nil {
							t.Errorf("%s: %v", transport, err)
						}
						return
					case <-tick.C:
					}
				}
			})
		}
	}
	check()
	group.Wait()
	check()
}

// MQTT travels in binary frames only [MQTT-6.0.0-1].
func TestTextFramesAreClosed(t *testing.T) {
	t.Parallel()
	b := start(t, setup{})
	for _, id := range []string{"ws:external", "wss:external"} {
		conn, err := b.transport(id)
		if err != nil {
			t.Fatal(err)
		}
		connect := packet.Append(nil, v311, &packet.Connect{ClientID: "text", CleanStart: true, Version: v311})
		if err := wsutil.WriteClientMessage(conn.(*webConn).Conn, ws.OpText, connect); err != nil {
			t.Fatal(err)
		}
		c := b.client(conn, v311)
		if _, err := c.tryRead(); err == nil {
			t.Errorf("%s: a text frame was served", id)
		}
		c.close()
	}
	b.alive()
}
