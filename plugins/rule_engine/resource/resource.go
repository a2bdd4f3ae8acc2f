// Package resource holds the resources: databases, brokers and servers that actions
// bring rows to. It owns which there are, their queues and workers, which action is
// bound to which, and their figures. It refuses to know what a driver does and where
// specifications come from.
package resource

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
)

// Errors of resources.
var (
	ErrNotFound = errors.New("no such resource")
	ErrInUse    = errors.New("the resource is in use")
	ErrInvalid  = errors.New("the resource is not right")
)

// Opener reads the configuration of a resource of one type. It does not connect.
type Opener func(p *params.Params) (sink.Resource, error)

// Spec is a resource as an operator writes it.
type Spec struct {
	ID          string         `json:"id"`
	Type        string         `json:"type"`
	Description string         `json:"description,omitempty"`
	Config      map[string]any `json:"config"`
}

// Hears is told of what befalls a resource, on its worker's goroutine.
type Hears interface {
	// Dead is told of an item that will never arrive.
	Dead(resource string, it sink.Item, why error)
	// Health is told when a resource goes down or comes up.
	Health(resource string, up bool, why error)
}

// Config is what a Set needs.
type Config struct {
	Types map[string]Opener
	Hears Hears
}

// Set is all resources. Safe for concurrent use.
type Set struct {
	cfg Config // immutable

	mu sync.Mutex
	// Guarded by mu.
	buf   *buffer.Buffer // nil: not open yet
	all   map[string]*entry
	bound map[string]binding // by action
}

// binding is an action with its parameters, so that it can be bound again.
type binding struct {
	resource string
	p        *params.Params
}

// entry is one resource.
type entry struct {
	spec   Spec
	driver sink.Resource
	flow   flow
	cfg    sink.Config
	queue  *buffer.Queue // nil: before Start
	worker *sink.Worker
	cancel context.CancelFunc
	works  sync.WaitGroup // the worker and the checks
	every  time.Duration  // between two checks
}

// flow says what a queue may hold.
type flow struct {
	most int64
	drop bool // the oldest go when it is full; else the rule engine waits
}

