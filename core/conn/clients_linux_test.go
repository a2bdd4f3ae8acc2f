package conn_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/broker"
	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/conn"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/listener"
	"github.com/dunlinmq/dunlin/core/metrics"
	mqtt "github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
)

// crowd is a node of full clients (connection, channel, session, registry entry,
// subscription, timer) on a transport in memory: more than descriptors allow.
type crowd struct {
	engine    *conn.Engine
	env       *channel.Env
	zone      channel.Zone
	clients   []*remote
	delivered atomic.Int64 // bytes that came to clients
	cancel    context.CancelFunc
	ended     chan struct{}
}

// remote is a client's side of the transport. It is the connection too.
type remote struct {
	net.Conn // nil: nobody asks for more than below
	crowd    *crowd
	waker    conn.Waker
	mu       sync.Mutex
	in       []byte // guarded by mu: what the broker has not read
}

func (r *remote) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := copy(p, r.in)
	if r.in = r.in[n:]; n == 0 {
		r.in = nil
		return 0, listener.ErrDry
	}
	return n, nil
}

func (r *remote) Write(p []byte) (int, error) {
	r.crowd.delivered.Add(int64(len(p)))
	return len(p), nil
}

func (r *remote) send(b []byte) {
	r.mu.Lock()
	r.in = append(r.in, b...)
	r.mu.Unlock()
	r.waker.(*conn.Conn).Arrive()
}

// gather connects n clients, each with a subscription of its own.
func gather(tb testing.TB, n int) *crowd {
	e, err := conn.New(conn.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	hooks := new(hook.Points)
	c := &crowd{engine: e, ended: make(chan struct{})}
	c.zone = channel.Zone{
		IdleTimeout: time.Minute, Access: access.Policy{Anonymous: access.AnonymousAllow, EnableACL: true, NoMatch: true}, MaxPacketSize: 1 << 20,
		MaxClientIDLen: 100, MaxQoS: 2, KeepaliveBackoff: 0.75, MaxBacklog: 1 << 20, WildcardAvailable: true,
		Session: session.Config{MaxInflight: 32, MaxQueueLen: 1000},
	}
	c.zone.Freeze()
	c.env = &channel.Env{Hooks: hooks, Metrics: metrics.New(2), Log: zap.NewNop(), Router: router.New(router.Config{}), Access: access.New(hooks)}
	c.env.Broker = broker.New(broker.Config{Node: 1, Incarnation: 1}, hooks, c.env.Router)
	c.env.Registry = registry.New(registry.Config{
		Hooks: hooks, Router: c.env.Router, PublishWill: c.env.PublishWill, Redispatch: c.env.Broker.Redispatch,
	})
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	go func() {
		defer close(c.ended)
		_ = e.Run(ctx) // reports nothing
	}()
	tb.Cleanup(func() { c.cancel(); <-c.ended })
	c.clients = make([]*remote, n)
	for i := range c.clients {
		c.clients[i] = c.connect(tb, i)
	}
	expect := int64(n) * (4 + 5) // CONNACK and SUBACK
	for end := time.Now().Add(5 * time.Minute); c.delivered.Load() < expect; runtime.Gosched() {
		if time.Now().After(end) {
			tb.Fatalf("%d of %d clients are connected, %d of %d bytes came", c.env.Registry.Online(), n, c.delivered.Load(), expect)
		}
	}
	return c
}

func (c *crowd) connect(tb testing.TB, i int) *remote {
	r := &remote{crowd: c}
	r.in = mqtt.Append(nil, mqtt.V311, &mqtt.Connect{Version: mqtt.V311, ClientID: fmt.Sprintf("client-%07d", i), CleanStart: true, KeepAlive: 3600})
	r.in = mqtt.Append(r.in, mqtt.V311, &mqtt.Subscribe{PacketID: 1, Filters: []mqtt.Filter{{Filter: fmt.Sprintf("to/%d", i)}}})
	a := listener.Accepted{Conn: r, FD: -1, Pipe: listener.NewPipe(-1)}
	err := c.engine.Serve(a, func(w conn.Waker) conn.Machine {
		r.waker = w
		return channel.New(c.env, &c.zone, &channel.Peer{}, w)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// talk has the first few clients send one message each to their neighbours.
func (c *crowd) talk(tb testing.TB, pubs [][]byte) {
	want := c.delivered.Load()
	for i, p := range pubs {
		want += int64(len(p))
		c.clients[i].send(p)
	}
	for end := time.Now().Add(patience); c.delivered.Load() < want; runtime.Gosched() {
		if time.Now().After(end) {
			tb.Fatal("messages are missing")
		}
	}
}

// talks are the PUBLISHes of the first n clients.
func talks(n int) [][]byte {
	pubs := make([][]byte, n)
	for i := range pubs {
		pubs[i] = mqtt.Append(nil, mqtt.V311, &mqtt.Publish{Topic: fmt.Sprintf("to/%d", (i+1)%n), Payload: make([]byte, 64)})
	}
	return pubs
}

func liveHeap() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// A full client that is idle costs a bounded amount of memory, with its topic, its
// client id and the transport of this test.
func TestFullClientMemory(t *testing.T) {
	const n, most = 5000, 1800
	before := liveHeap()
	c := gather(t, n)
	c.talk(t, talks(100))
	per := (liveHeap() - before) / n
	t.Logf("%d bytes per client", per)
	if per > most {
		t.Errorf("more than %d", most)
	}
	if got := c.env.Registry.Online(); got != n {
		t.Errorf("%d of %d are connected", got, n)
	}
}

// BenchmarkCrowd shows that a message among a thousand clients costs the same
// however many others are connected, and what these cost.
func BenchmarkCrowd(b *testing.B) {
	for _, n := range []int{1000, 19_000, 1_000_000} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			before, start := liveHeap(), time.Now()
			c := gather(b, n)
			took := time.Since(start)
			heap := liveHeap() - before
			pubs := talks(1000)
			c.talk(b, pubs)
			cpu := cpuTime()
			for b.Loop() {
				c.talk(b, pubs)
			}
			b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(b.N)/float64(len(pubs)), "cpu-ns/msg")
			b.ReportMetric(float64(n)/took.Seconds(), "connects/s")
			b.ReportMetric(float64(heap)/float64(n), "B/client")
			b.ReportMetric(0, "ns/op")
		})
	}
}
