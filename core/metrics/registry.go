package metrics

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
)

// MaxCustom is how many counters and gauges plugins can register together, so
// that a plugin that makes names up takes bounded memory. With the built-in
// ones this is about EMQ X 4's limit of 1024.
const MaxCustom = 900

// The errors of [Registry.Counter] and [Registry.Gauge].
var (
	ErrTooMany = errors.New("metrics: too many")
	ErrName    = errors.New("metrics: a name is lower-case words, numbers and _ with dots between, at most 128 bytes")
	ErrKind    = errors.New("metrics: the name is taken by another metric")
)

// Registry holds all metrics of a node.
type Registry struct {
	// Gauges are the built-in gauges.
	Gauges Gauges

	// Immutable after New.
	names   []string
	gauges  []named
	stripes []Stripe
	taken   map[string]bool

	mu     sync.Mutex
	custom []*Custom          // guarded by mu; in order of registration
	byName map[string]*Custom // guarded by mu
}

// Custom is a counter or gauge that a plugin registered. Any goroutine may use it.
type Custom struct {
	name    string
	counter bool
	_       [64]byte
	n       atomic.Uint64
	gauge   Gauge
}

// Inc adds n to a counter.
func (c *Custom) Inc(n uint64) { c.n.Add(n) }

// Gauge is the gauge's value.
func (c *Custom) Gauge() *Gauge { return &c.gauge }

// Sample is the value of one metric at one time.
type Sample struct {
	Name  string
	Value int64
	Gauge bool // it can fall
}

// New returns a registry with that many stripes, at least one; as many as there
// are event loops is right.
func New(stripes int) *Registry {
	r := &Registry{
		names:   names(),
		stripes: make([]Stripe, max(1, stripes)),
		taken:   map[string]bool{},
		byName:  map[string]*Custom{},
	}
	r.gauges = r.Gauges.named()
	for _, n := range r.names {
		r.taken[n] = true
	}
	for _, g := range r.gauges {
		r.taken[g.name] = true
	}
	return r
}

// Stripe returns the stripe for an event loop; any number is right.
func (r *Registry) Stripe(loop int) *Stripe { return &r.stripes[uint(loop)%uint(len(r.stripes))] }

// Totals is the sum of all stripes. Numbers that change meanwhile may be from
// different moments; none ever falls.
func (r *Registry) Totals() Counters {
	var c Counters
	a := c.array()
	for i := range r.stripes {
		for j := range a {
			a[j] += r.stripes[i].n[j].Load()
		}
	}
	return c
}

// Counter returns the counter of that name and makes it on first use. The
// errors are ErrName, ErrKind and ErrTooMany.
// ".count" and ".max" end the samples of gauges and no counter's name.
func (r *Registry) Counter(name string) (*Custom, error) {
	if strings.HasSuffix(name, ".count") || strings.HasSuffix(name, ".max") {
		return nil, fmt.Errorf("%w: %q", ErrName, name)
	}
	return r.register(name, true)
}

// Gauge returns the gauge of that name, without ".count" and ".max", and makes
// it on first use. The errors are those of Counter.
func (r *Registry) Gauge(name string) (*Custom, error) { return r.register(name, false) }

func (r *Registry) register(name string, counter bool) (*Custom, error) {
	if !validName(name) {
		return nil, fmt.Errorf("%w: %q", ErrName, name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.byName[name]
	switch {
	case r.taken[name] || (c != nil && c.counter != counter):
		return nil, fmt.Errorf("%w: %q", ErrKind, name)
	case c != nil:
		return c, nil
	case len(r.custom) >= MaxCustom:
		return nil, fmt.Errorf("%w: %q", ErrTooMany, name)
	}
	c = &Custom{name: name, counter: counter}
	r.custom = append(r.custom, c)
	r.byName[name] = c
	return c, nil
}

// Counters appends the value of every counter to dst: the built-in ones in the
// order of [Counters], then the plugins' in order of registration.
func (r *Registry) Counters(dst []Sample) []Sample {
	c := r.Totals()
	for i, v := range c.array() {
		dst = append(dst, Sample{Name: r.names[i], Value: int64(v)})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.custom {
		if c.counter {
			dst = append(dst, Sample{Name: c.name, Value: int64(c.n.Load())})
		}
	}
	return dst
}

// Stats appends two samples for every gauge to dst: name.count and name.max,
// the highest value since the start (emqx4 §6.3).
func (r *Registry) Stats(dst []Sample) []Sample {
	for _, g := range r.gauges {
		dst = g.gauge.samples(dst, g.name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.custom {
		if !c.counter {
			dst = c.gauge.samples(dst, c.name)
		}
	}
	return dst
}

// validName is what the names of metrics look like.
func validName(s string) bool {
	if s == "" || len(s) > 128 || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_':
		case c == '.' && s[i-1] != '.':
		default:
			return false
		}
	}
	return true
}
