package plugin

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Command implements Commander for builtin plugins that have it.
func (i *builtinInstance) Command(_ context.Context, name string, body []byte) ([]byte, error) {
	if i.plugin.command == nil {
		return nil, ErrNoCommands
	}
	return i.plugin.command(name, body)
}

// TestCommand: a command reaches the version that runs, and nobody else.
func TestCommand(t *testing.T) {
	asks := always(contract.Next, 0)
	asks.command = func(name string, body []byte) ([]byte, error) {
		if name == "no" {
			return nil, ErrRefused
		}
		return append([]byte(name+" "), body...), nil
	}
	f := newFixture(t)
	f.add("asks", hookLine(contract.HookPublish, ""), asks)
	f.add("mute", hookLine(contract.HookPublish, ""), always(contract.Next, 0))
	f.start("{asks, true}.\n{mute, true}.\n")
	if got, err := f.Command(t.Context(), "asks", "say", []byte("hello")); err != nil || string(got) != "say hello" {
		t.Errorf("%q, %v", got, err)
	}
	for _, x := range []struct {
		plugin, name string
		body         string
		want         error
	}{
		{"asks", "no", "", ErrRefused},
		{"mute", "say", "", ErrNoCommands},
		{"nobody", "say", "", ErrNotLoaded},
		{"asks", "", "", ErrBadCommand},
		{"asks", strings.Repeat("x", contract.MaxCommandName+1), "", ErrBadCommand},
		{"asks", "say", strings.Repeat("x", contract.MaxCommandBody+1), ErrBadCommand},
	} {
		if _, err := f.Command(t.Context(), x.plugin, x.name, []byte(x.body)); !errors.Is(err, x.want) {
			t.Errorf("%s %.10s: %v", x.plugin, x.name, err)
		}
	}
}
