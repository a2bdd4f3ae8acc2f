package sql

// key is a step whose index has been evaluated.
type key struct {
	name  string
	index int64
	list  bool // an index, not a name
	tail  bool // -0
}

// get is what lies under the keys; undefined if there is nothing. Indexes count
// from 1, from the end with -1; 0 is the first.
func get(v Value, keys []key) Value {
	for _, k := range keys {
		if !k.list {
			if v.kind != Object {
				return Value{}
			}
			v = v.ref.m.Get(k.name)
			continue
		}
		i, ok := k.at(len(v.Items()))
		if !ok {
			return Value{}
		}
		v = v.ref.items[i]
	}
	return v
}

// at is the place of an index in n elements.
func (k key) at(n int) (int, bool) {
	i := k.index
	switch {
	case n == 0:
		return 0, false
	case k.tail:
		return n - 1, true
	case i < 0:
		i += int64(n)
	case i > 0:
		i--
	}
	return int(i), i >= 0 && i < int64(n)
}

// put is v with x under the keys. What is on the way and is no map or no array
// is replaced by one; 0 puts before the first element, -0 behind the last, and
// an index that is not there changes nothing (emqx4 §7.1).
func put(v Value, keys []key, x Value) Value {
	if len(keys) == 0 {
		return x
	}
	k, rest := keys[0], keys[1:]
	if !k.list {
		m := v.Map()
		if m == nil {
			m = &Map{}
		} else {
			m = m.Clone()
		}
		m.Set(k.name, put(m.Get(k.name), rest, x))
		return ObjectOf(m)
	}
	items := v.Items()
	if k.index == 0 {
		x = put(Value{}, rest, x)
		grown := make([]Value, 0, len(items)+1)
		if k.tail {
			return ArrayOf(append(append(grown, items...), x))
		}
		return ArrayOf(append(append(grown, x), items...))
	}
	i, ok := k.at(len(items))
	if !ok {
		return ArrayOf(items)
	}
	changed := append([]Value(nil), items...)
	changed[i] = put(items[i], rest, x)
	return ArrayOf(changed)
}