// New returns a set of no resources.
func New(cfg Config) *Set {
	return &Set{cfg: cfg, all: map[string]*entry{}, bound: map[string]binding{}}
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9_:.-]{1,64}$`)

// Types are the types of resources, in their order.
func (s *Set) Types() []string {
	var names []string
	for name := range s.cfg.Types {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// open reads a specification and makes the driver.
func (s *Set) open(spec Spec) (*entry, error) {
	if !idForm.MatchString(spec.ID) {
		return nil, fmt.Errorf("%w: id %q: 1 to 64 letters, digits and _ : . -", ErrInvalid, spec.ID)
	}
	opener := s.cfg.Types[spec.Type]
	if opener == nil {
		return nil, fmt.Errorf("%w: there is no type %q; there are %s", ErrInvalid, spec.Type, strings.Join(s.Types(), ", "))
	}
	p := params.New(spec.Config)
	e := &entry{spec: spec, cfg: sink.Config{
		BatchSize: p.Int("batch_size", 500, 1, 100_000), BatchBytes: p.Bytes("batch_bytes", 1<<20), BatchTime: p.Duration("batch_time", 10*time.Millisecond),
		Timeout: p.Duration("write_timeout", 10*time.Second), RetryMin: p.Duration("retry_min", 100*time.Millisecond), RetryMax: p.Duration("retry_max", 30*time.Second),
	}}
	e.every = max(p.Duration("health_check_interval", 15*time.Second), 100*time.Millisecond)
	e.flow = flow{most: p.Bytes("buffer_size", 256<<20), drop: p.OneOf("buffer_full", "wait", "drop_oldest") == "drop_oldest"}
	driver, err := opener(p)
	if err != nil {
		if driver != nil {
			err = errors.Join(err, driver.Close())
		}
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	e.driver = driver
	return e, nil
}

// Put adds a resource, or puts one in the place of that of its id: actions stay
// bound and items stay queued. On an error nothing has changed.
func (s *Set) Put(spec Spec) error {
	e, err := s.open(spec)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.all[spec.ID]
	if old != nil && old.spec.Type != spec.Type {
		return errors.Join(fmt.Errorf("%w: %s is of type %s: delete it first", ErrInvalid, spec.ID, old.spec.Type), e.driver.Close())
	}
	var errs []error
	for action, b := range s.bound {
		if b.resource == spec.ID {
			if err := e.driver.Bind(action, b.p.Clone()); err != nil {
				errs = append(errs, fmt.Errorf("%w: action %s: %w", ErrInvalid, action, err))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return errors.Join(err, e.driver.Close())
	}
	if old != nil {
		err = old.stop()
	}
	s.all[spec.ID] = e
	if s.buf != nil {
		err = errors.Join(err, s.start(e))
	}
	return err
}

// Start opens the queues of the buffer and lets all resources work. Call it once.
func (s *Set) Start(buf *buffer.Buffer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf = buf
	var errs []error
	for _, e := range s.all {
		errs = append(errs, s.start(e))
	}
	return errors.Join(errs...)
}

// start lets e work. mu is held and the buffer open.
func (s *Set) start(e *entry) (err error) {
	if e.queue, err = s.buf.Queue(e.spec.ID, e.flow.most); err != nil {
		return err
	}
	e.worker = sink.NewWorker(e.cfg, e.queue, e.driver, hears{s.cfg.Hears, e.spec.ID})
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.works.Go(func() { e.worker.Run(ctx) })
	e.works.Go(func() { e.check(ctx) })
	return nil
}

// check asks the other side now and then, so that one that nothing is written to is
// known to be up or down.
func (e *entry) check(ctx context.Context) {
	tick := time.NewTicker(e.every)
	defer tick.Stop()
	for ctx.Err() == nil {
		_ = e.worker.Check(ctx) // the worker tells who listens
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// stop ends the worker; what it has not brought stays queued.
func (e *entry) stop() error {
	if e.cancel != nil {
		e.cancel()
		e.works.Wait()
	}
	return e.driver.Close()
}

type hears struct {
	Hears
	id string
}

func (h hears) Dead(it sink.Item, why error) { h.Hears.Dead(h.id, it, why) }
func (h hears) Health(up bool, why error)    { h.Hears.Health(h.id, up, why) }

// Delete removes a resource that no action is bound to, with what is queued.
func (s *Set) Delete(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.all[id]
	if e == nil {
		return ErrNotFound
	}
	for action, b := range s.bound {
		if b.resource == id {
			rule, _, _ := strings.Cut(action, "/")
			return fmt.Errorf("%w by the rule %s: delete or change that first", ErrInUse, rule)
		}
	}
	delete(s.all, id)
	err := e.stop()
	if s.buf != nil {
		err = errors.Join(err, s.buf.Drop(id))
	}
	return err
}

// Bind implements action.Resources: it ties an action to a resource.
func (s *Set) Bind(resource, kind, name string, p *params.Params) error {
	if len(name) > sink.MaxAction {
		return fmt.Errorf("the names of rule and action have %d bytes, at most %d are allowed", len(name), sink.MaxAction)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.all[resource]
	switch {
	case e == nil:
		return fmt.Errorf("$resource: there is no resource %q; `dunlin ctl resources list` shows those there are", resource)
	case e.spec.Type != kind:
		return fmt.Errorf("$resource: %s is of type %s, the action wants one of type %s", resource, e.spec.Type, kind)
	}
	again := p.Clone()
	if err := e.driver.Bind(name, p); err != nil {
		return err
	}
	if old, ok := s.bound[name]; ok && old.resource != resource && s.all[old.resource] != nil {
		s.all[old.resource].driver.Unbind(name)
	}
	s.bound[name] = binding{resource, again}
	return nil
}

// Rule is what is bound for a rule: to be put back when a change fails.
type Rule map[string]binding

// Bound is what is bound for a rule now.
func (s *Set) Bound(rule string) Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Rule{}
	for name, b := range s.bound {
		if strings.HasPrefix(name, rule+"/") {
			r[name] = b
		}
	}
	return r
}

// Keep unbinds what is bound for a rule but for the actions that want names. With
// back it binds again what was there before.
func (s *Set) Keep(rule string, want func(action string) bool, back Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, b := range s.bound {
		if strings.HasPrefix(name, rule+"/") && !want(name) {
			if e := s.all[b.resource]; e != nil {
				e.driver.Unbind(name)
			}
			delete(s.bound, name)
		}
	}
	for name, b := range back {
		if e := s.all[b.resource]; e != nil && e.driver.Bind(name, b.p.Clone()) == nil {
			s.bound[name] = b
		}
	}
}

// Queue is the queue of a resource, and what becomes of it when it is full; nil
// before Start or without the resource.
func (s *Set) Queue(id string) (q *buffer.Queue, dropOldest bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.all[id]; e != nil {
		return e.queue, e.flow.drop
	}
	return nil, false
}

// Close stops all workers.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, e := range s.all {
		errs = append(errs, e.stop())
	}
	s.all, s.buf = map[string]*entry{}, nil
	return errors.Join(errs...)
}
