package plugin

import (
	"context"
	"errors"
	"fmt"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Errors of commands; the text behind them is the plugin's.
var (
	ErrNoCommands = errors.New("the plugin takes no commands")
	ErrNotThere   = errors.New("not found")
	ErrBadCommand = errors.New("not valid")
	ErrRefused    = errors.New("not possible now")
)

// Commander is an [Instance] whose plugin carries out commands of operators.
type Commander interface {
	// Command asks the plugin and waits for its answer, or for ctx. Errors are
	// those above, ErrDown, and what else the plugin says.
	Command(ctx context.Context, name string, body []byte) ([]byte, error)
}

// Command has a loaded plugin carry out a command. name and body are the plugin's
// to judge; body and answer are JSON. ErrNotLoaded, and those of Commander.
func (m *Manager) Command(ctx context.Context, plugin, name string, body []byte) ([]byte, error) {
	if name == "" || len(name) > contract.MaxCommandName || len(body) > contract.MaxCommandBody {
		return nil, fmt.Errorf("%w: a command has a name of 1 to %d bytes and a body of at most %d", ErrBadCommand, contract.MaxCommandName, contract.MaxCommandBody)
	}
	p, err := m.loaded(plugin)
	if err != nil {
		return nil, err
	}
	v := p.acquire()
	if v == nil {
		return nil, fmt.Errorf("%s: %w", plugin, ErrNotLoaded)
	}
	defer v.release()
	c, ok := v.inst.(Commander)
	if !ok {
		return nil, fmt.Errorf("%s: %w", plugin, ErrNoCommands)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(v.ctx, cancel)() // a version that is closed waits for no command
	return c.Command(ctx, name, body)
}
