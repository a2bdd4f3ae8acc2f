package sql

func (s *scope) binary(x *binary) (eval, error) {
	l, err := s.compile(x.l)
	if err != nil {
		return nil, err
	}
	r, err := s.compile(x.r)
	if err != nil {
		return nil, err
	}
	op := x.op
	switch op {
	case "and", "or":
		return logic(op == "or", l, r), nil
	case "+", "-", "*", "/", "div":
		return both(l, r, func(a, b Value) (Value, error) { return arithmetic(op, a, b) }), nil
	}
	if lit, ok := x.r.(*literal); ok && lit.val.number() && op != "=~" {
		return withNumber(op, l, lit.val), nil
	}
	return both(l, r, func(a, b Value) (Value, error) {
		is, err := compare(op, a, b)
		return BoolOf(is), err
	}), nil
}

// both evaluates two sides and gives them to op.
func both(l, r eval, op func(a, b Value) (Value, error)) eval {
	return func(e *env) (Value, error) {
		a, err := l(e)
		if err != nil {
			return Value{}, err
		}
		b, err := r(e)
		if err != nil {
			return Value{}, err
		}
		return op(a, b)
	}
}

// withNumber is a comparison with a number that is written in the statement: the
// commonest condition.
func withNumber(op string, l eval, n Value) eval {
	return func(e *env) (Value, error) {
		a, err := l(e)
		if err != nil {
			return Value{}, err
		}
		is, err := compare(op, a, n)
		return BoolOf(is), err
	}
}

// logic is AND and OR: the right side is evaluated only if it matters.
func logic(or bool, l, r eval) eval {
	return func(e *env) (Value, error) {
		v, err := l(e)
		if err != nil {
			return Value{}, err
		}
		is, err := truth(v)
		if err != nil || is == or {
			return BoolOf(is), err
		}
		if v, err = r(e); err != nil {
			return Value{}, err
		}
		is, err = truth(v)
		return BoolOf(is), err
	}
}

func (s *scope) unary(x *unary) (eval, error) {
	v, err := s.compile(x.x)
	if err != nil {
		return nil, err
	}
	if x.op == "-" {
		return func(e *env) (Value, error) {
			a, err := v(e)
			if err != nil {
				return Value{}, err
			}
			return negative(a)
		}, nil
	}
	return func(e *env) (Value, error) {
		a, err := v(e)
		if err != nil {
			return Value{}, err
		}
		// NOT of what is no boolean is false (EMQ X 4).
		return BoolOf(a.kind == Bool && a.num == 0), nil
	}, nil
}

// member is IN: one of the values is the same, of the same type.
func (s *scope) member(x *member) (eval, error) {
	v, err := s.compile(x.x)
	if err != nil {
		return nil, err
	}
	items, err := s.all(x.items)
	if err != nil {
		return nil, err
	}
	not := x.not
	return func(e *env) (Value, error) {
		a, err := v(e)
		if err != nil {
			return Value{}, err
		}
		for _, item := range items {
			b, err := item(e)
			if err != nil {
				return Value{}, err
			}
			if same(a, b) {
				return BoolOf(!not), nil
			}
		}
		return BoolOf(not), nil
	}, nil
}

// same compares without converting; an integer is not the float of its value.
func same(a, b Value) bool { return a.kind == b.kind && order(a, b) == 0 }

func (s *scope) list(x *list) (eval, error) {
	items, err := s.all(x.items)
	if err != nil {
		return nil, err
	}
	return func(e *env) (Value, error) {
		vs := make([]Value, len(items))
		for i, item := range items {
			var err error
			if vs[i], err = item(e); err != nil {
				return Value{}, err
			}
		}
		return ArrayOf(vs), nil
	}, nil
}

// maxSpan bounds the numbers of [a..b].
const maxSpan = 10_000

