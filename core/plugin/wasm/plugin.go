package wasm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// maxFaults bounds how many faults one Call may cost: two poisonous records
// among 64 are found with fewer; what remains then fails without a try.
const maxFaults = 24

// Plugin is one open version of a plugin: a module, compiled once, and its
// guest instances. It implements [plugin.Instance].
type Plugin struct {
	// Immutable after open.
	t        *Transport
	spec     *plugin.Spec
	log      *zap.Logger
	units    int64  // fuel of a call, before its records
	pages    uint32 // memory limit of a guest
	rt       wazero.Runtime
	compiled wazero.CompiledModule
	cache    wazero.CompilationCache
	hooks    contract.HookSet
	says     bool // the guest says which hooks it handles
	shards   []shard

	loadFuel atomic.Int64 // what it took to load a guest; 0: none was loaded yet
	faults   bucket       // faults that it may still cost
	culprits culprits

	built built // written by start

	calls, records, faulted, restarts, retries atomic.Uint64

	host     hostCounts
	live     atomic.Int64
	born     atomic.Uint64 // guests, of all shards
	fuelMost atomic.Int64  // of one call
	fuelUsed plugin.Histogram
	closed   atomic.Bool

	mu        sync.Mutex
	lastFault string // guarded by mu
}

// shard is one place for a guest. A connection always meets the same shard, so
// calls about it are in order and a guest may keep state of it.
type shard struct {
	p      *Plugin
	number int

	mu     sync.Mutex
	g      *guest // guarded by mu; nil: none yet, or thrown away
	made   bool   // guarded by mu: there was one before
	closed bool   // guarded by mu

	size  atomic.Int64 // bytes of linear memory after the last call
	asked hostTally    // guarded by mu: host calls that p.host does not have yet
}

// Hooks implements [plugin.Instance].
func (p *Plugin) Hooks() (set contract.HookSet, known bool) { return p.hooks, p.says }

// shard returns the place for a key. Shard 0 exists from the start, so keys
// spread by a hash and not by creation.
func (p *Plugin) shard(key uint64) *shard {
	h := key * 0x9e3779b97f4a7c15
	return &p.shards[(h>>32)*uint64(len(p.shards))>>32]
}

// Call implements [plugin.Instance]. Frames of more than 64 records are split.
// It runs on the caller's goroutine; ctx is looked at before the guest runs and
// not while it does.
func (p *Plugin) Call(ctx context.Context, c *plugin.Call) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sh := p.shard(c.Key)
	if c.Guest != 0 {
		sh = &p.shards[c.Guest&(1<<shardBits-1)%uint64(len(p.shards))]
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return plugin.ErrClosed
	}
	addressed := c.Guest
	if addressed != 0 && (sh.g == nil || sh.g.id != addressed) {
		return plugin.ErrGone
	}
	p.calls.Add(1)
	p.records.Add(uint64(c.N))
	r := run{sh: sh, c: c, once: addressed != 0}
	if p.culprits.paused(c.Key) && !r.once {
		r.fail(0, c.N, errCulprit)
		return nil
	}
	for from, frame := 0, c.Frame; from < c.N; {
		n := min(contract.MaxRecordsWASM, c.N-from)
		size, err := sizeOf(frame, n)
		if err != nil {
			return err
		}
		r.whole(from, n, frame[:size])
		from, frame = from+n, frame[size:]
	}
	sh.measure()
	return nil
}

// measure notes the size of the guest's memory. mu is held.
func (sh *shard) measure() {
	size := int64(0)
	if sh.g != nil {
		size = int64(sh.g.mem.Size())
	}
	sh.size.Store(size)
	sh.p.host.take(&sh.asked)
}

// sizeOf is how many bytes the first n records take.
func sizeOf(frame []byte, n int) (int, error) {
	size := 0
	for range n {
		if len(frame)-size < contract.HeaderSize {
			return 0, fmt.Errorf("%w: %d bytes for %d records", contract.ErrFrame, len(frame), n)
		}
		l := int(binary.LittleEndian.Uint32(frame[size:]))
		if l < contract.HeaderSize || l > len(frame)-size {
			return 0, fmt.Errorf("%w: record of %d bytes in %d", contract.ErrFrame, l, len(frame)-size)
		}
		size += l
	}
	return size, nil
}

// run is one Call on its shard, whose mutex is held.
type run struct {
	sh     *shard
	c      *plugin.Call
	once   bool // the frame is for this guest: no other knows what to do with it
	faults int
	last   error // why the guest was thrown away
}

// whole tries a frame, once more on a fresh guest if it faults, and in parts
// if it faults again.
func (r *run) whole(from, n int, frame []byte) {
	err := r.try(from, n, frame)
	switch {
	case err == nil:
	case r.once:
		r.fail(from, n, err)
	default:
		r.parts(from, n, frame)
	}
}

// parts tries a frame that has faulted; if it faults again, its halves, down to
// the records that fault by themselves.
func (r *run) parts(from, n int, frame []byte) {
	err := r.try(from, n, frame)
	if !errors.Is(err, errFaultRate) && !errors.Is(err, errFaultLimit) {
		r.sh.p.retries.Add(1)
	}
	if err == nil {
		return
	}
	if n == 1 || errors.Is(err, errFaultRate) || errors.Is(err, errFaultLimit) {
		if !errors.Is(err, errFaultRate) {
			r.sh.p.culprits.fault(r.c.Key, time.Now())
		}
		r.fail(from, n, err)
		return
	}
	half := n / 2
	size, _ := sizeOf(frame, half) // the frame was walked before
	r.parts(from, half, frame[:size])
	r.parts(from+half, n-half, frame[size:])
}

