package sql

import "github.com/tidwall/gjson"

// eval yields the value of an expression.
type eval func(e *env) (Value, error)

// scope is what names mean while fields are compiled one after another: aliases
// hide columns from the field behind them on.
type scope struct {
	slots  map[string]int // of aliases
	item   string         // FOREACH's element; "": none
	unsure []string       // names that are neither column nor alias
	writes bool           // a function with an effect is called
	reads  map[int]bool   // slots that are read
}

func newScope() *scope { return &scope{slots: map[string]int{}, reads: map[int]bool{}} }

// slot is the place of an alias.
func (s *scope) slot(name string) int {
	i, ok := s.slots[name]
	if !ok {
		i = len(s.slots)
		s.slots[name] = i
	}
	return i
}

func (s *scope) compile(x expr) (eval, error) {
	switch x := x.(type) {
	case *literal:
		v := x.val
		return func(*env) (Value, error) { return v, nil }, nil
	case *path:
		return s.path(x)
	case *within:
		return s.within(x)
	case *call:
		return s.call(x)
	case *binary:
		return s.binary(x)
	case *unary:
		return s.unary(x)
	case *member:
		return s.member(x)
	case *list:
		return s.list(x)
	case *span:
		return s.span(x)
	default:
		return s.choice(x.(*choice))
	}
}

func (s *scope) all(xs []expr) ([]eval, error) {
	evals := make([]eval, len(xs))
	for i, x := range xs {
		var err error
		if evals[i], err = s.compile(x); err != nil {
			return nil, err
		}
	}
	return evals, nil
}

// root yields what a name stands for.
func (s *scope) root(name string) eval {
	if s.item != "" && name == s.item {
		return func(e *env) (Value, error) { return e.item, nil }
	}
	if i, ok := s.slots[name]; ok {
		s.reads[i] = true
		return func(e *env) (Value, error) { return e.slots[i], nil }
	}
	if c, ok := columnByName[name]; ok {
		return func(e *env) (Value, error) { return e.src.Column(c), nil }
	}
	s.unsure = append(s.unsure, name)
	return func(*env) (Value, error) { return Value{}, nil }
}

func (s *scope) path(x *path) (eval, error) {
	if len(x.steps) == 0 {
		return s.root(x.root), nil
	}
	// What is within the payload is always the event's, whatever an alias is called.
	if x.root == columnNames[ColPayload] && s.item != x.root {
		return s.payload(x)
	}
	return s.into(s.root(x.root), x.steps)
}

func (s *scope) within(x *within) (eval, error) {
	base, err := s.compile(x.x)
	if err != nil {
		return nil, err
	}
	return s.into(base, x.steps)
}

// payload looks into the payload: straight in its text where the steps are
// constant, else in the decoded document.
func (s *scope) payload(x *path) (eval, error) {
	at, ok := jsonPath(x.steps)
	if !ok {
		return s.into((*env).document, x.steps)
	}
	decoded, err := s.into((*env).document, x.steps)
	return func(e *env) (Value, error) {
		text, err := e.json()
		switch {
		case err != nil:
			return Value{}, err
		case e.decoded:
			return decoded(e)
		case text == "":
			return Value{}, nil
		}
		return fromResult(gjson.Get(text, at), 0)
	}, err
}

// jsonPath is constant steps in gjson's words.
func jsonPath(steps []step) (at string, ok bool) {
	for i, st := range steps {
		// To gjson a number is an index of an array and a key of a map.
		if st.index != nil || st.key == "" || digit(st.key[0]) {
			return "", false
		}
		if i > 0 {
			at += "."
		}
		at += gjson.Escape(st.key)
	}
	return at, true
}

// constantIndex is an index that is written as a number.
func constantIndex(x expr) (key, bool) {
	sign := int64(1)
	if u, ok := x.(*unary); ok && u.op == "-" {
		sign, x = -1, u.x
	}
	l, ok := x.(*literal)
	if !ok || l.val.kind != Int {
		return key{}, false
	}
	return key{list: true, index: sign * l.val.num, tail: sign < 0 && l.val.num == 0}, true
}

// keyed yields the keys of steps, appended to the given ones.
type keyed func(e *env, keys []key) ([]key, error)

func (s *scope) keys(steps []step) (keyed, error) {
	fixed := make([]key, len(steps))
	index := make([]eval, len(steps))
	dynamic := false
	for i, st := range steps {
		if st.index == nil {
			fixed[i] = key{name: st.key}
			continue
		}
		k, constant := constantIndex(st.index)
		if constant {
			fixed[i] = k
			continue
		}
		dynamic = true
		var err error
		if index[i], err = s.compile(st.index); err != nil {
			return nil, err
		}
	}
	if !dynamic {
		return func(*env, []key) ([]key, error) { return fixed, nil }, nil
	}
	return func(e *env, keys []key) ([]key, error) {
		for i, k := range fixed {
			if index[i] != nil {
				v, err := index[i](e)
				if err != nil {
					return nil, err
				}
				if k, err = keyOf(v); err != nil {
					return nil, err
				}
			}
			keys = append(keys, k)
		}
		return keys, nil
	}, nil
}

// keyOf is the key that a variable index is: a place in an array, or a name.
func keyOf(v Value) (key, error) {
	switch v.kind {
	case Int:
		return key{list: true, index: v.num}, nil
	case String:
		return key{name: v.str}, nil
	}
	return key{}, errorf("an index is a whole number, not %s", v.kind)
}

func (s *scope) into(base eval, steps []step) (eval, error) {
	keys, err := s.keys(steps)
	if err != nil {
		return nil, err
	}
	return func(e *env) (Value, error) {
		v, err := base(e)
		if err != nil {
			return Value{}, err
		}
		var few [4]key
		ks, err := keys(e, few[:0])
		if err != nil {
			return Value{}, err
		}
		return get(v, ks), nil
	}, nil
}
