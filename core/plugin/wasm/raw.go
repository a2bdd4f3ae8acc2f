package wasm

import (
	"context"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Raw hands bytes to a guest as a frame of n records, whatever they are, for
// tools that check how a plugin takes what no broker would send. It returns a
// copy of the verdict block and the fuel that it took. A fault throws the guest
// away and is not tried again.
func (p *Plugin) Raw(ctx context.Context, frame []byte, n int) (block []byte, fuel int64, err error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	sh := &p.shards[0]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return nil, 0, plugin.ErrClosed
	}
	g, err := sh.guest()
	if err != nil {
		return nil, 0, err
	}
	g.said.reset()
	budget := p.units + recordUnits*int64(n)
	g.fuel.Set(uint64(budget))
	if err := g.fill(frame); err != nil {
		sh.discard()
		return nil, 0, err
	}
	g.stack[0], g.stack[1] = uint64(n), uint64(len(frame))
	if err := g.on.CallWithStack(g.ctx, g.stack[:2]); err != nil {
		err = g.failure(contract.ExportOn, err)
		sh.discard()
		return nil, 0, err
	}
	fuel = budget - int64(g.fuel.Get())
	block, err = g.answer(contract.ExportOn)
	return block, fuel, err
}
