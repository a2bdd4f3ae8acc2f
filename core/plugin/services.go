package plugin

import (
	"errors"
	"time"
)

// Errors of services. A transport hands them to its guest as the contract's
// numbers (C.4): -1, -2, -3, -4. Any other error is -4.
var (
	ErrNotFound = errors.New("not found")                                 // -1
	ErrDenied   = errors.New("denied: the capability is not granted")     // -2
	ErrQuota    = errors.New("quota exceeded")                            // -3
	ErrInvalid  = errors.New("invalid argument")                          // -4
	ErrClosed   = errors.New("plugin is closed")                          // Call on a closed Instance
	ErrTimeout  = errors.New("plugin did not answer in time")             // a fault
	ErrPark     = errors.New("plugin did not come back within park time") // a fault
)

// Publication is a message that a plugin publishes. The bytes are borrowed: the
// publisher copies what it keeps.
type Publication struct {
	Topic   string
	Payload []byte
	Props   []byte        // MQTT 5 properties in wire form, without length prefix; nil: none
	Expiry  time.Duration // 0: never
	QoS     byte
	Retain  bool
	// Hops is the hop count of the message that caused this one: Call.Hops
	// during a call, the highest of the frames in flight for a process, else 0.
	// The publisher adds one and refuses above MaxHops.
	Hops uint8
}

// MaxHops bounds how often a message may be published on by plugins.
const MaxHops = 8

// Publisher takes the publications of one plugin (capability "publish"). It
// never blocks and never calls a hook before it returns: publications are
// queued and leave in order.
type Publisher interface {
	// Publish queues p. ErrQuota: the plugin's queue is full or the hop limit is
	// reached; ErrInvalid: topic, QoS or properties are not valid.
	Publish(p Publication) error
}

// KV is a plugin's own key space (capability "kv"), shared by its instances.
// Values are bounded: keys 256 bytes, values 64 KiB, and a sum per plugin.
type KV interface {
	// Load appends the value of key to dst. ErrNotFound.
	Load(dst []byte, key string) ([]byte, error)
	// Store keeps value; ttl 0: for as long as the plugin is loaded. ErrQuota.
	Store(key string, value []byte, ttl time.Duration) error
	// Delete removes key. ErrNotFound.
	Delete(key string) error
	// Add adds delta to the decimal number at key (absent: 0). ErrInvalid: not a number.
	Add(key string, delta int64) (int64, error)
	// Swap stores value if the present value equals old (nil: absent). ErrNotFound: it does not.
	Swap(key string, old, value []byte) error
}

// MetricKind is how values of a metric add up.
type MetricKind byte

// The kinds, numbered as in the contract.
const (
	MetricCounter MetricKind = 0
	MetricGauge   MetricKind = 1
)

// Metrics takes a plugin's own numbers (capability "metric").
type Metrics interface {
	// Add adds v to the counter id, or sets the gauge id to v.
	Add(id uint32, kind MetricKind, v float64)
}

// Records are the messages behind the records of one retained_store or
// retained_read call (capability "topicstore"). record counts from 0 over the
// whole Call, also when the transport splits it. The methods must be called
// during the Call only, from any one goroutine at a time; later calls are ErrInvalid.
type Records interface {
	// Put keeps the message of a retained_store record under its topic, for at
	// most ttl (0: as the message's own expiry says). ErrQuota: the store is full.
	Put(record int, ttl time.Duration) error
	// Delete removes what is kept for the topic of a retained_store record. ErrNotFound.
	Delete(record int) error
	// Deliver sends what matches the filter of a retained_read record to the
	// client of that record, in order, at the pace of that client.
	Deliver(record int) error
	// Count tells how many messages are kept for filter ("#": all but $-topics).
	Count(filter string) int
	// Kept tells how many messages and bytes the store holds.
	Kept() (messages int, bytes int64)
}

// Services is what the host grants one plugin. A nil service is not granted:
// a transport must refuse a module that imports it. Records come per Call.
type Services struct {
	Publish Publisher
	KV      KV
	Metrics Metrics
	// TopicStore says that the capability "topicstore" is granted.
	TopicStore bool
	// Now is the host's clock.
	Now func() time.Time
}
