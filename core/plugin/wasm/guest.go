package wasm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/wasm/fuel"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// guest is one instance of a module. It is used by one goroutine at a time,
// under its shard's mutex, and thrown away after any fault: a trap leaves the
// memory of a guest in any state.
type guest struct {
	// Immutable after newGuest.
	p      *Plugin
	number int
	id     uint64          // unique in p; the lowest bits are the shard's number
	ctx    context.Context // carries the guest to host functions
	mod    api.Module
	mem    api.Memory
	linear memory // behind mem
	fuel   api.MutableGlobal
	on     api.Function

	stack    [4]uint64
	buf, cap uint32 // the buffer of dunlin_buf
	said     head   // what it wrote to stderr since the call began
	line     []byte // of stdout or stderr, not ended yet
	value    []byte // of kv.get, reused

	call pending // what the current call may and wants to do
}

// shardBits is how much of a guest's id is the number of its shard.
const shardBits = 16

// minBuffer is the size of the first buffer that a guest is asked for.
const minBuffer = 4 << 10

// guestKey finds the guest in the context of a host function.
type guestKey struct{}

// guestContext is the context of all calls of one guest.
type guestContext struct {
	context.Context
	g *guest
}

// Value finds the guest without the walk of a context chain.
func (c *guestContext) Value(key any) any {
	if _, ok := key.(guestKey); ok {
		return c.g
	}
	return c.Context.Value(key)
}

// exitError ends a guest that called proc_exit.
type exitError uint32

// Error implements error.
func (e exitError) Error() string { return fmt.Sprintf("guest exited with code %d", uint32(e)) }

// newGuest instantiates, initialises and configures a guest.
func (p *Plugin) newGuest(number int) (g *guest, err error) {
	g = &guest{p: p, number: number, id: p.born.Add(1)<<shardBits | uint64(number)}
	g.ctx = &guestContext{experimental.WithMemoryAllocator(context.Background(), &g.linear), g}
	defer func() {
		if err != nil {
			g.close()
			g = nil
		}
	}()
	g.mod, err = p.rt.InstantiateModule(g.ctx, p.compiled, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return g, g.failure("instantiate", err)
	}
	g.bind(g.mod)
	budget := p.loadBudget()
	g.fuel.Set(uint64(budget))
	if f := g.mod.ExportedFunction(initialize); f != nil {
		if err := f.CallWithStack(g.ctx, g.stack[:0]); err != nil {
			return g, g.failure(initialize, err)
		}
	}
	wanted, err := g.features()
	if err != nil {
		return g, err
	}
	if err := g.configure(wanted.Known() &^ (contract.FeatureCommand | contract.FeatureReconfigure)); err != nil {
		return g, err
	}
	p.spent(budget - int64(g.fuel.Get()))
	g.on = g.mod.ExportedFunction(contract.ExportOn)
	return g, nil
}

// bind takes what the host needs of a module. A start section may call host
// functions before InstantiateModule returns, so they bind as well.
func (g *guest) bind(mod api.Module) {
	if g.mem != nil {
		return
	}
	g.mem = mod.Memory()
	g.fuel, _ = mod.ExportedGlobal(fuel.Global).(api.MutableGlobal)
}

// pay charges the guest for a host call. Below zero it traps at the next charge
// of its own.
func (g *guest) pay(units int64) { g.fuel.Set(g.fuel.Get() - uint64(units)) }

// features asks which features the guest wants.
func (g *guest) features() (contract.Features, error) {
	if err := g.mod.ExportedFunction(contract.ExportMarker).CallWithStack(g.ctx, g.stack[:1]); err != nil {
		return 0, g.failure(contract.ExportMarker, err)
	}
	return contract.Features(g.stack[0]), nil
}

// configure hands the guest its init message, with the features it is granted.
func (g *guest) configure(granted contract.Features) error {
	msg, err := json.Marshal(contract.InitMessage{
		Features: granted, Instance: g.number, Instances: len(g.p.shards),
		Node: g.p.spec.Node, Version: g.p.spec.Version, Config: contract.RawObject(g.p.spec.Config),
	})
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	text, err := g.exchange(contract.ExportInit, msg)
	if err != nil {
		return err
	}
	if len(text) > 0 {
		return fmt.Errorf("configuration refused: %s", clean(text, maxText))
	}
	return nil
}

// hooks asks which hooks the guest handles; known is false if it does not say.
func (g *guest) hooks() (set contract.HookSet, known bool, err error) {
	f := g.mod.ExportedFunction(contract.ExportHooks)
	if f == nil {
		return 0, false, nil
	}
	g.fuel.Set(callUnits)
	if err := f.CallWithStack(g.ctx, g.stack[:1]); err != nil {
		return 0, false, g.failure(contract.ExportHooks, err)
	}
	return contract.HookSet(g.stack[0]), true, nil
}

