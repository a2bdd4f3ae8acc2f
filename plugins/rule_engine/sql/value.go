package sql

import (
	"math"
	"strconv"
	"strings"
)

// Kind is the type of a Value.
type Kind byte

// The kinds of values. Their order is the order in which values of different
// kinds compare, as Erlang orders terms: number < atom < map < list < string.
const (
	// Undefined is a column or field that is not there; null() gives it too.
	Undefined Kind = iota
	// Int is a whole number of 64 bits.
	Int
	// Float is a number with a fraction.
	Float
	// Null is JSON's null.
	Null
	// Bool is true or false.
	Bool
	// Object is a JSON object: a map.
	Object
	// Array is a list of values.
	Array
	// String is text or bytes.
	String
)

var kindNames = [...]string{"undefined", "integer", "float", "null", "boolean", "map", "array", "string"}

// String is the kind's word in messages.
func (k Kind) String() string { return kindNames[k] }

// Value is what an expression yields. The zero Value is undefined. Values are
// immutable: who changes a map or an array copies it first. Texts may be parts of
// the event's: who keeps them for longer copies them too.
type Value struct {
	kind Kind
	num  int64 // Int; Float: its bits; Bool: 0 or 1
	str  string
	ref  *compound // Object, Array
}

// compound is what does not fit in a Value.
type compound struct {
	items []Value
	m     *Map
}

// IntOf is a whole number.
func IntOf(n int64) Value { return Value{kind: Int, num: n} }

// FloatOf is a number with a fraction.
func FloatOf(f float64) Value { return Value{kind: Float, num: int64(math.Float64bits(f))} }

// StringOf is text or bytes.
func StringOf(s string) Value { return Value{kind: String, str: s} }

// BoolOf is true or false.
func BoolOf(b bool) Value {
	v := Value{kind: Bool}
	if b {
		v.num = 1
	}
	return v
}

// NullOf is JSON's null.
func NullOf() Value { return Value{kind: Null} }

// ArrayOf is a list; it takes items over.
func ArrayOf(items []Value) Value { return Value{kind: Array, ref: &compound{items: items}} }

// ObjectOf is a map; it takes m over.
func ObjectOf(m *Map) Value { return Value{kind: Object, ref: &compound{m: m}} }

// Kind is the value's type.
func (v Value) Kind() Kind { return v.kind }

// Int is the number of an Int, 0 of another kind.
func (v Value) Int() int64 {
	if v.kind != Int {
		return 0
	}
	return v.num
}

// Float is the number of an Int or a Float, 0 of another kind.
func (v Value) Float() float64 {
	switch v.kind {
	case Int:
		return float64(v.num)
	case Float:
		return math.Float64frombits(uint64(v.num))
	}
	return 0
}

// Str is the text of a String, "" of another kind.
func (v Value) Str() string { return v.str }

// True tells whether v is the boolean true.
func (v Value) True() bool { return v.kind == Bool && v.num == 1 }

// Defined tells whether there is a value.
func (v Value) Defined() bool { return v.kind != Undefined }

// Items is the elements of an Array, nil of another kind. They must not be
// changed.
func (v Value) Items() []Value {
	if v.kind != Array {
		return nil
	}
	return v.ref.items
}

// Map is the map of an Object, nil of another kind. It must not be changed.
func (v Value) Map() *Map {
	if v.kind != Object {
		return nil
	}
	return v.ref.m
}

func (v Value) number() bool { return v.kind == Int || v.kind == Float }

// atom tells of what Erlang writes without quotes.
func (v Value) atom() bool { return v.kind == Bool || v.kind == Null || v.kind == Undefined }

// atomText is an atom's word.
func (v Value) atomText() string {
	switch {
	case v.kind == Bool && v.num == 1:
		return "true"
	case v.kind == Bool:
		return "false"
	case v.kind == Null:
		return "null"
	}
	return "undefined"
}

