// Package channel is the protocol machine of one client, CONNECT to DISCONNECT:
// handshake, limits, aliases, keepalive, will, the ordered publish steps. Bytes
// and the time come in, bytes and calls to its neighbours go out. It refuses to
// know sockets, goroutines and clocks.
package channel

import (
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/broker"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/metrics"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
)

// Env is what all channels of a node share. Immutable but for its counters.
type Env struct {
	Hooks    *hook.Points
	Access   *access.Access
	Broker   *broker.Broker
	Registry *registry.Registry
	Router   *router.Router
	Metrics  *metrics.Registry
	Journal  *journal.Journal // nil: nothing survives
	Log      *zap.Logger

	conns atomic.Uint64
	late  atomic.Uint64
}

// Late is how many connections were closed because no CONNECT came in time.
func (e *Env) Late() uint64 { return e.late.Load() }

// Peer is what the listener knows of a new connection.
type Peer struct {
	Client hook.Client // Peer, Listener, CommonName, DN; the rest is the channel's
	// Username and ClientID from the TLS certificate replace those of the CONNECT
	// (peer_cert_as_username); "" leave it.
	CertUsername string
	CertClientID string // of peer_cert_as_clientid
}

// state is how far a channel has come.
type state byte

const (
	awaitConnect   state = iota
	authenticating       // an AUTH from the client is awaited
	claiming             // another connection has to give the session up first, or the session is not safe yet
	connected
	closed // nothing more is read; released
)

// Channel is one client's machine. All of it but mail belongs to the
// connection's turn.
type Channel struct {
	// Immutable after New.
	env  *Env
	zone *Zone
	wake registry.Runner
	peer *Peer // nil once connected

	// Owned by the turn.
	state      state
	version    packet.Version
	reading    bool         // messages of an offline time are being read back
	unreadable bool         // reading them back has failed
	held       bool         // the socket's backlog is above the zone's limit
	expiry     uint32       // session expiry interval, seconds
	client     *hook.Client // shared with events once connected: not written after
	owner      *registry.Client
	sess       *session.Session
	pending    *handshake // the CONNECT under way; nil once connected
	begun      *begun     // the session is ours and not safe yet; nil: it is, or not ours
	promises   *promises  // answers that wait for the store; nil: none
	reauth     *hook.AuthEvent
	will       *packet.Will
	mount      string // mountpoint with placeholders replaced
	limits     limits
	aliases    *aliases // nil: none yet
	replays    []replay // retained messages still to be sent, oldest subscription first
	cache      *access.Cache
	lists      hook.Lists // of acl plugins, in place of asking them
	lastSeen   int64      // when the client last sent a packet
	aliveFor   int64      // nanoseconds without a packet after which it is gone; 0: for ever
	rates      *rates     // nil: not connected, or the zone limits nothing
	wait       wait       // for verdicts that come later
	throttle   int64      // a plugin lets nothing be read until then, Unix nanoseconds

	mail mail
}

// limits are what a 5.0 client asked for in its CONNECT.
type limits struct {
	maxPacket   uint32 // 0: none
	problemInfo bool   // Reason String and User Properties are welcome on every packet
	authMethod  string
}

// mail is what other goroutines leave for the turn.
type mail struct {
	mu    sync.Mutex
	claim *registry.Claim // the answer to a claim that had to wait
	read  *readBack       // the session asked for it
	lost  bool            // no turn will come any more
}

// readBack is messages of an offline time that were read from the disk.
type readBack struct {
	ms  []session.Loaded
	err error
}

// New returns the machine of a connection that has just been accepted. Its Run
// must be called once at the start, for the deadline of the CONNECT.
func New(env *Env, zone *Zone, peer *Peer, wake registry.Runner) *Channel {
	peer.Client.Zone = zone.Name
	peer.Client.Conn = env.conns.Add(1)
	client := peer.Client // a copy, so that what only the CONNECT needs of peer can go
	return &Channel{env: env, zone: zone, peer: peer, client: &client, wake: wake}
}

// turn is scratch that a channel borrows for one call, so that an idle channel
// holds none.
type turn struct {
	decoder packet.Decoder
	effects session.Effects
	slab    message.Slab
	pubs    []hook.PublishEvent
	taken   []taken
	acl     []hook.ACLEvent
	denied  bool // the acl refused one of pubs
	msgs    []*message.Message
	deliver []hook.DeliverEvent
	count   *metrics.Counters // the batch's
	sent    int               // bytes in IO.Out when the call began
}

var turns = sync.Pool{New: func() any { return new(turn) }}

func (c *Channel) start(io *IO) *turn {
	t := turns.Get().(*turn)
	t.sent, t.count = len(io.Out), &io.Batch.Count
	return t
}

func (c *Channel) finish(io *IO, t *turn) {
	if t.halfway() {
		c.breakOff(io, t)
		return
	}
	c.settle(io, t)
	t.decoder.Release()
	t.count.BytesSent += uint64(max(0, len(io.Out)-t.sent))
	c.tally(io)
	t.count = nil
	turns.Put(t)
}

// settle is the end of every call: it tells the connection what is next.
func (c *Channel) settle(io *IO, t *turn) {
	if c.state == connected {
		c.pumpReplays(io, t)
	}
	if c.state == connected && c.unreadable {
		c.fail(io, &fault{packet.ImplementationSpecificError, "the store cannot be read"})
	}
	now := io.Batch.Now
	// A client that reads nothing of what its own packets are answered with is
	// not read any more: deliveries stop at MaxBacklog, so only answers get here.
	io.Pause = c.state == claiming || c.wait.on() || io.Backlog+len(io.Out) > 2*c.zone.MaxBacklog || c.pausedUntil(now) > 0 || c.overdue()
	io.Deadline = c.deadline(now)
}

