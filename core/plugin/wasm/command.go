package wasm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// commandUnits is the fuel of a command: an operator may wait for some 20 ms, and so
// may the clients of the one guest that carries it out.
const commandUnits = 20_000_000

var _ plugin.Commander = (*Plugin)(nil)

// Command implements [plugin.Commander]. The plugin's first guest carries it out,
// between two calls.
func (p *Plugin) Command(ctx context.Context, name string, body []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sh := &p.shards[0]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	defer p.host.take(&sh.asked)
	if sh.closed {
		return nil, plugin.ErrClosed
	}
	g, err := sh.guest()
	if err != nil {
		return nil, err
	}
	if g.mod.ExportedFunction(contract.ExportCommand) == nil {
		return nil, plugin.ErrNoCommands
	}
	answer, err := g.command(name, body)
	if err != nil {
		sh.discard()
		return nil, fmt.Errorf("the plugin has failed at the command: %w", err)
	}
	return said(answer)
}

// command hands a command to the guest and copies the answer.
func (g *guest) command(name string, body []byte) ([]byte, error) {
	g.said.reset()
	g.fuel.Set(commandUnits)
	if err := g.fill(append([]byte(name), body...)); err != nil {
		return nil, err
	}
	g.stack[0], g.stack[1] = uint64(len(name)), uint64(len(name)+len(body))
	if err := g.mod.ExportedFunction(contract.ExportCommand).CallWithStack(g.ctx, g.stack[:2]); err != nil {
		return nil, g.failure(contract.ExportCommand, err)
	}
	return g.answer(contract.ExportCommand)
}

// refusal is an error of a plugin: its text, and its kind for errors.Is.
type refusal struct {
	kind error
	text string
}

// Error is the plugin's text.
func (r *refusal) Error() string { return r.text }

// Unwrap is the kind.
func (r *refusal) Unwrap() error { return r.kind }

// said takes an answer apart: an errno, then JSON or the text of the error.
func said(answer []byte) ([]byte, error) {
	if len(answer) < 4 {
		return nil, plugin.ErrNoCommands
	}
	text := answer[4:]
	switch n := contract.Errno(binary.LittleEndian.Uint32(answer)); {
	case n >= 0:
		return text, nil
	case n == contract.ErrnoNotFound:
		return nil, &refusal{plugin.ErrNotThere, clean(text, maxText)}
	case n == contract.ErrnoInvalid:
		return nil, &refusal{plugin.ErrBadCommand, clean(text, maxText)}
	case n == contract.ErrnoDenied:
		return nil, &refusal{plugin.ErrRefused, clean(text, maxText)}
	}
	return nil, errors.New(clean(text, maxText))
}
