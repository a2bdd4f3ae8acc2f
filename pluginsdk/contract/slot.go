package contract

// Slot is the number of a slot within the records of one hook. Numbers are
// append-only: a reader ignores slots it does not know and takes a missing one
// as absent.
type Slot uint8

// The first four slots of every record about a client. In message hooks they
// describe the publisher (publish, will, published, retained_store) or the
// subscriber (deliver, delivered, acked, dropped), and are absent when no client
// is involved.
const (
	SlotClientID Slot = 0
	SlotUsername Slot = 1
	SlotPeer     Slot = 2 // "192.0.2.1:51000", "[2001:db8::1]:51000"
	SlotListener Slot = 3 // "tcp:external"
)

// The slots of connect, authenticate, auth_continue, connected, disconnected
// and session_*. Aux is the keep alive in seconds (disconnected: the reason code).
const (
	SlotZone          Slot = 4
	SlotProtocol      Slot = 5 // protocol name: "MQTT", "MQIsdp"
	SlotConnProps     Slot = 6 // CONNECT (auth_continue: AUTH) properties, wire form without length
	SlotSessionExpiry Slot = 7 // u32 seconds; 0xFFFFFFFF never
	SlotConnectedAt   Slot = 8 // u64 Unix nanoseconds
	SlotCommonName    Slot = 9 // of the TLS client certificate
	SlotDN            Slot = 10
	SlotPrincipal     Slot = 11 // what authentication decided
	SlotTenant        Slot = 12
	SlotLocal         Slot = 13 // the address the client connected to

	// connect only.
	SlotWillTopic   Slot = 14
	SlotWillPayload Slot = 15
	SlotWillProps   Slot = 16 // wire form without length

	// authenticate and auth_continue only.
	SlotPassword   Slot = 14
	SlotAuthMethod Slot = 15
	SlotAuthData   Slot = 16
	SlotAuthState  Slot = 17 // ExtState of the verdict that answered Continue
	SlotAuthWill   Slot = 18 // topic of the CONNECT's will; absent: there is none

	// connack only.
	SlotReasonCode Slot = 14 // u32, of CONNACK

	// disconnected only.
	SlotDisconnectReason Slot = 14 // EMQ X 4's word: normal, keepalive_timeout, takeovered ...
)

// The slots of message hooks: publish, will, deliver, published, delivered,
// acked, dropped, retained_store. Aux is the payload's size in bytes, also when
// the payload itself was not asked for.
const (
	SlotTopic     Slot = 4
	SlotPayload   Slot = 5
	SlotProps     Slot = 6  // forwarded PUBLISH properties, wire form without length
	SlotExpiry    Slot = 7  // u32 Message Expiry Interval, seconds left; absent: never
	SlotFrom      Slot = 8  // client id of the publisher, or name of the plugin
	SlotReason    Slot = 9  // dropped: EMQ X 4's word
	SlotMessageID Slot = 10 // u32 node, u32 incarnation, u64 seq
)

// The slots of acl and acl_checked beside SlotTopic (a topic name, or a filter without
// share prefix). Aux of acl_checked is ACLAllowed and ACLCached.
const (
	SlotACLPrincipal Slot = 5
	SlotACLTenant    Slot = 6
	SlotACLName      Slot = 7 // common name of the TLS client certificate
	SlotACLDN        Slot = 8
	SlotACLLocal     Slot = 9 // the address the client connected to
)

// The slots of subscribe and unsubscribe. Aux is the number of filters.
const (
	SlotFilters  Slot = 4 // payload of the packet in wire form: u16 length, filter [, options byte]
	SlotSubProps Slot = 5 // wire form without length
)

// The slots of subscribed, unsubscribed and retained_read. Aux is the
// subscription options byte [MQTT-3.8.3.1].
const (
	SlotFilter Slot = 4 // retained_read: without share prefix
	SlotSubID  Slot = 5 // u32 Subscription Identifier; absent: none
)

// The slots of answers. Aux is the timer's id; the status of the response, 0: there
// is none; 1: the password belongs to the hash, 0: it does not.
const (
	SlotID         Slot = 0 // http_response, hash_result: u64 that the guest gave the call
	SlotError      Slot = 1 // why there is no answer, UTF-8; absent: there is
	SlotHeaders    Slot = 2 // http_response: lines "Name: value\n", names in canonical form
	SlotAnswerBody Slot = 3 // http_response
)

// The bits of acl_checked's Aux.
const (
	ACLAllowed uint32 = 1 << 0 // else denied
	ACLCached  uint32 = 1 << 1 // by an answer that was remembered
)

// Flags is the u32 of a record's header.
type Flags uint32

// Flag bits. The lowest two bits are the QoS.
const (
	FlagQoS        Flags = 3
	FlagRetain     Flags = 1 << 2
	FlagDup        Flags = 1 << 3
	FlagPublish    Flags = 1 << 4 // acl: the client wants to publish
	FlagSubscribe  Flags = 1 << 5 // acl: the client wants to subscribe
	FlagNew        Flags = 1 << 9 // subscribed, retained_read: the subscription did not exist
	FlagCleanStart Flags = 1 << 10
	FlagReauth     Flags = 1 << 11 // authenticate, auth_continue: of a connected client
	FlagSuperuser  Flags = 1 << 12
	FlagBridge     Flags = 1 << 13
	FlagPayloadCut Flags = 1 << 14 // the payload slot holds less than Aux bytes
	FlagRetained   Flags = 1 << 15 // deliver, delivered: sent because of a new subscription

	versionShift       = 6 // 3 bits: 3, 4 or 5; 0: not known
	versionBits  Flags = 7 << versionShift
	originShift        = 16 // 4 bits
	originBits   Flags = 15 << originShift
	hopsShift          = 20 // 4 bits
	hopsBits     Flags = 15 << hopsShift
)

// QoS is the quality of service of a message, will or subscription request.
func (f Flags) QoS() byte { return byte(f & FlagQoS) }

// WithQoS returns f with the QoS q (0..2).
func (f Flags) WithQoS(q byte) Flags { return f&^FlagQoS | Flags(q)&FlagQoS }

// Version is the client's MQTT protocol level: 3, 4 or 5; 0 if there is no client.
func (f Flags) Version() byte { return byte(f & versionBits >> versionShift) }

// WithVersion returns f with the protocol level v.
func (f Flags) WithVersion(v byte) Flags {
	return f&^versionBits | Flags(v)<<versionShift&versionBits
}

// Origin says who gave a message to the broker.
type Origin byte

// The origins.
const (
	OriginClient Origin = iota
	OriginWill
	OriginPlugin
	OriginSys
	OriginAdmin
	OriginPeer
)

// Origin is who gave the message to the broker.
func (f Flags) Origin() Origin { return Origin(f & originBits >> originShift) }

// WithOrigin returns f with the origin o.
func (f Flags) WithOrigin(o Origin) Flags {
	return f&^originBits | Flags(o)<<originShift&originBits
}

// Hops is how many plugins have published the message on.
func (f Flags) Hops() byte { return byte(f & hopsBits >> hopsShift) }

// WithHops returns f with n hops (at most 15).
func (f Flags) WithHops(n byte) Flags { return f&^hopsBits | Flags(n)<<hopsShift&hopsBits }

// Has tells whether all bits of mask are set.
func (f Flags) Has(mask Flags) bool { return f&mask == mask }