// Text is the value as str() makes it: strings as they are, numbers in decimal,
// maps and arrays as JSON (emqx4 §7.3).
func (v Value) Text() string {
	switch v.kind {
	case String:
		return v.str
	case Int:
		return strconv.FormatInt(v.num, 10)
	case Float:
		return FormatFloat(v.Float(), 10)
	case Object, Array:
		return string(AppendJSON(nil, v))
	}
	return v.atomText()
}

// AppendText appends what Text is.
func (v Value) AppendText(dst []byte) []byte {
	switch v.kind {
	case String:
		return append(dst, v.str...)
	case Int:
		return strconv.AppendInt(dst, v.num, 10)
	case Float:
		return appendDecimals(dst, v.Float(), 10)
	case Object, Array:
		return AppendJSON(dst, v)
	}
	return append(dst, v.atomText()...)
}

// FormatFloat is f with at most digits decimals and at least one, without zeros
// at the end, as Erlang's compact form.
func FormatFloat(f float64, digits int) string { return string(appendDecimals(nil, f, digits)) }

func appendDecimals(dst []byte, f float64, digits int) []byte {
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'f', digits, 64)
	if digits == 0 {
		return dst
	}
	end := len(dst)
	for end > start+2 && dst[end-1] == '0' && dst[end-2] != '.' {
		end--
	}
	return dst[:end]
}

// own is v with texts of its own: for what is kept longer than the event.
func (v Value) own() Value {
	v.str = strings.Clone(v.str)
	switch v.kind {
	case Array:
		items := make([]Value, len(v.ref.items))
		for i, item := range v.ref.items {
			items[i] = item.own()
		}
		return ArrayOf(items)
	case Object:
		m := v.ref.m.Clone()
		m.index = nil
		for i := range m.keys {
			m.keys[i], m.vals[i] = strings.Clone(m.keys[i]), m.vals[i].own()
		}
		m.reindex()
		return ObjectOf(m)
	}
	return v
}

// Map is an object: keys and values in the order in which they came. The zero
// Map is empty and ready.
type Map struct {
	keys  []string
	vals  []Value
	index map[string]int // of keys, once there are many
}

// indexFrom is how many keys a search from the front is worth.
const indexFrom = 12

// Len is the number of keys.
func (m *Map) Len() int { return len(m.keys) }

// At is the i-th key and its value.
func (m *Map) At(i int) (string, Value) { return m.keys[i], m.vals[i] }

// Get is the key's value; undefined if there is none.
func (m *Map) Get(key string) Value {
	if i := m.find(key); i >= 0 {
		return m.vals[i]
	}
	return Value{}
}

// Has tells whether there is the key.
func (m *Map) Has(key string) bool { return m.find(key) >= 0 }

func (m *Map) find(key string) int {
	if m.index != nil {
		if i, ok := m.index[key]; ok {
			return i
		}
		return -1
	}
	for i, k := range m.keys {
		if k == key {
			return i
		}
	}
	return -1
}

// Set gives the key a value.
func (m *Map) Set(key string, v Value) {
	if i := m.find(key); i >= 0 {
		m.vals[i] = v
		return
	}
	m.keys = append(m.keys, key)
	m.vals = append(m.vals, v)
	switch {
	case m.index != nil:
		m.index[key] = len(m.keys) - 1
	default:
		m.reindex()
	}
}

// reindex makes the index that a map of many keys has.
func (m *Map) reindex() {
	if len(m.keys) <= indexFrom {
		return
	}
	m.index = make(map[string]int, 2*len(m.keys))
	for i, k := range m.keys {
		m.index[k] = i
	}
}

// reset empties m and keeps its memory.
func (m *Map) reset() {
	clear(m.vals)
	clear(m.keys)
	m.keys, m.vals, m.index = m.keys[:0], m.vals[:0], nil
}

// Clone is a copy that may be changed; the values are shared.
func (m *Map) Clone() *Map {
	c := &Map{keys: make([]string, len(m.keys), len(m.keys)+1), vals: make([]Value, len(m.vals), len(m.vals)+1)}
	copy(c.keys, m.keys)
	copy(c.vals, m.vals)
	if m.index != nil {
		c.index = make(map[string]int, len(m.index)+1)
		for k, i := range m.index {
			c.index[k] = i
		}
	}
	return c
}
