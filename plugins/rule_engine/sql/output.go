package sql

import "strconv"

// output is a compiled field.
type output struct {
	star    bool
	x       eval
	root    string // of the alias
	keys    keyed  // nil: the alias is one name
	slot    int
	live    bool   // an expression reads the slot
	before  eval   // what the alias's name stood for: its maps are added to
	element string // FOREACH: the name of the element
}

// outputs compiles fields; each sees the aliases before it.
func (s *scope) outputs(fields []field) ([]output, error) {
	var outs []output
	for i, f := range fields {
		if f.star {
			outs = append(outs, output{star: true})
			continue
		}
		x, err := s.compile(f.x)
		if err != nil {
			return nil, err
		}
		o := output{x: x, element: "item"}
		alias := f.alias
		if alias == nil {
			alias = implied(f.x, i)
		} else {
			o.element = alias.root
		}
		o.root = alias.root
		if len(alias.steps) > 0 {
			if o.keys, err = s.keys(alias.steps); err != nil {
				return nil, err
			}
			quiet := *s
			quiet.reads, quiet.unsure = map[int]bool{}, nil
			o.before = quiet.root(alias.root)
		}
		o.slot = s.slot(alias.root)
		outs = append(outs, o)
	}
	return outs, nil
}

// implied is the alias of a field without one: a path is its own, anything else
// gets a name made of what it is and its place.
func implied(x expr, i int) *path {
	switch x := x.(type) {
	case *path:
		return x
	case *call:
		return &path{at: x.at, root: "_v_fun_" + x.name + "_" + strconv.Itoa(i+1)}
	case *literal:
		return &path{at: x.at, root: x.val.Text()}
	case *choice:
		return &path{at: x.at, root: "_v_case_" + strconv.Itoa(i+1)}
	case *list, *span:
		return &path{at: x.place(), root: "_v_list_" + strconv.Itoa(i+1)}
	case *binary:
		return &path{at: x.at, root: "_v_op_" + x.op + "_" + strconv.Itoa(i+1)}
	}
	return &path{at: x.place(), root: "_v_expr_" + strconv.Itoa(i+1)}
}

// assign evaluates fields into row.
func assign(e *env, fields []output, row *Map) error {
	for i := range fields {
		o := &fields[i]
		if o.star {
			for _, c := range e.src.All() {
				if name := c.String(); !row.Has(name) {
					row.Set(name, e.src.Column(c))
				}
			}
			continue
		}
		v, err := o.x(e)
		if err != nil {
			return err
		}
		if err := o.set(e, v, row); err != nil {
			return err
		}
	}
	return nil
}

// set gives the alias its value, for the fields behind it and in the row.
func (o *output) set(e *env, v Value, row *Map) error {
	if o.keys == nil {
		if o.live {
			e.slots[o.slot] = v
		}
		row.Set(o.root, v)
		return nil
	}
	var few [4]key
	keys, err := o.keys(e, few[:0])
	if err != nil {
		return err
	}
	if o.live {
		was, err := o.before(e)
		if err != nil {
			return err
		}
		e.slots[o.slot] = put(was, keys, v)
	}
	row.Set(o.root, put(row.Get(o.root), keys, v))
	return nil
}

// names tells whether the expression reads the name.
func names(x expr, name string) bool {
	switch x := x.(type) {
	case *path:
		// payload.x is the event's payload even if an alias is called payload.
		inPayload := x.root == columnNames[ColPayload] && len(x.steps) > 0
		return x.root == name && !inPayload || inSteps(x.steps, name)
	case *within:
		return names(x.x, name) || inSteps(x.steps, name)
	case *call:
		return anyNames(x.args, name)
	case *binary:
		return names(x.l, name) || names(x.r, name)
	case *unary:
		return names(x.x, name)
	case *member:
		return names(x.x, name) || anyNames(x.items, name)
	case *list:
		return anyNames(x.items, name)
	case *span:
		return x.x != nil && names(x.x, name)
	case *choice:
		for _, w := range x.whens {
			if names(w.cond, name) || names(w.then, name) {
				return true
			}
		}
		return x.on != nil && names(x.on, name) || x.orElse != nil && names(x.orElse, name)
	}
	return false
}

func anyNames(xs []expr, name string) bool {
	for _, x := range xs {
		if names(x, name) {
			return true
		}
	}
	return false
}

func inSteps(steps []step, name string) bool {
	for _, st := range steps {
		if st.index != nil && names(st.index, name) {
			return true
		}
	}
	return false
}
