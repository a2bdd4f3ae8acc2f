package plugin

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// version is one open version of a plugin with its hooks.
type version struct {
	// Immutable.
	spec       *Spec
	inst       Instance
	kind       string // "wasm" or "process"
	vouched    string // who vouches for its files
	files      *manifest.Package
	blocking   bool
	maxRecords int
	hooks      [contract.MaxHook + 1]*event.Binding
	set        contract.HookSet
	consumes   *manifest.Hook  // its registration of class consume; nil: none
	ctx        context.Context // of calls; ends when the version is closed for good
	cancel     context.CancelFunc
	parked     *parked // events that it has put off
	desk       *desk   // what its guests want to have done

	config []byte // the plugin's own, as it has taken it last; guarded by the manager's change

	// users counts the calls that run, minus closing once the version is closed.
	users    atomic.Int64
	drained  chan struct{} // closed once by the last user after closing
	once     sync.Once
	replaced chan struct{} // closed when the plugin has another version, or none
}

// closing is subtracted from users when a version takes no more calls.
const closing = 1 << 40

// enter takes part in v's users; false: v is closed.
func (v *version) enter() bool {
	if v.users.Add(1) > 0 {
		return true
	}
	v.release()
	return false
}

// release ends what enter began.
func (v *version) release() {
	if v.users.Add(-1) == -closing {
		v.once.Do(func() { close(v.drained) })
	}
}

// retire closes v to new calls, waits for those that run, and closes the
// instance. After patience the calls are cut off.
func (v *version) retire(patience time.Duration) error {
	v.stop(patience)
	return v.close(patience)
}

// stop closes v to new calls and waits for those that run. After patience they
// are cut off.
func (v *version) stop(patience time.Duration) {
	v.users.Add(1 - closing) // as a user, so that the last release finds exactly -closing
	v.release()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-v.drained:
	case <-t.C:
		v.cancel()
		<-v.drained
	}
	v.parked.close()
	v.desk.shut()
}

// close frees the instance of a version that was stopped.
func (v *version) close(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := v.inst.Close(ctx)
	v.cancel()
	return err
}

// loaded is one loaded plugin: its place in the chain, its current version,
// and what outlives a version.
type loaded struct {
	// Immutable.
	name  string
	order int
	host  *host
	log   *zap.Logger
	party event.Plugin // p as events see it
	keys  *keys

	cur    atomic.Pointer[version] // nil: unloaded
	faults atomic.Uint64           // records that on_error answered
	loops  atomic.Uint64           // publications refused for their hops

	outbox  *outbox       // nil: nothing can be published
	lost    atomic.Uint64 // answers that their guests did not live to see
	overdue atomic.Uint64 // events refused because a verdict that was put off never came

	costs    [contract.MaxHook + 1]atomic.Pointer[cost]
	queue    *queue                   // of observed events
	consumer atomic.Pointer[consumer] // nil: none yet

	// Guarded by the manager's mu.
	removes map[contract.Hook]func()
}

// host is what all plugins of a manager share.
type host struct {
	Config
	source manifest.Source
	pool   sync.Pool // *asking
	pump   *pump

	hashers *hashers
}

// acquire returns the current version, kept open until its release; nil when
// the plugin is unloaded. While a version hands over to the next it waits.
func (p *loaded) acquire() *version {
	for {
		v := p.cur.Load()
		if v == nil || v.enter() {
			return v
		}
		<-v.replaced
	}
}

func (p *loaded) now() int64 { return p.host.Now().UnixNano() }

func (p *loaded) asking() *asking {
	if a, ok := p.host.pool.Get().(*asking); ok {
		return a
	}
	return &asking{}
}

// maxKept bounds the buffer that an asking keeps between calls.
const maxKept = 1 << 20

func (p *loaded) done(a *asking) {
	if a.enc.Len() <= maxKept {
		p.host.pool.Put(a)
	}
}

// looped counts a publication that would have gone round too often.
func (p *loaded) looped() {
	p.loops.Add(1)
	p.log.Warn("publication refused: it has been published on by too many plugins", zap.Int("max_hops", event.MaxHops))
}
