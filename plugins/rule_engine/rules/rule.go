// Package rules holds the rules and runs them on events. It owns which rules
// there are, finds those of an event, evaluates them and hands what they select
// to their actions, and counts. It refuses to know where events come from and
// what actions do.
package rules

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
)

// Spec is a rule as an operator writes it.
type Spec struct {
	ID             string       `json:"id"`
	SQL            string       `json:"rawsql"`
	Enabled        bool         `json:"enabled"`
	Description    string       `json:"description,omitempty"`
	OnActionFailed string       `json:"on_action_failed"` // continue (with the next action) or stop
	Actions        []ActionSpec `json:"actions"`
}

// ActionSpec is an action of a rule.
type ActionSpec struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Params    map[string]any `json:"params"`
	Fallbacks []ActionSpec   `json:"fallbacks,omitempty"` // in order, until one succeeds
}

// Action does something with a row. Safe for concurrent use.
type Action interface {
	// Do is given the row, which it may neither keep nor change. It must not wait
	// for the outside: what takes time goes into a queue of the transaction.
	Do(tx *Tx, row *sql.Map) error
}

// Event is what rules are run on.
type Event interface {
	sql.Source
}

// Named is an Event that is told for which rule it is looked at.
type Named interface{ For(rule string) }

// Tx is one batch of events: what actions put off until its end.
type Tx struct {
	// Queue puts an item in a sink's queue; it is on disk when the batch is
	// acknowledged.
	Queue func(sink string, action string, row *sql.Map) error
	// Publish gives a message to the broker when the batch ends.
	Publish func(m Message) error
	// Event is the event whose row it is.
	Event Event
	// Bytes is memory for what messages say; it is used again when the event's
	// messages are on their way.
	Bytes []byte
}

// Message is what an action publishes.
type Message struct {
	Topic   string
	Payload []byte // a part of Tx.Bytes
	QoS     byte
	Retain  bool
	Rule    string // whose action it is: the guard against loops
}

// Builder makes the action of a spec for a rule. The error says which parameter
// is wrong.
type Builder func(rule string, spec *ActionSpec) (Action, error)

// Rule is a compiled rule. It is immutable but for its counters.
type Rule struct {
	spec    Spec
	query   *sql.Query
	actions []*step
	Metrics Metrics
}

// step is an action with what takes its place when it fails.
type step struct {
	id        string
	action    Action
	fallbacks []*step
	metrics   ActionMetrics
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9_:.-]{1,64}$`)

// The limits of one rule.
const (
	maxActions   = 32
	maxFallbacks = 8
)

// Compile reads a rule. The errors are all that is wrong with it.
func Compile(spec Spec, o sql.Options, build Builder) (*Rule, error) {
	r := &Rule{spec: spec}
	var errs []error
	if !idForm.MatchString(spec.ID) {
		errs = append(errs, fmt.Errorf("id %q: 1 to 64 letters, digits and _ : . -", spec.ID))
	}
	switch spec.OnActionFailed {
	case "":
		r.spec.OnActionFailed = "continue"
	case "continue", "stop":
	default:
		errs = append(errs, fmt.Errorf("on_action_failed %q: continue or stop", spec.OnActionFailed))
	}
	var err error
	if r.query, err = sql.Compile(spec.SQL, o); err != nil {
		errs = append(errs, fmt.Errorf("sql: %w", err))
	}
	if len(spec.Actions) > maxActions {
		errs = append(errs, fmt.Errorf("%d actions, at most %d are allowed", len(spec.Actions), maxActions))
	} else if r.actions, err = steps(spec.ID, spec.Actions, build); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("rule %s: %w", spec.ID, err)
	}
	r.Metrics.start(time.Now())
	return r, nil
}

func steps(rule string, specs []ActionSpec, build Builder) (list []*step, err error) {
	var errs []error
	for i := range specs {
		spec := specs[i]
		if spec.ID == "" {
			spec.ID = fmt.Sprintf("%s_%d", spec.Name, i+1)
		}
		s := &step{id: spec.ID}
		if s.action, err = build(rule, &spec); err != nil {
			errs = append(errs, fmt.Errorf("action %s: %w", spec.ID, err))
			continue
		}
		if len(spec.Fallbacks) > maxFallbacks {
			errs = append(errs, fmt.Errorf("action %s: %d fallbacks, at most %d are allowed", spec.ID, len(spec.Fallbacks), maxFallbacks))
			continue
		}
		if s.fallbacks, err = steps(rule, spec.Fallbacks, build); err != nil {
			errs = append(errs, err)
		}
		list = append(list, s)
	}
	return list, errors.Join(errs...)
}

// Spec is the rule as it was written, with the defaults.
func (r *Rule) Spec() Spec { return r.spec }

// Topics are the filters and events of the rule.
func (r *Rule) Topics() []string { return r.query.Topics }

// Unknown are names in the statement that nothing defines.
func (r *Rule) Unknown() []string { return r.query.Unknown }

// run evaluates the rule on an event. res is scratch.
func (r *Rule) run(tx *Tx, res *sql.Result) error {
	r.Metrics.matched.Add(1)
	if e, ok := tx.Event.(Named); ok {
		e.For(r.spec.ID)
	}
	if err := r.query.Eval(tx.Event, res); err != nil {
		r.Metrics.exception.Add(1)
		r.Metrics.fail(err)
		return err
	}
	if !res.Matched {
		r.Metrics.noResult.Add(1)
		return nil
	}
	r.Metrics.passed.Add(1)
	for _, row := range res.Rows {
		for _, s := range r.actions {
			if err := s.do(tx, row); err != nil {
				r.Metrics.fail(err)
				if r.spec.OnActionFailed == "stop" {
					break
				}
			}
		}
	}
	return nil
}

// do runs the action, and its fallbacks until one succeeds.
func (s *step) do(tx *Tx, row *sql.Map) error {
	s.metrics.taken.Add(1)
	err := s.action.Do(tx, row)
	if err == nil {
		s.metrics.success.Add(1)
		return nil
	}
	s.metrics.failed.Add(1)
	err = fmt.Errorf("action %s: %w", s.id, err)
	for _, f := range s.fallbacks {
		if f.do(tx, row) == nil {
			return nil
		}
	}
	return err
}