// exchange puts msg into the buffer, calls an export of type (i32) -> i64 and
// returns a copy of what it points at. Fuel is set by the caller.
func (g *guest) exchange(name string, msg []byte) ([]byte, error) {
	if err := g.fill(msg); err != nil {
		return nil, err
	}
	g.stack[0] = uint64(len(msg))
	if err := g.mod.ExportedFunction(name).CallWithStack(g.ctx, g.stack[:1]); err != nil {
		return nil, g.failure(name, err)
	}
	return g.answer(name)
}

// answer copies what a packed result on the stack points at.
func (g *guest) answer(name string) ([]byte, error) {
	ptr, n := contract.Unpack(g.stack[0])
	if n == 0 {
		return nil, nil
	}
	b, ok := g.mem.Read(ptr, n)
	if !ok || n > maxBlock {
		return nil, fmt.Errorf("%s: result of %d bytes at %#x is out of bounds", name, n, ptr)
	}
	return append([]byte(nil), b...), nil
}

// fill copies b into the guest's buffer and asks for a larger one if need be.
func (g *guest) fill(b []byte) error {
	if uint64(len(b)) > uint64(g.cap) || g.cap == 0 {
		want := uint32(max(len(b), minBuffer))
		g.stack[0] = uint64(want)
		if err := g.mod.ExportedFunction(contract.ExportBuf).CallWithStack(g.ctx, g.stack[:1]); err != nil {
			return g.failure(contract.ExportBuf, err)
		}
		ptr := uint32(g.stack[0])
		if end := uint64(ptr) + uint64(want); end > uint64(g.mem.Size()) || ptr%contract.Align != 0 {
			return fmt.Errorf("%s: buffer of %d bytes at %#x is out of bounds or not aligned", contract.ExportBuf, want, ptr)
		}
		g.buf, g.cap = ptr, want
	}
	if !g.mem.Write(g.buf, b) {
		return errors.New("the buffer is outside the memory")
	}
	return nil
}

// run hands the n records from record on to the guest and takes the verdicts.
// Any error is a fault.
func (g *guest) run(c *plugin.Call, from, n int, frame []byte) error {
	g.said.reset()
	budget := g.p.units + recordUnits*int64(n)
	g.fuel.Set(uint64(budget))
	if err := g.fill(frame); err != nil {
		return err
	}
	g.call.begin(c, from, n)
	g.stack[0], g.stack[1] = uint64(n), uint64(len(frame))
	err := g.on.CallWithStack(g.ctx, g.stack[:2])
	g.call.end()
	g.p.used(budget - int64(g.fuel.Get()))
	if err != nil {
		return g.failure(contract.ExportOn, err)
	}
	if c.Observe { // nobody reads the verdicts
		g.call.finish(g.p, c)
		return nil
	}
	ptr, size := contract.Unpack(g.stack[0])
	var block []byte
	if size > 0 {
		var ok bool
		if block, ok = g.mem.Read(ptr, size); !ok || size > maxBlock {
			return errBlock
		}
	}
	c.Guest = g.id
	if err := c.Take(from, n, block); err != nil {
		return err
	}
	g.call.finish(g.p, c)
	return nil
}

// drain asks for the last words of a guest; nil if it has none.
func (g *guest) drain() ([]byte, error) {
	f := g.mod.ExportedFunction(contract.ExportDrain)
	if f == nil {
		return nil, nil
	}
	g.said.reset()
	g.fuel.Set(uint64(g.p.units + recordUnits*contract.MaxRecordsWASM))
	if err := f.CallWithStack(g.ctx, g.stack[:1]); err != nil {
		return nil, g.failure(contract.ExportDrain, err)
	}
	return g.answer(contract.ExportDrain)
}

// restore hands the state of a previous version to a guest that wants it.
func (g *guest) restore(state []byte) error {
	if len(state) == 0 || g.mod.ExportedFunction(contract.ExportRestore) == nil {
		return nil
	}
	g.said.reset()
	g.fuel.Set(uint64(g.p.units + recordUnits*contract.MaxRecordsWASM))
	text, err := g.exchange(contract.ExportRestore, state)
	if err == nil && len(text) > 0 {
		err = fmt.Errorf("state refused: %s", clean(text, maxText))
	}
	return err
}

// failure words what went wrong in a call: the guest's own last words if it had
// any, else the engine's first line.
func (g *guest) failure(what string, err error) error {
	g.flushLine()
	var exit exitError
	first, _, _ := strings.Cut(err.Error(), "\n")
	switch {
	case errors.As(err, &exit):
		err = exit
	case g.fuel != nil && int64(g.fuel.Get()) < 0:
		err = errFuel
	default:
		err = errors.New(first)
	}
	if text := g.said.text(); text != "" {
		return fmt.Errorf("%s: %w: %s", what, err, text)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// close frees the guest. It may be called on a half-made one.
func (g *guest) close() {
	g.flushLine()
	if g.mod != nil {
		_ = g.mod.Close(g.ctx)
	}
	g.linear.Free() // of a module that was refused half-way as well
}
