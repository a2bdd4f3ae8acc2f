package contract

import "unicode/utf8"

// ABI is the major version of the contract; it is part of the export names.
const ABI = 1

// The functions that a WASM guest exports, beside its memory.
const (
	ExportMarker  = "dunlin_abi_v1"  // () -> i64: the features the guest wants
	ExportHooks   = "dunlin_hooks"   // () -> i64: optional; the HookSet that the guest implements
	ExportBuf     = "dunlin_buf"     // (min i32) -> i32: the guest's buffer of at least min bytes
	ExportInit    = "dunlin_init"    // (len i32) -> i64: InitMessage in the buffer; ptr<<32|len of an error text, len 0: ok
	ExportOn      = "dunlin_on"      // (count i32, len i32) -> i64: frame in the buffer; ptr<<32|len of the verdict block
	ExportDrain   = "dunlin_drain"   // () -> i64: optional; ptr<<32|len of the state to hand on
	ExportRestore = "dunlin_restore" // (len i32) -> i64: optional; state of the previous version in the buffer
	ExportCommand = "dunlin_command" // (name i32, len i32) -> i64: optional; name and body of a command in the buffer; ptr<<32|len of the answer
)

// The import modules, one per capability: a guest that imports a module asks
// for the capability beside it.
const (
	ModuleLog        = "dunlin_log"        // log; every plugin has it
	ModuleTime       = "dunlin_time"       // time; every plugin has it
	ModulePub        = "dunlin_pub"        // publish
	ModuleTopicStore = "dunlin_topicstore" // topicstore
	ModuleMetric     = "dunlin_metric"     // metric
	ModuleKV         = "dunlin_kv"         // kv
	ModulePending    = "dunlin_pending"    // verdicts that come later; every plugin has it
	ModuleTimer      = "dunlin_timer"      // timer
	ModuleHTTP       = "dunlin_http"       // http
	ModuleSession    = "dunlin_session"    // session
	ModuleCache      = "dunlin_cache"      // remembered verdicts; every plugin has it
	ModuleHash       = "dunlin_hash"       // hash
	ModuleSchedule   = "dunlin_schedule"   // schedule
	ModuleWant       = "dunlin_want"       // topics of dynamic hooks; every plugin has it
)

// The functions of the import modules.
const (
	ImportLogWrite      = "write"   // dunlin_log: (level i32, ptr i32, len i32)
	ImportTimeNow       = "now"     // dunlin_time: () -> i64 Unix nanoseconds
	ImportPubPublish    = "publish" // dunlin_pub: (record ptr i32, len i32) -> i32
	ImportStorePut      = "put"     // dunlin_topicstore: (record i32, ttl_ms i64) -> i32
	ImportStoreDel      = "del"     // dunlin_topicstore: (record i32) -> i32
	ImportStoreDeliver  = "deliver" // dunlin_topicstore: (record i32, options i32) -> i32
	ImportStoreCount    = "count"   // dunlin_topicstore: (filter ptr i32, len i32) -> i32; len 0: all messages
	ImportMetricAdd     = "add"     // dunlin_metric: (id i32, kind i32, value f64)
	ImportMetricPut     = "put"     // dunlin_metric: (name ptr, len, kind i32, value f64) -> i32
	ImportKVGet         = "get"     // dunlin_kv: (key ptr, len, buf ptr, cap) -> i32 size
	ImportKVSet         = "set"     // dunlin_kv: (key ptr, len, value ptr, len, ttl_ms i64) -> i32
	ImportKVDel         = "del"     // dunlin_kv: (key ptr, len) -> i32
	ImportKVIncr        = "incr"    // dunlin_kv: (key ptr, len, delta i64) -> i64
	ImportKVCas         = "cas"     // dunlin_kv: (key ptr, len, old ptr, len (-1: absent), value ptr, len) -> i32
	ImportPendingResume = "resume"  // dunlin_pending: (token i64, block ptr i32, len i32) -> i32
	ImportTimerSet      = "set"     // dunlin_timer: (id i32, ms i32) -> i32
	ImportHTTPStart     = "start"   // dunlin_http: (id i64, request ptr i32, len i32, timeout_ms i32) -> i32
	ImportSessionGet    = "get"     // dunlin_session: (client id ptr, len, buf ptr, cap) -> i32 size
	ImportSessionKick   = "kick"    // dunlin_session: (client id ptr, len) -> i32
	ImportCacheForget   = "forget"  // dunlin_cache: (prefix ptr, len) -> i32
	ImportHashVerify    = "verify"  // dunlin_hash: (id i64, hash ptr, len, password ptr, len) -> i32
	ImportWantSet       = "set"     // dunlin_want: (hook i32, filters ptr, len) -> i32

	ImportSchedulePut    = "put"    // dunlin_schedule: (record i32, topic ptr, len, kind i32, ms i64) -> i64
	ImportScheduleCancel = "cancel" // dunlin_schedule: (number i64) -> i32
	ImportScheduleList   = "list"   // dunlin_schedule: (due i64, number i64, buf ptr, cap) -> i32 size
	ImportScheduleCount  = "count"  // dunlin_schedule: () -> i64
	ImportScheduleFind   = "find"   // dunlin_schedule: (number i64) -> i64 when it is due, Unix ns
)

