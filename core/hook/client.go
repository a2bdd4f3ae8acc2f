package hook

import (
	"net/netip"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// Client is what hooks are told of a client. It is written by the client's own
// channel until the CONNECT is accepted and not after, so that events may share
// it between goroutines.
type Client struct {
	ID          string
	Username    string
	HasUsername bool
	Peer        netip.AddrPort // the client's address, from the PROXY header where one is used
	Local       netip.AddrPort // the listener that it came through: the port is exact, the address may be unspecified
	Listener    string         // for example "tcp:external"
	Zone        string
	Protocol    packet.Version
	CleanStart  bool
	HasWill     bool // the CONNECT had a will
	Bridge      bool // the peer is a bridge (MQTT 3.x level | 0x80)
	KeepAlive   uint16
	Expiry      uint32 // session expiry interval in seconds; 0xFFFFFFFF: never
	CommonName  string // of the TLS client certificate; "" if none
	DN          string // its distinguished name
	Conn        uint64 // unique per connection in this process: the shard key of plugins
	ConnectedAt time.Time

	// What authentication decided.
	Principal   string
	Tenant      string
	Superuser   bool
	Attributes  map[string]string
	Permissions []Permission // evaluated by the core, first match wins; nil: ask the acl chain
	ExpiresAt   time.Time    // zero: the login does not expire
}

// Loopback tells whether the client's address is this machine.
func (c *Client) Loopback() bool { return c.Peer.Addr().Unmap().IsLoopback() }

// Again is the client for a re-authentication: what the login before allowed is
// decided anew. Who it was stays, since the callbacks are told of that.
func (c *Client) Again() *Client {
	again := *c // events may hold the old facts
	again.Superuser, again.Permissions, again.ExpiresAt = false, nil, time.Time{}
	return &again
}

// Action is what a client wants to do with a topic.
type Action byte

// The actions.
const (
	Publish   Action = 1
	Subscribe Action = 2
	PubSub    Action = Publish | Subscribe
)
