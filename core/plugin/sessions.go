package plugin

import (
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/plugin/event"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Sessions is what the broker knows of its clients, for the capability "session".
// Nothing blocks.
type Sessions interface {
	// Client tells of a connected client; nil: there is none with the id.
	Client(id string) *hook.Client
	// Kick ends a client's connection as an operator does; false: there is none.
	Kick(id string) bool
}

// SessionCalls are the host calls about sessions.
type SessionCalls interface {
	// Get appends a connected record about the client to dst. ErrnoNotFound.
	Get(dst []byte, id string) ([]byte, error)
	// Kick ends the client's connection. ErrnoNotFound.
	Kick(id string) error
}

// sessionCalls are the SessionCalls of all plugins.
type sessionCalls struct{ host *host }

// Get implements [SessionCalls].
func (s sessionCalls) Get(dst []byte, id string) ([]byte, error) {
	c := s.host.Sessions.Client(id)
	if c == nil {
		return dst, contract.ErrnoNotFound
	}
	w := event.Encoder{Now: s.host.Now().UnixNano()}
	event.Connection.Encode(&w, contract.HookConnected, &hook.ConnectionEvent{Client: c})
	return append(dst, w.Frame()...), nil
}

// Kick implements [SessionCalls].
func (s sessionCalls) Kick(id string) error {
	if !s.host.Sessions.Kick(id) {
		return contract.ErrnoNotFound
	}
	return nil
}