// The go-plugin handshake of process plugins. The cookie keeps a plugin from
// being run by hand; it is not a secret.
const (
	HandshakeKey   = "DUNLIN_PLUGIN"
	HandshakeValue = "b8e2d1d6-dunlin-plugin-v1"
	PluginName     = "dunlin" // the name to dispense
)

// Features are the bits of dunlin_abi_v1 and HelloResp.features: what a plugin
// must know of the broker to be correct. The broker grants those that it knows.
type Features uint64

// The features, and all that this version knows.
const (
	FeatureSubscriptions Features = 1 << 0 // the broker makes the subscriptions of ExtSubscriptions

	FeatureCommand Features = 1 << 1 // the plugin serves Command; processes only

	FeatureReconfigure Features = 1 << 2 // Configure may come again while the plugin runs; processes only

	knownFeatures = FeatureSubscriptions | FeatureCommand | FeatureReconfigure
)

// Known is the part of f that this version of the contract knows.
func (f Features) Known() Features { return f & knownFeatures }

// Has tells whether all of want are in f.
func (f Features) Has(want Features) bool { return f&want == want }

// AllFeatures are the features that this version knows.
func AllFeatures() Features { return knownFeatures }

// MaxWanted is how many topic filters a plugin may give a dynamic hook.
const MaxWanted = 65_536

// Bounds of a command of an operator to a plugin.
const (
	MaxCommandName  = 128
	MaxCommandBody  = 1 << 20 // bytes of JSON to the plugin
	MaxCommandReply = 8 << 20 // bytes of JSON from it
)

// Levels of dunlin_log.write.
const (
	LogDebug int32 = -1
	LogInfo  int32 = 0
	LogWarn  int32 = 1
	LogError int32 = 2
)

// Kinds of dunlin_metric.add and put.
const (
	MetricCounter int32 = 0 // the value is added
	MetricGauge   int32 = 1 // the value is set
	MetricRemove  int32 = 2 // put only: the name is gone, the value ignored
)

// MaxMetricName is the longest name of a metric, in bytes.
const MaxMetricName = 256

// ValidMetricName tells whether a plugin's metric may be called name: 1 to
// [MaxMetricName] bytes of UTF-8 without control characters.
func ValidMetricName(name string) bool {
	if name == "" || len(name) > MaxMetricName || !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if r < 0x20 || r >= 0x7F && r < 0xA0 {
			return false
		}
	}
	return true
}

// Kinds of the time of dunlin_schedule.put.
const (
	ScheduleAfter int32 = 0 // milliseconds from now on
	ScheduleAt    int32 = 1 // Unix milliseconds, by the broker's wall clock
)

// MaxSchedule is the longest that a message may wait, in milliseconds: EMQ X 4's
// 4,294,967 seconds.
const MaxSchedule = 4_294_967_000

// SchedulePage is how many messages one dunlin_schedule.list names at most.
const SchedulePage = 64

// Errno is the result of a host call: 0 or more is success (a count, a size),
// a negative number one of the constants.
type Errno int32

// The errors of host calls.
const (
	ErrnoNotFound Errno = -1
	ErrnoDenied   Errno = -2 // not granted, or not in this kind of call
	ErrnoQuota    Errno = -3 // a limit is reached: the store is full, too many publishes
	ErrnoInvalid  Errno = -4 // malformed arguments
	ErrnoInternal Errno = -5 // the host failed
)

// Error is the errno in words.
func (e Errno) Error() string {
	switch e {
	case ErrnoNotFound:
		return "not found"
	case ErrnoDenied:
		return "denied"
	case ErrnoQuota:
		return "limit reached"
	case ErrnoInvalid:
		return "invalid arguments"
	case ErrnoInternal:
		return "host failure"
	}
	if e >= 0 {
		return "success"
	}
	return "unknown error"
}

// InitMessage is the JSON object in the buffer of dunlin_init; a process gets
// the same facts with ConfigureReq. Config is the plugin's own configuration,
// validated against its schema: a JSON object, {} when there is none.
//
//	{"features":0,"instance":0,"instances":1,"node":"dunlin@127.0.0.1","version":"1.0.0","config":{}}
type InitMessage struct {
	Features  Features  `json:"features"`  // what the host grants
	Instance  int       `json:"instance"`  // 0..Instances-1
	Instances int       `json:"instances"` // how many there may be
	Node      string    `json:"node"`      // the broker's node name, for $SYS topics
	Version   string    `json:"version"`   // the broker's version
	Config    RawObject `json:"config"`
}

// RawObject is a JSON object that is passed on as it is.
type RawObject []byte

// MarshalJSON returns the object itself; {} for an empty one.
func (r RawObject) MarshalJSON() ([]byte, error) {
	if len(r) == 0 {
		return []byte("{}"), nil
	}
	return r, nil
}

// UnmarshalJSON keeps a copy of the object.
func (r *RawObject) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}

// Pack is the i64 by which a guest returns a place in its memory.
func Pack(ptr, n uint32) uint64 { return uint64(ptr)<<32 | uint64(n) }

// Unpack takes apart what [Pack] made.
func Unpack(v uint64) (ptr, n uint32) { return uint32(v >> 32), uint32(v) }
