package resource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
)

// Status tells of a resource. Its keys are stable.
type Status struct {
	ID          string         `json:"id"`
	Type        string         `json:"type"`
	Description string         `json:"description,omitempty"`
	Config      map[string]any `json:"config"` // without secrets
	Alive       bool           `json:"is_alive"`
	Error       string         `json:"error,omitempty"`
	Since       time.Time      `json:"since,omitzero"`
	Queued      int            `json:"queued"`
	QueuedBytes int64          `json:"queued_bytes"`
	BufferSize  int64          `json:"buffer_size"`
	Success     uint64         `json:"success"`
	Failed      uint64         `json:"failed"`
	Retried     uint64         `json:"retried"`
	Actions     []string       `json:"actions"` // those that are bound to it
}

// secrets are the words in the names of settings that are shown to nobody.
var secrets = []string{"password", "secret", "token", "sasl_pass"}

func secret(key string) bool {
	return slices.ContainsFunc(secrets, func(w string) bool { return strings.Contains(strings.ToLower(key), w) })
}

// Redact is a configuration as it may be shown.
func Redact(config map[string]any) map[string]any {
	out := make(map[string]any, len(config))
	for k, v := range config {
		switch table, ok := v.(map[string]any); {
		case secret(k) || strings.EqualFold(k, "authorization"):
			v = "******"
		case ok:
			v = Redact(table)
		}
		out[k] = v
	}
	return out
}

// Status tells of a resource. ErrNotFound.
func (s *Set) Status(id string) (Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.all[id]
	if e == nil {
		return Status{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	return s.status(e), nil
}

// List tells of all resources, by id.
func (s *Set) List() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Status, 0, len(s.all))
	for _, e := range s.all {
		list = append(list, s.status(e))
	}
	slices.SortFunc(list, func(a, b Status) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// status tells of e. mu is held.
func (s *Set) status(e *entry) Status {
	st := Status{ID: e.spec.ID, Type: e.spec.Type, Description: e.spec.Description, Config: Redact(e.spec.Config), BufferSize: e.flow.most, Actions: []string{}}
	for name, b := range s.bound {
		if b.resource == e.spec.ID {
			st.Actions = append(st.Actions, name)
		}
	}
	slices.Sort(st.Actions)
	if e.worker == nil {
		st.Error = "waits for the buffer, which an older process still has"
		return st
	}
	w := e.worker.Stats()
	st.Alive, st.Error, st.Since = !w.Down, w.Error, w.Since
	st.Queued, st.QueuedBytes, st.Success, st.Failed, st.Retried = w.Queued, w.QueuedBytes, w.Success, w.Failed, w.Retried
	return st
}

// Check asks the other side of a resource whether it is there. ErrNotFound.
func (s *Set) Check(ctx context.Context, id string) error {
	s.mu.Lock()
	e := s.all[id]
	var w *sink.Worker
	var spec Spec
	if e != nil {
		w, spec = e.worker, e.spec
	}
	s.mu.Unlock()
	switch {
	case e == nil:
		return fmt.Errorf("%w: %s", ErrNotFound, id)
	case w == nil: // the buffer is not open yet
		return s.Test(ctx, spec)
	}
	return w.Check(ctx)
}

// Valid tells whether a specification is right, without keeping it or asking anybody.
func (s *Set) Valid(spec Spec) error {
	e, err := s.open(spec)
	if err != nil {
		return err
	}
	return e.driver.Close()
}

// Test opens a resource that is not kept, asks its other side, and closes it.
func (s *Set) Test(ctx context.Context, spec Spec) error {
	e, err := s.open(spec)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	return errors.Join(e.driver.Check(ctx), e.driver.Close())
}

var _ sink.Listener = hears{}
