package sdk

import (
	"encoding/binary"
	"errors"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// A plugin implements Commander to be asked things by operators: `dunlin ctl
// plugins command NAME COMMAND` and the verbs of ctl that are made of it. In a
// process OnCommand is called at any time from Configure on, also while a handler
// runs, by several goroutines at once; in a module between two handlers, of its first
// instance, and nothing can be published then. name is the command ("rules.list"), body a
// JSON value or empty; so is the answer, of at most [contract.MaxCommandReply] bytes.
// A [CommandError] tells the operator's tool what kind of fault it is.
type Commander interface {
	OnCommand(name string, body []byte) ([]byte, error)
}

// CommandError is an answer of OnCommand that says no. Kind is [ErrNotFound],
// [ErrInvalid] (the command or its body), [ErrDenied] (not possible now), or another.
type CommandError struct {
	Kind contract.Errno
	Text string // for the operator
}

// Error is the text.
func (e *CommandError) Error() string { return e.Text }

// Unwrap is the kind.
func (e *CommandError) Unwrap() error { return e.Kind }

// UnknownCommand is the answer to a command that the plugin does not have.
func UnknownCommand(name string) error {
	return &CommandError{ErrNotFound, "the plugin has no command " + name}
}

// command is the answer of a module: an errno and JSON or a text; nothing if the
// plugin takes no commands.
func (d *dispatcher) command(name string, body []byte) []byte {
	c, ok := d.plugin.(Commander)
	if !ok {
		return nil
	}
	answer, err := c.OnCommand(name, body)
	if err == nil {
		return append(make([]byte, 4, 4+len(answer)), answer...)
	}
	kind := contract.ErrnoInternal
	if n := contract.Errno(0); errors.As(err, &n) {
		kind = n
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(kind)), err.Error()...)
}
