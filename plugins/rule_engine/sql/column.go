package sql

// Column is a fact of an event that a statement can name (emqx4 §7.2).
type Column byte

// The columns of all events.
const (
	ColEvent Column = iota
	ColTimestamp
	ColNode
	ColID
	ColClientID
	ColUsername
	ColPayload
	ColPeerHost
	ColTopic
	ColQoS
	ColFlags
	ColHeaders
	ColPublishReceivedAt
	ColPubProps
	ColFromClientID
	ColFromUsername
	ColPubackProps
	ColReason
	ColMountpoint
	ColPeerName
	ColSockName
	ColProtoName
	ColProtoVer
	ColKeepalive
	ColCleanStart
	ColReceiveMaximum
	ColExpiryInterval
	ColIsBridge
	ColConnectedAt
	ColConnProps
	ColDisconnectedAt
	ColDisconnProps
	ColReasonCode
	ColAction
	ColIsCache
	ColResult
	ColSubProps
	ColUnsubProps
	ColMetadata
	// Columns is their number.
	Columns
)

var columnNames = [Columns]string{
	"event", "timestamp", "node", "id", "clientid", "username", "payload", "peerhost", "topic", "qos", "flags", "headers",
	"publish_received_at", "pub_props", "from_clientid", "from_username", "puback_props", "reason", "mountpoint", "peername",
	"sockname", "proto_name", "proto_ver", "keepalive", "clean_start", "receive_maximum", "expiry_interval", "is_bridge",
	"connected_at", "conn_props", "disconnected_at", "disconn_props", "reason_code", "action", "is_cache", "result",
	"sub_props", "unsub_props", "metadata",
}

// String is the column's name.
func (c Column) String() string { return columnNames[c] }

var columnByName = func() map[string]Column {
	m := make(map[string]Column, Columns)
	for i, name := range columnNames {
		m[name] = Column(i)
	}
	return m
}()

// ColumnOf is the column of a name.
func ColumnOf(name string) (Column, bool) {
	c, ok := columnByName[name]
	return c, ok
}

// Source is one event. What it returns stays as it is while a statement is
// evaluated.
type Source interface {
	// Column is a fact of the event; undefined if it has none.
	Column(c Column) Value
	// All is the columns that the event has: what * selects. The caller does not
	// change it.
	All() []Column
}

// Row is a Source made of a table.
type Row map[Column]Value

// Column implements Source.
func (r Row) Column(c Column) Value { return r[c] }

// All implements Source.
func (r Row) All() []Column {
	all := make([]Column, 0, len(r))
	for c := range Columns {
		if _, ok := r[c]; ok {
			all = append(all, c)
		}
	}
	return all
}
