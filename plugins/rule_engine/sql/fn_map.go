package sql

var mapFunctions = map[string]function{
	"map_new": {call: func(*env, []Value) (Value, error) { return ObjectOf(&Map{}), nil }},
	"map_get": pure(2, 3, func(args []Value) (Value, error) { return fromMap(args, dotted(args[0].Text())) }),
	"mget":    pure(2, 3, func(args []Value) (Value, error) { return fromMap(args, []key{{name: args[0].Text()}}) }),
	"map_put": pure(3, 3, func(args []Value) (Value, error) { return intoMap(args, dotted(args[0].Text())) }),
	"mput":    pure(3, 3, func(args []Value) (Value, error) { return intoMap(args, []key{{name: args[0].Text()}}) }),
	"map_keys": pure(1, 1, func(args []Value) (Value, error) {
		m := args[0].Map()
		if m == nil {
			return Value{}, errorf("argument 1 is a map, not %s", args[0].kind)
		}
		return texts(m.keys, true), nil
	}),
	"map_values": pure(1, 1, func(args []Value) (Value, error) {
		m := args[0].Map()
		if m == nil {
			return Value{}, errorf("argument 1 is a map, not %s", args[0].kind)
		}
		return ArrayOf(append([]Value(nil), m.vals...)), nil
	}),

	"nth":     pure(2, 2, nth),
	"length":  pure(1, 1, func(args []Value) (Value, error) { return onArray(args, 0, length) }),
	"first":   pure(1, 1, func(args []Value) (Value, error) { return onArray(args, 0, end(false)) }),
	"last":    pure(1, 1, func(args []Value) (Value, error) { return onArray(args, 0, end(true)) }),
	"sublist": pure(2, 3, sublist),
	"contains": pure(2, 2, func(args []Value) (Value, error) {
		return onArray(args, 1, func(items []Value) (Value, error) {
			for _, item := range items {
				if same(item, args[0]) {
					return BoolOf(true), nil
				}
			}
			return BoolOf(false), nil
		})
	}),
}

// object is a map argument; a string is read as JSON, as map_get(key, payload)
// wants.
func object(v Value) (Value, error) {
	switch v.kind {
	case Object:
		return v, nil
	case String:
		return DecodeJSON(v.str)
	}
	return Value{}, errorf("a map is wanted, not %s", v.kind)
}

func fromMap(args []Value, keys []key) (Value, error) {
	m, err := object(args[1])
	if err != nil {
		return Value{}, err
	}
	v := get(m, keys)
	if v.kind == Undefined && len(args) == 3 {
		return args[2], nil
	}
	return v, nil
}

func intoMap(args []Value, keys []key) (Value, error) {
	m, err := object(args[2])
	if err != nil {
		return Value{}, err
	}
	return put(m, keys, args[1]), nil
}

func onArray(args []Value, i int, f func([]Value) (Value, error)) (Value, error) {
	if args[i].kind != Array {
		return Value{}, errorf("argument %d is an array, not %s", i+1, args[i].kind)
	}
	return f(args[i].Items())
}

func length(items []Value) (Value, error) { return IntOf(int64(len(items))), nil }

func end(last bool) func([]Value) (Value, error) {
	return func(items []Value) (Value, error) {
		switch {
		case len(items) == 0:
			return Value{}, errorf("the array is empty")
		case last:
			return items[len(items)-1], nil
		}
		return items[0], nil
	}
}

// nth is nth(n, array), from 1.
func nth(args []Value) (Value, error) {
	n, err := whole(args, 0)
	if err != nil {
		return Value{}, err
	}
	return onArray(args, 1, func(items []Value) (Value, error) {
		if n < 1 || n > int64(len(items)) {
			return Value{}, errorf("element %d of %d", n, len(items))
		}
		return items[n-1], nil
	})
}

// sublist is sublist(length, array) and sublist(start, length, array), from 1.
func sublist(args []Value) (Value, error) {
	start, at := int64(1), 0
	var err error
	if len(args) == 3 {
		if start, err = whole(args, 0); err != nil {
			return Value{}, err
		}
		at = 1
	}
	n, err := whole(args, at)
	if err != nil {
		return Value{}, err
	}
	if start < 1 || n < 0 {
		return Value{}, errorf("elements from %d, %d of them", start, n)
	}
	return onArray(args, at+1, func(items []Value) (Value, error) {
		from := min(start-1, int64(len(items)))
		to := from + min(n, int64(len(items))-from)
		return ArrayOf(items[from:to:to]), nil
	})
}
