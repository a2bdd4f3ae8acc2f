package channel

import (
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
)

// Zone is the frozen bundle of protocol limits that a listener's clients share.
// Names and defaults are EMQ X 4's zone keys (emqx4 §2.2) unless said otherwise.
type Zone struct {
	Name string

	IdleTimeout       time.Duration // until CONNECT; default 15 s
	Access            access.Policy // allow_anonymous, enable_acl, acl_nomatch, bypass_auth_plugins
	ACLDenyDisconnect bool          // acl_deny_action = disconnect
	ACLCacheSize      int           // verdicts remembered per client (acl_cache_max_size); default 32; 0: none

	MaxPacketSize         uint32 // bytes, both ways; default 1 MiB
	MaxClientIDLen        int    // bytes; default 65535
	MaxTopicLevels        int    // 0: no limit; default 128
	MaxQoS                byte   // default 2
	MaxTopicAlias         uint16 // inbound; default 65535 as EMQ X 4 says; memory is bounded by MaxPacketSize
	RetainAvailable       bool
	WildcardAvailable     bool
	SharedAvailable       bool
	ServerKeepAlive       uint16        // seconds; 0: the client's value stands
	KeepaliveBackoff      float64       // closed after keepalive * backoff * 2; default 0.75
	MaxSubscriptions      int           // 0: no limit
	SessionExpiry         time.Duration // 3.x with clean session 0; default 2 h
	MaxSessionExpiry      uint32        // cap of what a 5.0 client may ask, seconds; default 0xFFFFFFFF
	ReceiveMaximum        uint16        // announced to 5.0 clients; 0: 65535
	IgnoreLoopDeliver     bool          // 3.x: do not deliver a client's own messages to it
	UseUsernameAsClientID bool
	Mountpoint            string // prefix of every topic, %c and %u replaced; "" none
	ResponseInformation   string
	MaxBacklog            int // bytes not taken by the socket above which QoS 0 is dropped and QoS 1/2 wait; default 1 MiB

	Limits Limits            // rates and quotas
	Flap   access.FlapPolicy // flapping_detect_policy
	// FlapDetect is enable_flapping_detect; Flap says what flapping is.
	FlapDetect bool

	// Durability is what sessions that outlive their connection, and what is
	// queued for them, have reached when it is acknowledged.
	Durability store.Durability

	Session session.Config

	session3 session.Config // of 3.x clients; set by Freeze
	routing  *shared        // of Limits.RoutingAll; set by Freeze
}

// receiveMaximum is how many QoS 1 and 2 messages a 5.0 client may have under
// way: what the session can keep, so that a client that keeps to it is never cut.
func (z *Zone) receiveMaximum() uint16 {
	n := z.ReceiveMaximum
	if n == 0 {
		n = 65535
	}
	if limit := z.Session.MaxAwaitingRel; limit > 0 && limit < int(n) {
		n = uint16(limit)
	}
	return n
}

// Freeze makes the zone ready for use. Call it once, before the first New; the
// zone must not change after.
func (z *Zone) Freeze() {
	z.session3 = z.Session
	z.session3.MaxAwaitingRel = 0
	z.routing = &shared{bucket: newBucket(z.Limits.RoutingAll, 0)}
}

// SessionConfig is the configuration of a new session. A 3.x client cannot be told
// a receive maximum and would lose its connection for what it could not know,
// so its packet identifiers alone bound what it may have under way.
func (z *Zone) SessionConfig(v packet.Version) *session.Config {
	if v == packet.V50 {
		return &z.Session
	}
	return &z.session3
}
