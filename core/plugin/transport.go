// Package plugin runs the broker's plugins: it opens what loaded_plugins names
// through a [Transport], binds each plugin to the hook points, asks and tells it,
// gives it the services that were granted, and replaces or removes it while the
// broker runs. It refuses to know how a plugin is carried out (WASM, process),
// what its files say (manifest) and what an event means (event).
package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Transport opens plugins of one kind. It is used by many goroutines.
type Transport interface {
	// Open makes the plugin ready to be called: compiled or started, configured,
	// checked against s. On an error nothing is left behind. ctx bounds Open only.
	Open(ctx context.Context, s *Spec) (Instance, error)
	// Blocking tells whether calls may wait for something outside this process;
	// clients of such plugins run on goroutines of their own.
	Blocking() bool
	// MaxRecords is how many records one Call may have; the manager splits what
	// is more.
	MaxRecords() int
}

// Instance is one open version of a plugin. Call may be used by many goroutines
// at once; the transport serialises as its guest needs.
type Instance interface {
	// Hooks are the hooks that the plugin says it handles; known is false when
	// it does not say. The manager refuses a manifest that names others.
	Hooks() (set contract.HookSet, known bool)
	// Call hands c's frame to the plugin and fills c's verdicts: each record ends
	// with a verdict (Call.Take) or with a fault (Call.Fail). A non-nil error is
	// a fault of every record that has neither. Retrying, bisecting and parking
	// are the transport's; on_error is the manager's. ctx ends when the plugin
	// is closed for good.
	Call(ctx context.Context, c *Call) error
	// Close drains the plugin and frees everything. The manager calls it once,
	// when no Call runs. ctx bounds the draining.
	Close(ctx context.Context) error
	// Status tells how the instance is, for List and $SYS. It is cheap.
	Status() Status
}

// Heir is an Instance that can take over what the one before it remembers. It is
// asked for on the old one, by a reload.
type Heir interface {
	// HandOver passes the state to a newer version of the plugin. No Call runs on
	// either, and none will on the old one.
	HandOver(to Instance) error
}

// ErrNotReconfigured: a configuration needs another instance. It is the transport's
// to say, and no fault.
var ErrNotReconfigured = errors.New("the plugin does not change its configuration while it runs")

// Reconfigurer is an Instance that may take another configuration over while it runs.
type Reconfigurer interface {
	// Reconfigure hands over the plugin's own configuration, validated, with secrets
	// resolved. Calls may run. ErrNotReconfigured, also wrapped: nothing is known of
	// what the plugin made of it, a new instance is needed. Any other error is the
	// plugin's refusal: it goes on with what it had.
	Reconfigure(ctx context.Context, config []byte) error
}

// State is how an instance is.
type State string

// The states.
const (
	StateRunning     State = "running"
	StateRestarting  State = "restarting"  // a process is down; the supervisor brings it back
	StateQuarantined State = "quarantined" // too many faults: every call is a fault until a reload
	StateClosed      State = "closed"
)

// Status is what an instance tells of itself. Counters are totals since Open.
type Status struct {
	State     State
	Calls     uint64 // frames
	Records   uint64
	Faults    uint64 // traps, out of fuel, timeouts, bad verdict blocks, exits
	Restarts  uint64 // new guest instances or processes after a fault
	Retries   uint64 // frames, and parts of them, that were tried again after a fault
	Instances int    // guest instances or processes now
	Memory    int64  // bytes of linear memory or of the process, if known
	MemoryMax int64  // bytes that all guest instances together may come to; 0: not bounded
	Engine    string // how the code runs: compiler or interpreter; "" of a process
	Fuel      uint64 // what a call may use, before its records; 0: not bounded
	FuelP50   uint64 // what half of the calls used at most, about
	FuelMost  uint64 // what one call used at most
	PID       int    // of a process; 0 otherwise
	// Compile is how long it took to compile the module and Instantiate to start its
	// first guest; 0 of a process. CompileCached says that the code was compiled before.
	Compile, Instantiate time.Duration
	CompileCached        bool
	// CPU is the time that the present process has used, where the system tells.
	CPU time.Duration
	// HostCalls are the calls of the guests to the host by capability, those that were
	// refused too; only those that occurred.
	HostCalls map[string]uint64
	LastFault string
}

// HookSpec is one hook registration with the operator's overrides applied.
type HookSpec struct {
	Hook    contract.Hook
	Timeout time.Duration // per frame; processes only (WASM is bounded by fuel)
	// Park is how long a process transport holds and resends the frames of a
	// call whose process is down before it fails them.
	Park   time.Duration
	Fields contract.SlotMask
	// MaxPayload is how many bytes of a payload the plugin sees; 0: all.
	MaxPayload uint32
}

// Spec is everything a transport needs to open one plugin. It is immutable, but
// that Code is let go once the plugin is open.
type Spec struct {
	Name     string
	Manifest *manifest.Manifest
	Hooks    []HookSpec
	// Code is the artefact, byte for byte as it was hashed: the WASM module, or
	// the executable. A process transport must run these bytes and not the path.
	Code []byte
	// SHA256 of Code, in hex.
	SHA256 string
	// Path is where Code came from, for messages.
	Path string
	// Config is the plugin's own configuration as a JSON object, validated, with
	// secrets resolved. It must not be logged.
	Config json.RawMessage
	// Grants are the capabilities that the operator granted.
	Grants []string
	// Services are the granted host services.
	Services Services
	// DataDir is a directory of the plugin's own that outlives it; "": there is none.
	// ConfigDir is that of the operator's files: relative paths in them start there.
	DataDir, ConfigDir string
	// Node and Version are the broker's name and version, for the guest.
	Node, Version string
	// Log is the plugin's logger, rate-limited, with name and version.
	Log *zap.Logger
}

// Granted tells whether capability c was granted.
func (s *Spec) Granted(c string) bool { return manifest.Covers(s.Grants, c) }