// Input handles the whole packets at the start of b and returns how many bytes
// they took. PUBLISHes that follow each other are authorised, published and
// acknowledged together, and so is carried out what follows from acknowledgements
// that follow each other.
func (c *Channel) Input(io *IO, b []byte) (n int) {
	t := c.start(io)
	defer c.finish(io, t)
	t.decoder.Version, t.decoder.MaxSize = c.version, c.zone.MaxPacketSize
	for n < len(b) && c.reads() && !c.slowed(io.Batch.Now, b[n]) {
		p, used, err := t.decoder.Next(b[n:])
		if _, ack := p.(*packet.Ack); !ack {
			c.emit(io, t)
		}
		if err != nil {
			if c.flush(io, t); !c.wait.on() {
				c.version = t.decoder.Version
				c.malformed(io, err)
			}
			break
		}
		if used == 0 {
			break
		}
		pub, _ := p.(*packet.Publish)
		if pub == nil || c.state != connected {
			if c.flush(io, t); c.wait.on() || c.throttle > io.Batch.Now {
				break // the packet comes again
			}
		}
		n += used
		c.rates.spend(p, used)
		t.count.PacketsReceived++
		c.lastSeen = io.Batch.Now
		switch {
		case c.state == closed:
		case pub == nil || c.state != connected:
			c.handle(io, t, p)
		default:
			c.collect(io, t, pub)
		}
	}
	c.flush(io, t)
	c.emit(io, t)
	t.count.BytesReceived += uint64(n)
	if c.state == closed {
		return len(b)
	}
	return n
}

// reads tells whether the channel takes another packet now.
func (c *Channel) reads() bool { return c.state != closed && c.state != claiming && !c.wait.on() }

// fault is why a connection is ended by the server.
type fault struct {
	code packet.ReasonCode
	text string
}

// handle is the table of packets other than PUBLISH.
func (c *Channel) handle(io *IO, t *turn, p packet.Packet) {
	var f *fault
	switch p := p.(type) {
	case *packet.Connect:
		t.count.PacketsConnectReceived++
		c.handleConnect(io, t, p)
	case *packet.Auth:
		t.count.PacketsAuthReceived++
		f = c.handleAuth(io, t, p)
	default:
		if _, leaves := p.(*packet.Disconnect); leaves {
			t.count.PacketsDisconnectReceived++
			if c.state != connected {
				c.close(io) // [MQTT-3.1.2-30] lets a client leave before its CONNACK
				return
			}
		}
		if c.state != connected {
			f = &fault{packet.ProtocolError, "packet before the end of authentication"}
			break
		}
		f = c.handleConnected(io, t, p)
	}
	if f != nil {
		c.fail(io, f)
	}
}

func (c *Channel) handleConnected(io *IO, t *turn, p packet.Packet) *fault {
	switch p := p.(type) {
	case *packet.Ack:
		return c.handleAck(io, t, p)
	case *packet.Subscribe:
		return c.handleSubscribe(io, t, p)
	case *packet.Unsubscribe:
		return c.handleUnsubscribe(io, t, p)
	case *packet.Pingreq:
		io.Out = packet.Append(io.Out, c.version, &packet.Pingresp{})
		t.count.PacketsPingreqReceived++
		t.count.PacketsPingrespSent++
		return nil
	case *packet.Disconnect:
		return c.handleDisconnect(io, p)
	}
	return &fault{packet.ProtocolError, "packet is not for a server"}
}

// Run does what other goroutines have left: the answer to a claim, an eviction,
// deliveries; and goes on sending where the socket had no room.
func (c *Channel) Run(io *IO) {
	t := c.start(io)
	defer c.finish(io, t)
	if c.state == awaitConnect && c.lastSeen == 0 {
		c.lastSeen = io.Batch.Now
	}
	switch {
	case c.begun != nil:
		c.proceed(io, t)
	case c.state == claiming:
		c.collectClaim(io, t)
	}
	c.resume(io, t)
	if c.state == connected {
		c.redeem(io)
	}
	if c.state == connected {
		c.drain(io, t)
	}
}

// Tick does what is due at the deadline.
func (c *Channel) Tick(io *IO) {
	t := c.start(io)
	defer c.finish(io, t)
	now := io.Batch.Now
	c.resume(io, t)
	switch {
	case c.state == closed:
	case c.state != connected:
		if now >= c.deadline(now) {
			c.env.late.Add(1)
			c.close(io)
		}
	case c.aliveFor > 0 && now >= c.lastSeen+c.aliveFor && !c.wait.on():
		c.fail(io, &fault{packet.KeepAliveTimeout, "no packet within 1.5 times the keep alive"})
	case !c.client.ExpiresAt.IsZero() && now >= c.client.ExpiresAt.UnixNano():
		c.fail(io, &fault{packet.MaximumConnectTime, "the login has expired"})
	default:
		t.effects.Reset()
		c.sess.Tick(now, &t.effects)
		c.emit(io, t)
	}
}

// deadline is when Tick has something to do.
func (c *Channel) deadline(now int64) int64 {
	switch c.state {
	case closed:
		return 0
	case connected:
		at := earlier(earlier(c.sess.NextTick(), c.pausedUntil(now)), c.wait.deadline())
		if c.aliveFor > 0 && !c.wait.on() {
			at = earlier(at, c.lastSeen+c.aliveFor)
		}
		if !c.client.ExpiresAt.IsZero() {
			at = earlier(at, c.client.ExpiresAt.UnixNano())
		}
		return at
	case claiming:
		return 0 // the owner's own timers end its hold
	}
	if c.wait.on() {
		return c.wait.deadline()
	}
	return max(c.lastSeen, c.throttle) + int64(c.zone.IdleTimeout)
}

// earlier is the earlier of two times of which 0 means never.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
