// Package event makes what the broker tells a plugin into the events that rules
// select from (emqx4 §7.2). It owns which column comes from where. It refuses to
// know rules.
package event

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"strings"
	"unsafe"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// The events that the broker tells, by the hook that they come from.
const (
	Message             = "$events/message_publish" // rules name its topics instead
	ClientConnected     = "$events/client_connected"
	ClientDisconnected  = "$events/client_disconnected"
	ClientConnack       = "$events/client_connack"
	ClientACLChecked    = "$events/client_check_acl_complete"
	SessionSubscribed   = "$events/session_subscribed"
	SessionUnsubscribed = "$events/session_unsubscribed"
	MessageDelivered    = "$events/message_delivered"
	MessageAcked        = "$events/message_acked"
	MessageDropped      = "$events/message_dropped"
	DeliveryDropped     = "$events/delivery_dropped"
)

// Hooks are the hooks that an event needs.
var Hooks = map[string]contract.Hook{
	ClientConnected: contract.HookConnected, ClientDisconnected: contract.HookDisconnected,
	ClientConnack: contract.HookConnack, ClientACLChecked: contract.HookACLChecked,
	SessionSubscribed: contract.HookSubscribed, SessionUnsubscribed: contract.HookUnsubscribed,
	MessageDelivered: contract.HookDelivered, MessageAcked: contract.HookAcked,
	MessageDropped: contract.HookDropped, DeliveryDropped: contract.HookDropped,
}

// Describe is an event's word and the columns that it may have. False: there is no
// such event.
func Describe(name string) (word string, columns []sql.Column, ok bool) {
	word, ok = words[name]
	s := Source{name: name}
	return word, s.All(), ok
}

// Source is one event. The texts that it returns are parts of the record. It belongs
// to one goroutine and is used again.
type Source struct {
	name string // of the event
	rec  contract.Record

	rule string // whose row it is: metadata
}

// Set makes s the event of a record, whose bytes must not change as long as
// something of the event is in use: a process never writes to a frame that it has
// received. Name is one of the constants.
func (s *Source) Set(name string, rec contract.Record) { s.name, s.rec = name, rec }

// For names the rule that is run: metadata.rule_id.
func (s *Source) For(rule string) { s.rule = rule }

// slot is a slot as text.
func (s *Source) slot(k contract.Slot) (string, bool) {
	b, ok := s.rec.Lookup(k)
	return unsafe.String(unsafe.SliceData(b), len(b)), ok
}

func (s *Source) string(k contract.Slot) sql.Value {
	if v, ok := s.slot(k); ok {
		return sql.StringOf(v)
	}
	return sql.Value{}
}

// Topic is the topic or filter of the event.
func (s *Source) Topic() string {
	t, _ := s.slot(contract.SlotTopic)
	return t
}

var (
	messageColumns = []sql.Column{sql.ColEvent, sql.ColTimestamp, sql.ColNode, sql.ColID, sql.ColClientID, sql.ColUsername, sql.ColPayload, sql.ColPeerHost,
		sql.ColTopic, sql.ColQoS, sql.ColFlags, sql.ColHeaders, sql.ColPublishReceivedAt, sql.ColPubProps}
	deliveryColumns = []sql.Column{sql.ColEvent, sql.ColTimestamp, sql.ColNode, sql.ColID, sql.ColFromClientID, sql.ColClientID, sql.ColUsername, sql.ColPayload,
		sql.ColPeerHost, sql.ColTopic, sql.ColQoS, sql.ColFlags, sql.ColPublishReceivedAt, sql.ColPubProps}
	droppedColumns = []sql.Column{sql.ColEvent, sql.ColTimestamp, sql.ColNode, sql.ColID, sql.ColReason, sql.ColFromClientID, sql.ColClientID, sql.ColUsername, sql.ColPayload,
		sql.ColPeerHost, sql.ColTopic, sql.ColQoS, sql.ColFlags, sql.ColPublishReceivedAt, sql.ColPubProps}
	clientColumns = []sql.Column{sql.ColEvent, sql.ColTimestamp, sql.ColNode, sql.ColClientID, sql.ColUsername, sql.ColPeerName, sql.ColSockName, sql.ColProtoName,
		sql.ColProtoVer, sql.ColKeepalive, sql.ColCleanStart, sql.ColExpiryInterval, sql.ColIsBridge, sql.ColConnectedAt, sql.ColConnProps}
	goneColumns = []sql.Column{sql.ColEvent, sql.ColTimestamp, sql.ColNode, sql.ColReason, sql.ColClientID, sql.ColUsername, sql.ColPeerName, sql.ColSockName,
		sql.ColProtoName, sql.ColProtoVer, sql.ColDisconnectedAt}
	connackColumns = []sql.Column{sql.ColEvent, sql.ColTimestamp, sql.ColNode, sql.ColReasonCode, sql.ColClientID, sql.ColCleanStart, sql.ColUsername, sql.ColPeerName,
		sql.ColSockName, sql.ColProtoName, sql.ColProtoVer, sql.ColKeepalive, sql.ColExpiryInterval, sql.ColConnProps}
	checkedColumns = []sql.Column{sql.ColEvent, sql.ColTimestamp, sql.ColNode, sql.ColClientID, sql.ColUsername, sql.ColPeerHost, sql.ColTopic, sql.ColAction,
		sql.ColIsCache, sql.ColResult}
	sessionColumns = []sql.Column{sql.ColEvent, sql.ColTimestamp, sql.ColNode, sql.ColClientID, sql.ColUsername, sql.ColPeerHost, sql.ColTopic, sql.ColQoS}
)

