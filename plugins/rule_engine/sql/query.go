// Package sql is the language of rules: SELECT and FOREACH statements of EMQ X 4
// (emqx4 §7), read into closures. It owns the grammar, the values and the
// functions. It refuses to know where events come from and where results go.
//
// What differs from EMQ X 4: integers have 64 bits and overflow is a fault; an
// unknown function, a wrong number of arguments and a filter that is none are
// faults of the statement, not of the first message; WHERE is evaluated before
// SELECT when it names no alias and no field has an effect, so that a field that
// would fail does not count as failed where WHERE says no; a map keeps the order
// of its keys; term_encode writes JSON.
package sql

import (
	"fmt"
	"sync"
	"time"
)

// Query is a compiled statement. It is immutable and safe for concurrent use.
type Query struct {
	// Topics are the filters and $events of FROM.
	Topics []string
	// Foreach tells of FOREACH: any number of results for one event.
	Foreach bool
	// Unknown are names that are neither a column nor an alias: always undefined,
	// so probably slips.
	Unknown []string

	fields  []output
	collect *output // FOREACH: the array
	do      []output
	incase  eval
	where   eval
	early   bool // WHERE comes before the fields
	slots   int
	envs    sync.Pool
}

// Options are what the functions of a statement may use.
type Options struct {
	// Store keeps proc_dict and kv_store; nil: one of the query's own.
	Store *Store
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Compile reads a statement. The error is an *Error with the place.
func Compile(src string, o Options) (*Query, error) {
	st, err := parse(src)
	if err != nil {
		return nil, err
	}
	if o.Store == nil {
		o.Store = NewStore(0)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	q := &Query{Topics: st.topics, Foreach: st.foreach}
	q.envs.New = func() any { return &env{now: o.Now, vars: o.Store} }
	if err := q.build(st); err != nil {
		return nil, err
	}
	return q, nil
}

func (q *Query) build(st *statement) (err error) {
	s := newScope()
	if st.where != nil && !st.foreach {
		if err := q.tryEarly(st); err != nil {
			return err
		}
	}
	fields := st.fields
	if st.foreach {
		fields = fields[:len(fields)-1]
	}
	if q.fields, err = s.outputs(fields); err != nil {
		return err
	}
	if st.foreach {
		last, err := s.outputs(st.fields[len(st.fields)-1:])
		if err != nil {
			return err
		}
		q.collect = &last[0]
	}
	if st.where != nil && !q.early {
		if q.where, err = s.compile(st.where); err != nil {
			return err
		}
	}
	if st.foreach {
		s.item = "item"
		if a := st.fields[len(st.fields)-1].alias; a != nil {
			s.item = a.root
		}
		if st.incase != nil {
			if q.incase, err = s.compile(st.incase); err != nil {
				return err
			}
		}
		if q.do, err = s.outputs(st.do); err != nil {
			return err
		}
	}
	for _, outs := range [][]output{q.fields, q.do} {
		for i := range outs {
			outs[i].live = s.reads[outs[i].slot]
		}
	}
	if q.collect != nil {
		q.collect.live = s.reads[q.collect.slot]
	}
	q.slots = len(s.slots)
	q.Unknown = append(q.Unknown, s.unsure...)
	return nil
}

// tryEarly compiles WHERE for the plain event, if that is the same: it names no
// alias, and no field does more than yield a value.
func (q *Query) tryEarly(st *statement) error {
	probe := newScope()
	if _, err := probe.outputs(st.fields); err != nil {
		return err
	}
	if _, err := probe.compile(st.where); err != nil {
		return err
	}
	plain := newScope()
	where, err := plain.compile(st.where)
	if err != nil {
		return err
	}
	for name := range probe.slots {
		if names(st.where, name) {
			return nil
		}
	}
	if probe.writes || plain.writes {
		return nil
	}
	q.where, q.early, q.Unknown = where, true, plain.unsure
	return nil
}

// Result is what a statement yields for one event.
type Result struct {
	// Matched tells whether WHERE held.
	Matched bool
	// Rows are the selected fields: one of SELECT, any number of FOREACH. They hold
	// until the next Eval into the same Result.
	Rows []*Map

	maps []*Map // the rows' memory
	used int    // of maps
}

// row is an empty row.
func (r *Result) row() *Map {
	if r.used == len(r.maps) {
		r.maps = append(r.maps, &Map{})
	}
	m := r.maps[r.used]
	m.reset()
	r.used++
	return m
}

// mostMaps is how many rows keep their memory.
const mostMaps = 64

func (r *Result) reset() {
	if len(r.maps) > mostMaps {
		r.maps = nil
	}
	clear(r.Rows)
	r.Matched, r.Rows, r.used = false, r.Rows[:0], 0
}

// Eval runs the statement on an event and fills r, which is used again. An error is
// a fault of the rule on this event.
func (q *Query) Eval(src Source, r *Result) error {
	r.reset()
	e := q.envs.Get().(*env)
	e.begin(src, q.slots)
	err := q.run(e, r)
	e.end()
	q.envs.Put(e)
	return err
}

func (q *Query) run(e *env, r *Result) error {
	if q.early {
		if ok, err := holds(e, q.where); err != nil || !ok {
			return err
		}
	}
	row := r.row()
	if err := assign(e, q.fields, row); err != nil {
		return err
	}
	var items []Value
	if q.collect != nil {
		v, err := q.collect.x(e)
		if err != nil {
			return err
		}
		items = v.Items()
		if err := q.collect.set(e, v, row); err != nil {
			return err
		}
	}
	if !q.early && q.where != nil {
		if ok, err := holds(e, q.where); err != nil || !ok {
			return err
		}
	}
	r.Matched = true
	if q.collect == nil {
		r.Rows = append(r.Rows, row)
		return nil
	}
	return q.each(e, items, row, r)
}

// maxItems bounds the elements that FOREACH goes through.
const maxItems = 100_000

// each selects from the elements of FOREACH.
func (q *Query) each(e *env, items []Value, row *Map, r *Result) error {
	if len(items) > maxItems {
		return fmt.Errorf("FOREACH has %d elements, at most %d are taken", len(items), maxItems)
	}
	slots := append([]Value(nil), e.slots...)
	for _, item := range items {
		copy(e.slots, slots)
		e.item = item
		if q.incase != nil {
			ok, err := holds(e, q.incase)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
		}
		out := r.row()
		if q.do != nil {
			if err := assign(e, q.do, out); err != nil {
				return err
			}
		} else {
			for _, c := range e.src.All() {
				out.Set(c.String(), e.src.Column(c))
			}
			for i := range row.keys {
				out.Set(row.keys[i], row.vals[i])
			}
			out.Set(q.collect.element, item)
		}
		r.Rows = append(r.Rows, out)
	}
	return nil
}

func holds(e *env, cond eval) (bool, error) {
	v, err := cond(e)
	if err != nil {
		return false, err
	}
	return truth(v)
}
