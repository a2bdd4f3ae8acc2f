package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
)

// ErrNotFound: there is no such rule.
var ErrNotFound = errors.New("no such rule")

// MaxRules bounds the rules of an engine.
const MaxRules = 100_000

// Engine holds the rules. Safe for concurrent use; events never wait for a
// change.
type Engine struct {
	// Immutable.
	build Builder
	opts  sql.Options
	told  func(rule string, err error) // of a rule that failed on an event

	current atomic.Pointer[index]

	mu    sync.Mutex
	rules map[string]*Rule // guarded by mu
}

// NewEngine returns an engine without rules. told hears of each failure of a
// rule; it must not block.
func NewEngine(o sql.Options, build Builder, told func(rule string, err error)) *Engine {
	e := &Engine{build: build, opts: o, told: told, rules: map[string]*Rule{}}
	e.current.Store(newIndex(nil))
	return e
}

// Put adds a rule or replaces the one of its id, whose counters start anew. On
// an error nothing has changed.
func (e *Engine) Put(spec Spec) (*Rule, error) {
	r, err := Compile(spec, e.opts, e.build)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.rules[spec.ID]; !ok && len(e.rules) >= MaxRules {
		return nil, fmt.Errorf("there are %d rules, at most as many are allowed", MaxRules)
	}
	e.rules[spec.ID] = r
	e.rebuild()
	return r, nil
}

// Replace makes specs all the rules there are. Rules that are as before keep
// their counters. On an error nothing has changed, and it says all that is
// wrong.
func (e *Engine) Replace(specs []Spec) error {
	next := make(map[string]*Rule, len(specs))
	var errs []error
	for _, spec := range specs {
		if next[spec.ID] != nil {
			errs = append(errs, fmt.Errorf("rule %s: there are two", spec.ID))
			continue
		}
		r, err := Compile(spec, e.opts, e.build)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		next[spec.ID] = r
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rules = next
	e.rebuild()
	return nil
}

// Install puts compiled rules in the place of those of their ids and removes others,
// in one go.
func (e *Engine) Install(put []*Rule, gone []string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.rules)+len(put) > MaxRules+len(gone) {
		return fmt.Errorf("at most %d rules are allowed", MaxRules)
	}
	for _, id := range gone {
		delete(e.rules, id)
	}
	for _, r := range put {
		e.rules[r.spec.ID] = r
	}
	e.rebuild()
	return nil
}

// Delete removes a rule.
func (e *Engine) Delete(id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.rules[id] == nil {
		return ErrNotFound
	}
	delete(e.rules, id)
	e.rebuild()
	return nil
}

// rebuild makes the index anew. mu is held.
func (e *Engine) rebuild() { e.current.Store(newIndex(e.sorted())) }

func (e *Engine) sorted() []*Rule {
	list := make([]*Rule, 0, len(e.rules))
	for _, r := range e.rules {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *Rule) int { return strings.Compare(a.spec.ID, b.spec.ID) })
	return list
}

// Get is the rule of an id, nil if there is none.
func (e *Engine) Get(id string) *Rule {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rules[id]
}

// List is all rules by id.
func (e *Engine) List() []*Rule {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sorted()
}

// Filters are the topic filters and events of all enabled rules, each once: what
// the broker has to send.
func (e *Engine) Filters() (filters, events []string) {
	seen := map[string]bool{}
	for _, r := range e.List() {
		if !r.spec.Enabled {
			continue
		}
		for _, f := range r.query.Topics {
			if seen[f] {
				continue
			}
			seen[f] = true
			if strings.HasPrefix(f, eventPrefix) {
				events = append(events, f)
			} else {
				filters = append(filters, f)
			}
		}
	}
	return filters, events
}

// Scratch is memory that runs of one goroutine share.
type Scratch struct {
	rules  []*Rule
	result sql.Result
}

// Message runs the rules of a topic on a message. skip names the rule whose
// action has published it: it does not see its own.
func (e *Engine) Message(tx *Tx, topic, skip string, s *Scratch) {
	s.rules = e.current.Load().match(topic, s.rules[:0])
	for _, r := range s.rules {
		if skip == "" || r.spec.ID != skip {
			e.one(r, tx, s)
		}
	}
}

// Event runs the rules of an event, "$events/client_connected".
func (e *Engine) Event(tx *Tx, name string, s *Scratch) {
	for _, r := range e.current.Load().events[name] {
		e.one(r, tx, s)
	}
}

// one runs a rule. What a rule does to itself never reaches the others.
func (e *Engine) one(r *Rule, tx *Tx, s *Scratch) {
	defer func() {
		if p := recover(); p != nil {
			err := fmt.Errorf("the rule broke: %v", p)
			r.Metrics.exception.Add(1)
			r.Metrics.fail(err)
			e.told(r.spec.ID, err)
		}
	}()
	if err := r.run(tx, &s.result); err != nil {
		e.told(r.spec.ID, err)
	}
}

// Tick lets time pass for the speeds; call it each second.
func (e *Engine) Tick(now time.Time) {
	for _, r := range e.List() {
		r.Metrics.Tick(now)
	}
}

// Matches tells whether any rule has a filter that matches a topic.
func (e *Engine) Matches(topic string) bool { return e.current.Load().any(topic) }
