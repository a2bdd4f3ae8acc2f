package channel_test

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/metrics"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/topicstore"
)

// world is a node without sockets: real registry, router, broker and access,
// channels on links that a transcript drives, and a clock that it turns.
type world struct {
	env   *channel.Env
	zone  channel.Zone
	now   int64
	links []*link
	out   strings.Builder
	store *topicstore.Store
	bans  *access.Bans
	busy  bool
	disk  *disk // nil: everything is in memory
}

var hookSpec = hook.Spec{Owner: "test"}

// start is the clock's first reading, so that no time is 0.
const start = int64(1_000_000 * time.Second)

func newWorld() *world {
	w := &world{now: start, env: &channel.Env{Hooks: new(hook.Points), Metrics: metrics.New(1), Log: zap.NewNop()}}
	w.zone = defaultZone()
	w.guard()
	w.build()
	w.store = topicstore.New(topicstore.Config{})
	return w
}

func defaultZone() channel.Zone {
	return channel.Zone{
		IdleTimeout: 15 * time.Second, Access: access.Policy{EnableACL: true, NoMatch: true, EnableBan: true}, ACLCacheSize: 32,
		MaxPacketSize: 1 << 20, MaxClientIDLen: 65535, MaxTopicLevels: 128, MaxQoS: 2, MaxTopicAlias: 10,
		RetainAvailable: true, WildcardAvailable: true, SharedAvailable: true, KeepaliveBackoff: 0.75,
		SessionExpiry: 2 * time.Hour, MaxSessionExpiry: 0xFFFFFFFF, MaxBacklog: 1 << 20,
		Session: session.Config{MaxInflight: 32, RetryInterval: 30 * time.Second, MaxAwaitingRel: 100, AwaitRelTimeout: 300 * time.Second, MaxQueueLen: 1000, StoreQoS0: true},
	}
}

// link is one connection.
type link struct {
	w       *world
	name    string
	m       *channel.Channel
	io      channel.IO
	version packet.Version
	rest    []byte // bytes that the channel has not consumed
	woken   bool
	backlog int
	closed  bool
	direct  bool // the test reads io.Out itself
	decoder packet.Decoder
	pending []byte // what the channel sent and the transcript has not shown
}

func (w *world) batch() *router.Batch { return &router.Batch{Now: w.now} }

// turn calls the machine as a connection does and runs what the turn touched.
func (l *link) turn(call func(*channel.IO)) {
	if l.closed {
		return
	}
	b := l.w.batch()
	l.step(b, call)
	b.Flush()
}

func (l *link) step(b *router.Batch, call func(*channel.IO)) {
	l.io.Batch, l.io.Backlog, l.io.Out = b, l.backlog, nil
	call(&l.io)
	l.pending = append(l.pending, l.io.Out...)
	if l.io.Close && !l.closed {
		l.closed = true
		l.m.Lost(&l.io, nil)
	}
}

// Wake implements registry.Runner.
func (l *link) Wake(b *router.Batch) {
	if b != nil {
		b.Touch(l)
		return
	}
	l.woken = true
}

// Flush implements router.Sink.
func (l *link) Flush(b *router.Batch) {
	if l.closed {
		return
	}
	if l.direct {
		l.io.Batch = b
		l.m.Run(&l.io)
		return
	}
	l.step(b, l.m.Run)
	if !l.closed && !l.io.Pause && len(l.rest) > 0 {
		l.step(b, l.feed)
	}
}

func (l *link) feed(io *channel.IO) {
	n := l.m.Input(io, l.rest)
	l.rest = l.rest[n:]
}

// receive gives the channel bytes from the client.
func (l *link) receive(b []byte) {
	l.rest = append(l.rest, b...)
	if !l.io.Pause {
		l.turn(l.feed)
	}
}

func (w *world) link(name string) *link {
	i := slices.IndexFunc(w.links, func(l *link) bool { return l.name == name })
	if i < 0 {
		return nil
	}
	return w.links[i]
}

// open accepts a connection.
func (w *world) open(name, peer, cert, certID string) *link {
	w.links = slices.DeleteFunc(w.links, func(l *link) bool { return l.name == name })
	w.zone.Freeze()
	l := &link{w: w, name: name, decoder: packet.Decoder{FromServer: true}}
	if peer == "" {
		peer = "127.0.0.1:50000"
	}
	l.m = channel.New(w.env, &w.zone, &channel.Peer{Client: hook.Client{Peer: netip.MustParseAddrPort(peer)}, CertUsername: cert, CertClientID: certID}, l)
	w.links = append(w.links, l)
	l.turn(l.m.Run)
	return l
}

// settle runs woken channels and shows what everybody was sent, in the order in
// which the links were opened.
func (w *world) settle() {
	w.run()
	for _, l := range slices.Clone(w.links) {
		l.show()
	}
}

// run runs woken channels until none is.
func (w *world) run() {
	for again := true; again; {
		again = false
		for _, l := range w.links {
			if l.woken && !l.closed {
				l.woken, again = false, true
				b := w.batch()
				l.Flush(b)
				b.Flush()
			}
		}
	}
}

func (l *link) show() {
	l.decoder.Version = l.version
	for len(l.pending) > 0 {
		p, n, err := l.decoder.Next(l.pending)
		if err != nil || n == 0 {
			fmt.Fprintf(&l.w.out, "%s < bad bytes %s: %v\n", l.name, hex.EncodeToString(l.pending), err)
			l.pending = nil
			break
		}
		fmt.Fprintf(&l.w.out, "%s < %s\n", l.name, text(p))
		l.pending = l.pending[n:]
	}
	if l.closed && l.name != "" {
		fmt.Fprintf(&l.w.out, "%s closed\n", l.name)
		l.w.links = slices.DeleteFunc(l.w.links, func(o *link) bool { return o == l })
	}
}

// advance turns the clock, stopping at every deadline on the way.
func (w *world) advance(d time.Duration) {
	end := w.now + int64(d)
	for {
		var next *link
		for _, l := range w.links {
			if at := l.io.Deadline; !l.closed && at != 0 && at <= end && (next == nil || at < next.io.Deadline) {
				next = l
			}
		}
		if next == nil {
			break
		}
		w.now = max(w.now, next.io.Deadline)
		before := next.io.Deadline
		next.io.Deadline = 0
		next.turn(next.m.Tick)
		if !next.closed && !next.io.Pause && len(next.rest) > 0 {
			next.turn(next.feed)
		}
		if next.io.Deadline != 0 && next.io.Deadline <= before {
			panic(fmt.Sprintf("%s: Tick left its deadline where it was", next.name))
		}
		w.settle()
	}
	w.now = end
	b := w.batch()
	w.env.Registry.Due(b)
	b.Flush()
}

// lost ends a connection from outside.
func (l *link) lost() {
	l.turn(func(i *channel.IO) {
		l.closed = true
		l.m.Lost(i, io.EOF)
	})
}
