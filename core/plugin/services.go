package plugin

import (
	"errors"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Errors of services are contract.Errno values, wrapped or bare; [Errno] turns
// any error into the number that a guest gets.
var (
	ErrClosed  = errors.New("plugin is closed")                              // Call on a closed Instance
	ErrTimeout = errors.New("plugin did not answer in time")                 // a fault
	ErrDown    = errors.New("plugin did not come back within its park time") // a fault
)

// Errno is what a guest is told of err: the contract.Errno in it, 0 for nil,
// else contract.ErrnoInternal.
func Errno(err error) contract.Errno {
	var n contract.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &n):
		return n
	default:
		return contract.ErrnoInternal
	}
}

// Publisher takes the publications of one plugin (capability "publish"). It never
// blocks and calls no hook before it returns: publications are queued and leave
// in order.
type Publisher interface {
	// Publish queues one publish record of the contract. The bytes are borrowed.
	// hops is the hop count of what caused it: Call.Hops during a call, the
	// highest of the frames in flight for a process, else 0. ErrnoQuota: the
	// plugin's queue is full or event.MaxHops is reached; ErrnoInvalid: bad record.
	Publish(record []byte, hops uint8) error
}

// Keeper is a [Publisher] that also tells when a publication is safe.
type Keeper interface {
	// PublishKept queues one publish record as Publish does, and calls done when it was
	// routed and everything that it promised is on the disk; with ErrnoQuota if a log or
	// session that had to keep it had no room, in which case it may have been taken in
	// part. done must not block. With an error of its own it does not call done.
	PublishKept(record []byte, hops uint8, done func(error)) error
	// PublishOnce is PublishKept of a message that is published only if the plugin's
	// durable key space has no value at key, which it has for ttl (0: for ever) from
	// then on; done tells that both are safe. Without a record it removes the key.
	// ErrnoDenied: the key space is not durable.
	PublishOnce(key string, ttl time.Duration, record []byte, done func(error)) error
}

// KV is a plugin's own key space (capability "kv", or "kv:durable" for one that
// outlives the node), shared by its instances.
// Values are bounded: keys 256 bytes, values 64 KiB, and a sum per plugin.
type KV interface {
	// Load appends the value of key to dst. ErrnoNotFound.
	Load(dst []byte, key string) ([]byte, error)
	// Store keeps value; ttl 0: for as long as the plugin is loaded, or for ever if
	// the key space is durable. ErrnoQuota; ErrnoInternal: the disk has failed.
	Store(key string, value []byte, ttl time.Duration) error
	// Delete removes key. ErrnoNotFound.
	Delete(key string) error
	// Add adds delta to the decimal number at key (absent: 0). ErrnoInvalid: not a number.
	Add(key string, delta int64) (int64, error)
	// Swap stores value if the present value is old (nil: absent). ErrnoNotFound: it is not.
	Swap(key string, old, value []byte) error
}

// Metrics takes a plugin's own numbers (capability "metric").
type Metrics interface {
	// Add adds v to the counter name (contract.MetricCounter), sets the gauge name
	// to v (contract.MetricGauge), or removes name (contract.MetricRemove). A metric
	// with a number has it in decimal as its name. ErrnoQuota: too many names;
	// ErrnoNotFound: nothing to remove; ErrnoInvalid: the name, the kind, or a v that
	// is not finite.
	Add(name string, kind int32, v float64) error
}

// Later is a plugin's messages that wait for their time (capability "schedule"). To
// put one is for the records of a call, see event.Scheduler.
type Later interface {
	// Page appends the publish records of at most limit messages behind (due, seq),
	// Unix nanoseconds and number, in the order in which they are due.
	Page(dst []byte, due int64, seq uint64, limit int) ([]byte, error)
	// Due is when the message with a number is due, Unix nanoseconds. ErrnoNotFound.
	Due(seq uint64) (int64, error)
	// Cancel forgets a message. ErrnoNotFound.
	Cancel(seq uint64) error
	// Len is how many wait.
	Len() int
}

// Records are the topicstore services of one retained call; see there.
type Records = event.Records

// Cache are the acl verdicts that the broker remembers; every plugin has it.
type Cache interface {
	// Forget drops those about topics with a prefix; "": all.
	Forget(prefix string)
}

// Wants are the topics that a plugin's dynamic hooks are to be called for; every
// plugin has it.
type Wants interface {
	// Want replaces the filters of a hook. ErrnoDenied: the manifest does not call
	// the hook dynamic; ErrnoInvalid, ErrnoQuota: see event.Wanted.
	Want(hook contract.Hook, filters []string) error
	// Refuse replaces the filters of messages that the class consume refuses to their
	// publishers, since the plugin has no room for them. Errors as those of Want.
	Refuse(hook contract.Hook, filters []string) error
}

// wants implements Wants by the dynamic hooks of a version.
type wants struct {
	of      map[contract.Hook]*event.Wanted
	refused *event.Wanted // of the hook message
}

func (w wants) Want(k contract.Hook, filters []string) error {
	if w.of[k] == nil {
		return contract.ErrnoDenied
	}
	return w.of[k].Set(filters)
}

func (w wants) Refuse(k contract.Hook, filters []string) error {
	if k != contract.HookMessage || w.of[k] == nil {
		return contract.ErrnoDenied
	}
	return w.refused.Set(filters)
}

// Services is what the host grants one plugin. A nil service is not granted:
// a transport must refuse a module that imports it. Records come per Call.
type Services struct {
	Publish Publisher
	KV      KV
	Metrics Metrics
	Later   Later
	// TopicStore says that the capability "topicstore" is granted.
	TopicStore bool
	Cache      Cache
	Wants      Wants
	// Parked takes what guests decide later; every plugin has it.
	Parked Parked
	// Timer, HTTP and Hash say that these capabilities are granted; Desk carries
	// them out.
	Timer, HTTP, Hash bool
	Desk              Desk
	// Sessions: capability "session".
	Sessions SessionCalls
	// Now is the host's clock.
	Now func() time.Time
}
