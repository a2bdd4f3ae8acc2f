package sdk

import "github.com/dunlinmq/dunlin/pluginsdk/contract"

// A plugin implements Commander to be asked things by operators: `dunlin ctl
// plugins command NAME COMMAND` and the verbs of ctl that are made of it. A process
// only. OnCommand is called at any time from Configure on, also while a handler
// runs, by several goroutines at once. name is the command ("rules.list"), body a
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