// fail gives up n records.
func (r *run) fail(from, n int, err error) {
	for i := range n {
		r.c.Fail(from+i, err)
	}
}

// try runs a frame on the shard's guest. A guest that faults is thrown away.
func (r *run) try(from, n int, frame []byte) error {
	if r.faults >= maxFaults {
		return fmt.Errorf("%w: %w", errFaultLimit, r.last)
	}
	var start time.Time // of a try after a fault: the first is not worth a look at the clock
	if r.faults > 0 {
		start = time.Now()
	}
	g, err := r.sh.guest()
	if err == nil {
		if err = g.run(r.c, from, n, frame); err == nil {
			return nil
		}
		r.sh.discard()
		r.last = err
	} else if errors.Is(err, errFaultRate) && r.last != nil {
		err = fmt.Errorf("%w: %w", errFaultRate, r.last)
	}
	r.faults++
	took := time.Duration(0)
	if !start.IsZero() {
		took = time.Since(start)
	}
	if r.faults == 2 {
		took *= 2 // the first try, of the same frame, took about as long
	}
	r.sh.p.fault(err, took)
	return err
}

// guest returns the shard's guest and makes one if there is none. Making one in
// place of a faulty one waits until the plugin can afford another fault, so that
// one that always faults costs a bounded share of the broker.
func (sh *shard) guest() (*guest, error) {
	if sh.g != nil {
		return sh.g, nil
	}
	p := sh.p
	if sh.made && p.faults.empty() {
		return nil, errFaultRate
	}
	g, err := p.newGuest(sh.number)
	if err != nil {
		sh.made = true
		return nil, err
	}
	if sh.made {
		p.restarts.Add(1)
	}
	sh.g, sh.made = g, true
	p.live.Add(1)
	return g, nil
}

func (sh *shard) discard() {
	if sh.g != nil {
		sh.g.close()
		sh.p.gone(sh.g.id)
		sh.g = nil
		sh.size.Store(0)
		sh.p.live.Add(-1)
	}
}

// gone tells that a guest can decide nothing any more.
func (p *Plugin) gone(guest uint64) {
	if parked := p.spec.Services.Parked; parked != nil {
		parked.Gone(guest)
	}
}

// fault counts and logs a fault that took so long.
func (p *Plugin) fault(err error, took time.Duration) {
	if errors.Is(err, errFaultRate) {
		return
	}
	p.faults.charge(took)
	p.faulted.Add(1)
	text := clean([]byte(err.Error()), maxText)
	p.mu.Lock()
	p.lastFault = text
	p.mu.Unlock()
	p.log.Error("plugin fault", zap.String("error", text))
}

// loadBudget is the fuel for loading a guest: generous for the first one, which
// is made away from the clients; then a multiple of what that one needed.
func (p *Plugin) loadBudget() int64 {
	if used := p.loadFuel.Load(); used > 0 {
		return min(loadUnits, 4*used+callUnits)
	}
	return loadUnits
}

// used notes what a call took.
func (p *Plugin) used(units int64) {
	p.fuelUsed.Add(uint64(max(0, units)))
	for {
		most := p.fuelMost.Load()
		if units <= most || p.fuelMost.CompareAndSwap(most, units) {
			return
		}
	}
}

// spent notes what loading a guest took.
func (p *Plugin) spent(units int64) {
	p.loadFuel.CompareAndSwap(0, max(units, 1))
}

// HandOver passes the state of each shard (dunlin_drain) to the same shard of a
// newer version (dunlin_restore), for a manager that has swapped the two and
// before it closes p. Shards without a guest have no state. Errors are the
// guests'; the rest is handed over all the same.
func (p *Plugin) HandOver(to plugin.Instance) error {
	next, ok := to.(*Plugin)
	if !ok {
		return nil
	}
	var errs []error
	for i := range p.shards {
		state, err := p.shards[i].drain()
		if err != nil || len(state) == 0 || i >= len(next.shards) {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, next.shards[i].restore(state))
	}
	return errors.Join(errs...)
}

// drain retires the guest of a shard: its last words, then the end.
func (sh *shard) drain() ([]byte, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.closed = true
	if sh.g == nil {
		return nil, nil
	}
	state, err := sh.g.drain()
	sh.discard()
	return state, err
}

func (sh *shard) restore(state []byte) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return plugin.ErrClosed
	}
	g, err := sh.guest()
	if err == nil {
		if err = g.restore(state); err != nil {
			sh.discard()
		}
	}
	return err
}

// Close implements [plugin.Instance]: it waits for the call that each shard is
// in, drains and frees all guests, the compiled code and the runtime.
func (p *Plugin) Close(ctx context.Context) error {
	if p.closed.Swap(true) {
		return nil
	}
	var errs []error
	for i := range p.shards {
		if _, err := p.shards[i].drain(); err != nil {
			errs = append(errs, err)
		}
	}
	if p.rt != nil {
		errs = append(errs, p.rt.Close(ctx))
	}
	if p.cache != nil {
		errs = append(errs, p.cache.Close(ctx))
	}
	return errors.Join(errs...)
}
