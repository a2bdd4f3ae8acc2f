package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// Kind is what a run does.
type Kind string

// The kinds.
const (
	Conn  Kind = "conn"  // clients that connect and stay
	Pub   Kind = "pub"   // clients that publish
	Sub   Kind = "sub"   // clients that subscribe, and what they receive
	P2P   Kind = "p2p"   // pairs: one publishes to the other
	Fan   Kind = "fan"   // one publisher to many subscribers, or many to one
	Storm Kind = "storm" // connect, subscribe, publish, receive, disconnect, again
)

// Config is one run. The zero values of Flow and Pace are those of the fields'
// comments.
type Config struct {
	Kind    Kind
	Target  Target
	Clients Clients
	Flow    Flow
	Pace    Pace
	// PID is the broker's process, whose processor time and memory are measured
	// with those of its children; 0: none. Linux only.
	PID int
	// Threads is how many threads the clients are spread over; 0: 1. Fan has one.
	Threads int
}

// Target is the broker.
type Target struct {
	Host string
	Port int
	TLS  *tls.Config // nil: none
	// WebSocket is the path of the WebSocket endpoint; "": no WebSocket.
	WebSocket string
	// Own says that the user may load a broker that is on another machine.
	Own bool
	// Bind are source addresses to take turns with; nil: chosen by the system, and
	// for a broker on 127.0.0.0/8 spread over 127.1.0.0/16, since an address has no
	// more than 64 Ki ports.
	Bind []netip.Addr
}

// Clients is what the clients have in common.
type Clients struct {
	Count     int    // clients; for P2P pairs, for Fan the many, for Storm those at once
	Start     int    // number of the first
	Prefix    string // of client identifiers; "": "bench-" and the run's number
	Version   packet.Version
	Username  string // may have %i
	Password  string
	KeepAlive uint16 // seconds; they ping in time. 0: off
	Persist   bool   // clean start off; with 5.0 sessions live for an hour
}

// Flow is the messages.
type Flow struct {
	// Topic of publishers and filter of subscribers: %i is the client's number, %c
	// its identifier, %u its user name. P2P, Fan and Storm make their own if it is "".
	Topic  string
	QoS    byte
	Retain bool
	Size   int // bytes of a payload; Stamp or more are measured
	// Payload is what Pub publishes, as it is and without a stamp; nil: Size bytes.
	Payload []byte
	// Window is how many messages a publisher has under way at once (sent and not
	// yet received, for Pub not yet acknowledged); 0: 100. Pub with QoS 0 has none.
	Window int
	// Rate is messages published each second in total; 0: as many as Window lets.
	Rate float64
	// Limit ends publishing after so many messages in total; 0: none.
	Limit uint64
	In    bool // Fan: many publishers to one subscriber
}

// Pace is when things happen.
type Pace struct {
	// ConnRate is connections begun each second; 0: as fast as 256 handshakes at
	// once let.
	ConnRate float64
	Warm     time.Duration // traffic before the measurement
	Duration time.Duration // of the measurement; 0: 10 s
	Timeout  time.Duration // of one handshake; 0: 10 s
}

// Limits of a run, so that a slip of the pen is no attack.
const (
	MaxClients  = 2_000_000
	MaxSize     = 16 << 20
	MaxDuration = 7 * 24 * time.Hour
	MaxRate     = 50e6
	MaxWindow   = 60_000
	MaxThreads  = 256
)

// prepare fills in what is left out and refuses what cannot be.
func (c *Config) prepare() error {
	c.defaults()
	var faults []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	f, n := &c.Flow, &c.Clients
	switch c.Kind {
	case Conn, P2P, Fan, Storm:
	case Pub, Sub:
		bad(f.Topic == "", "%s needs a topic", c.Kind)
	default:
		bad(true, "unknown kind of run %q", c.Kind)
	}
	bad(n.Count < 1 || n.Count > MaxClients, "%d clients: 1 to %d are possible", n.Count, MaxClients)
	bad(c.Target.Port < 1 || c.Target.Port > 65535, "port %d: 1 to 65535 are possible", c.Target.Port)
	bad(n.Version < packet.V31 || n.Version > packet.V50, "protocol version %d: 3 (3.1), 4 (3.1.1) and 5 are known", n.Version)
	bad(f.QoS > 2, "QoS %d: 0, 1 and 2 are possible", f.QoS)
	bad(f.Payload != nil && c.Kind != Pub, "%s makes its payloads itself", c.Kind)
	bad(len(f.Payload) > MaxSize, "payload of %d bytes: up to %d are possible", len(f.Payload), MaxSize)
	bad(f.Size < 0 || f.Size > MaxSize, "payload of %d bytes: 0 to %d are possible", f.Size, MaxSize)
	bad(f.Window < 0 || f.Window > MaxWindow, "window of %d messages: 1 to %d are possible", f.Window, MaxWindow)
	bad(!(f.Rate >= 0 && f.Rate <= MaxRate), "%v messages a second: 0 to %.0f are possible", f.Rate, MaxRate)
	bad(!(c.Pace.ConnRate >= 0 && c.Pace.ConnRate <= 1e6), "%v connections a second: 0 to 1000000 are possible", c.Pace.ConnRate)
	bad(c.Pace.Duration < 0 || c.Pace.Duration > MaxDuration, "duration %s: up to %s is possible", c.Pace.Duration, MaxDuration)
	bad(c.Pace.Warm < 0 || c.Pace.Warm > MaxDuration, "warm-up of %s: up to %s is possible", c.Pace.Warm, MaxDuration)
	bad(c.Threads < 1 || c.Threads > MaxThreads, "%d threads: 1 to %d are possible", c.Threads, MaxThreads)
	bad(c.Kind != Conn && c.Kind != Sub && c.Kind != Storm && strings.ContainsAny(f.Topic, "+#"), "topic %q has a wildcard: only sub takes filters", f.Topic)
	bad((c.Kind == P2P || c.Kind == Fan || c.Kind == Storm) && f.Size < Stamp, "payload of %d bytes: %s needs %d to tell messages apart", f.Size, c.Kind, Stamp)
	each := f.Topic == "" || strings.Contains(f.Topic, "%i") || strings.Contains(f.Topic, "%c")
	bad((c.Kind == P2P || c.Kind == Storm) && !each, "topic %q is the same for all: %s needs %%i or %%c in it", f.Topic, c.Kind)
	bad(c.Kind == Fan && !f.In && strings.Contains(f.Topic, "%"), "topic %q differs among clients: one publisher needs one topic", f.Topic)
	return errors.Join(faults...)
}

func (c *Config) defaults() {
	if c.Flow.Window == 0 {
		c.Flow.Window = 100
	}
	if c.Pace.Duration == 0 {
		c.Pace.Duration = 10 * time.Second
	}
	if c.Pace.Timeout == 0 {
		c.Pace.Timeout = 10 * time.Second
	}
	if c.Threads == 0 || c.Kind == Fan {
		c.Threads = 1
	}
	if c.Clients.Version == 0 {
		c.Clients.Version = packet.V311
	}
}

// connections is how many are open at once.
func (c *Config) connections() int {
	switch c.Kind {
	case P2P:
		return 2 * c.Clients.Count
	case Fan:
		return c.Clients.Count + 1
	}
	return c.Clients.Count
}