// All implements sql.Source.
func (s *Source) All() []sql.Column {
	switch s.name {
	case Message:
		return messageColumns
	case MessageDelivered, MessageAcked:
		return deliveryColumns
	case MessageDropped, DeliveryDropped:
		return droppedColumns
	case ClientConnected:
		return clientColumns
	case ClientDisconnected:
		return goneColumns
	case ClientConnack:
		return connackColumns
	case ClientACLChecked:
		return checkedColumns
	}
	return sessionColumns
}

// Column implements sql.Source.
func (s *Source) Column(c sql.Column) sql.Value {
	switch c {
	case sql.ColEvent:
		return sql.StringOf(words[s.name])
	case sql.ColTimestamp:
		return sql.IntOf(int64(s.rec.Time() / 1e6))
	case sql.ColNode:
		return sql.StringOf(sdk.Node())
	case sql.ColClientID:
		return s.client()
	case sql.ColUsername:
		return s.string(contract.SlotUsername)
	case sql.ColPeerHost:
		return host(s.slot(contract.SlotPeer))
	case sql.ColMetadata:
		m := &sql.Map{}
		m.Set("rule_id", sql.StringOf(s.rule))
		return sql.ObjectOf(m)
	}
	switch s.name {
	case ClientConnected, ClientDisconnected, ClientConnack:
		return s.connection(c)
	case ClientACLChecked:
		return s.checked(c)
	case SessionSubscribed, SessionUnsubscribed:
		return s.subscription(c)
	}
	return s.message(c)
}

// words are the events as EMQ X calls them.
var words = map[string]string{
	Message: "message.publish", ClientConnected: "client.connected", ClientDisconnected: "client.disconnected", SessionSubscribed: "session.subscribed",
	SessionUnsubscribed: "session.unsubscribed", MessageDelivered: "message.delivered", MessageAcked: "message.acked", MessageDropped: "message.dropped",
	DeliveryDropped: "delivery.dropped", ClientConnack: "client.connack", ClientACLChecked: "client.check_acl_complete",
}

// client is the client id; a message of no client is its plugin's.
func (s *Source) client() sql.Value {
	if v := s.string(contract.SlotClientID); v.Defined() {
		return v
	}
	if s.name == Message {
		return s.string(contract.SlotFrom)
	}
	return sql.Value{}
}

func host(peer string, ok bool) sql.Value {
	if !ok {
		return sql.Value{}
	}
	h, _, err := net.SplitHostPort(peer)
	if err != nil {
		h = peer
	}
	return sql.StringOf(h)
}