func (s *scope) span(x *span) (eval, error) {
	if x.x == nil {
		if x.to < x.from || x.to-x.from >= maxSpan {
			return nil, faultAt(x.at, "[%d..%d] has to go up, by at most %d numbers", x.from, x.to, maxSpan)
		}
		var vs []Value
		for n := x.from; n <= x.to; n++ {
			vs = append(vs, IntOf(n))
		}
		v := ArrayOf(vs)
		return func(*env) (Value, error) { return v, nil }, nil
	}
	base, err := s.base(x.x)
	if err != nil {
		return nil, err
	}
	from, to := x.from, x.to
	return func(e *env) (Value, error) {
		v, err := base(e)
		if err != nil {
			return Value{}, err
		}
		if v.kind != Array {
			return Value{}, errorf("[%d..%d] is of an array, not of %s", from, to, v.kind)
		}
		n := len(v.ref.items)
		i, ok1 := key{index: from}.at(n)
		j, ok2 := key{index: to}.at(n)
		if !ok1 || !ok2 || i > j {
			return Value{}, errorf("[%d..%d] is outside of %d elements", from, to, n)
		}
		return ArrayOf(v.ref.items[i : j+1 : j+1]), nil
	}, nil
}

// base is what a range is taken of: payload[1..2] means the decoded payload.
func (s *scope) base(x expr) (eval, error) {
	if p, ok := x.(*path); ok && p.root == columnNames[ColPayload] && len(p.steps) == 0 {
		if _, hidden := s.slots[p.root]; !hidden {
			return (*env).document, nil
		}
	}
	return s.compile(x)
}

func (s *scope) choice(x *choice) (eval, error) {
	var on eval
	var err error
	if x.on != nil {
		if on, err = s.compile(x.on); err != nil {
			return nil, err
		}
	}
	conds, thens := make([]eval, len(x.whens)), make([]eval, len(x.whens))
	for i, w := range x.whens {
		if conds[i], err = s.compile(w.cond); err != nil {
			return nil, err
		}
		if thens[i], err = s.compile(w.then); err != nil {
			return nil, err
		}
	}
	orElse := eval(func(*env) (Value, error) { return Value{}, nil })
	if x.orElse != nil {
		if orElse, err = s.compile(x.orElse); err != nil {
			return nil, err
		}
	}
	return func(e *env) (Value, error) {
		i, err := pick(e, on, conds)
		switch {
		case err != nil:
			return Value{}, err
		case i < 0:
			return orElse(e)
		}
		return thens[i](e)
	}, nil
}

// pick is the first WHEN that holds, -1 if none does.
func pick(e *env, on eval, conds []eval) (int, error) {
	var of Value
	var err error
	if on != nil {
		if of, err = on(e); err != nil {
			return -1, err
		}
	}
	for i, cond := range conds {
		v, err := cond(e)
		if err != nil {
			return -1, err
		}
		var is bool
		if on != nil {
			is, err = equal(of, v)
		} else {
			is, err = truth(v)
		}
		if err != nil || is {
			return i, err
		}
	}
	return -1, nil
}

func (s *scope) call(x *call) (eval, error) {
	f, ok := functions[x.name]
	if !ok {
		e := faultAt(x.at, "there is no function %s", x.name)
		if near := nearest(x.name); near != "" {
			e.Hint = "did you mean " + near + "?"
		}
		return nil, e
	}
	if n := len(x.args); n < f.min || n > f.max {
		return nil, faultAt(x.at, "%s takes %s, not %d", x.name, f.arity(), n)
	}
	args, err := s.all(x.args)
	if err != nil {
		return nil, err
	}
	s.writes = s.writes || f.effect
	name, at := x.name, x.at
	return func(e *env) (Value, error) {
		start := len(e.args)
		for _, arg := range args {
			v, err := arg(e)
			if err != nil {
				e.args = e.args[:start]
				return Value{}, err
			}
			e.args = append(e.args, v)
		}
		v, err := f.call(e, e.args[start:len(e.args):len(e.args)])
		e.args = e.args[:start]
		if err != nil {
			return Value{}, faultAt(at, "%s(): %v", name, err)
		}
		return v, nil
	}, nil
}
