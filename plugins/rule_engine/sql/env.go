package sql

import (
	"time"

	"github.com/tidwall/gjson"
)

// env is one evaluation: the event and what has been computed of it. It belongs
// to one goroutine and is used again.
type env struct {
	src  Source
	now  func() time.Time
	vars *Store

	slots []Value // aliases that later expressions read
	item  Value   // FOREACH: the element
	args  []Value // stack of arguments

	// The payload as JSON: read when the first expression looks into it.
	checked bool
	text    string
	err     error
	decoded bool
	payload Value
}

func (e *env) begin(src Source, slots int) {
	e.src = src
	e.checked, e.decoded, e.text, e.err, e.payload = false, false, "", nil, Value{}
	e.item = Value{}
	if cap(e.slots) < slots {
		e.slots = make([]Value, slots)
	}
	e.slots = e.slots[:slots]
	clear(e.slots)
	e.args = e.args[:0]
}

// end lets go of what the evaluation has held.
func (e *env) end() {
	e.src, e.text, e.err, e.payload, e.item = nil, "", nil, Value{}, Value{}
	clear(e.slots)
	clear(e.args[:cap(e.args)])
}

// json is the payload's text once it is known to be JSON.
func (e *env) json() (string, error) {
	if !e.checked {
		e.checked = true
		v := e.src.Column(ColPayload)
		switch {
		case v.kind == Undefined:
		case v.kind != String:
			e.payload, e.decoded = v, true
		case !gjson.Valid(v.str):
			e.err = errorf("the payload is not JSON: %s", clip(v.str))
		default:
			e.text = v.str
		}
	}
	return e.text, e.err
}

// document is the decoded payload.
func (e *env) document() (Value, error) {
	text, err := e.json()
	if err != nil || e.decoded || text == "" {
		return e.payload, err
	}
	e.payload, e.err = fromResult(gjson.Parse(text), 0)
	e.decoded = true
	return e.payload, e.err
}