// message is a column of an event about a message.
func (s *Source) message(c sql.Column) sql.Value {
	f := s.rec.Flags()
	switch c {
	case sql.ColPayload:
		return s.string(contract.SlotPayload)
	case sql.ColTopic:
		return s.string(contract.SlotTopic)
	case sql.ColQoS:
		return sql.IntOf(int64(f.QoS()))
	case sql.ColID:
		return messageID(s.rec.Slot(contract.SlotMessageID))
	case sql.ColFlags:
		m := &sql.Map{}
		m.Set("dup", sql.BoolOf(f.Has(contract.FlagDup)))
		m.Set("retain", sql.BoolOf(f.Has(contract.FlagRetain)))
		return sql.ObjectOf(m)
	case sql.ColPublishReceivedAt:
		return sql.IntOf(int64(s.rec.Time() / 1e6))
	case sql.ColPubProps:
		return properties(s.rec.Slot(contract.SlotProps))
	case sql.ColHeaders:
		return sql.ObjectOf(&sql.Map{})
	case sql.ColFromClientID:
		return s.string(contract.SlotFrom)
	case sql.ColReason:
		return s.string(contract.SlotReason)
	}
	return sql.Value{}
}

// messageID is the id in hex, highest part first.
func messageID(b []byte) sql.Value {
	if len(b) != 16 {
		return sql.Value{}
	}
	id := binary.BigEndian.AppendUint32(make([]byte, 0, 16), binary.LittleEndian.Uint32(b))
	id = binary.BigEndian.AppendUint32(id, binary.LittleEndian.Uint32(b[4:]))
	id = binary.BigEndian.AppendUint64(id, binary.LittleEndian.Uint64(b[8:]))
	return sql.StringOf(strings.ToUpper(hex.EncodeToString(id)))
}

// connection is a column of an event about a connection.
func (s *Source) connection(c sql.Column) sql.Value {
	f := s.rec.Flags()
	switch c {
	case sql.ColPeerName:
		return s.string(contract.SlotPeer)
	case sql.ColSockName:
		return s.string(contract.SlotLocal)
	case sql.ColProtoName:
		return s.string(contract.SlotProtocol)
	case sql.ColProtoVer:
		return sql.IntOf(int64(f.Version()))
	case sql.ColKeepalive:
		return sql.IntOf(int64(s.rec.Aux()))
	case sql.ColCleanStart:
		return sql.BoolOf(f.Has(contract.FlagCleanStart))
	case sql.ColIsBridge:
		return sql.BoolOf(f.Has(contract.FlagBridge))
	case sql.ColExpiryInterval:
		n, _ := s.rec.Uint32(contract.SlotSessionExpiry)
		return sql.IntOf(int64(n))
	case sql.ColConnectedAt:
		n, _ := s.rec.Uint64(contract.SlotConnectedAt)
		return sql.IntOf(int64(n / 1e6))
	case sql.ColDisconnectedAt:
		return sql.IntOf(int64(s.rec.Time() / 1e6))
	case sql.ColConnProps:
		return properties(s.rec.Slot(contract.SlotConnProps))
	case sql.ColReason:
		return s.string(contract.SlotDisconnectReason)
	case sql.ColReasonCode:
		n, _ := s.rec.Uint32(contract.SlotReasonCode)
		return sql.StringOf(reasonWord(byte(n)))
	}
	return sql.Value{}
}

// checked is a column of an event about what a client may.
func (s *Source) checked(c sql.Column) sql.Value {
	switch c {
	case sql.ColTopic:
		return s.string(contract.SlotTopic)
	case sql.ColAction:
		if s.rec.Flags().Has(contract.FlagPublish) {
			return sql.StringOf("publish")
		}
		return sql.StringOf("subscribe")
	case sql.ColIsCache:
		return sql.BoolOf(s.rec.Aux()&contract.ACLCached != 0)
	case sql.ColResult:
		if s.rec.Aux()&contract.ACLAllowed != 0 {
			return sql.StringOf("allow")
		}
		return sql.StringOf("deny")
	}
	return sql.Value{}
}

// subscription is a column of an event about a subscription.
func (s *Source) subscription(c sql.Column) sql.Value {
	switch c {
	case sql.ColTopic:
		return s.string(contract.SlotFilter)
	case sql.ColQoS:
		return sql.IntOf(int64(s.rec.Aux() & 3))
	case sql.ColSubProps, sql.ColUnsubProps:
		return sql.ObjectOf(&sql.Map{})
	}
	return sql.Value{}
}
