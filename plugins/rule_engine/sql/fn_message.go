package sql

import (
	"strings"

	"github.com/dunlinmq/dunlin/pluginsdk/topic"
)

// column is a function that yields a fact of the event.
func column(c Column) function {
	return function{call: func(e *env, _ []Value) (Value, error) { return e.src.Column(c), nil }}
}

var messageFunctions = map[string]function{
	"msgid":    column(ColID),
	"qos":      column(ColQoS),
	"flags":    column(ColFlags),
	"clientid": column(ColClientID),
	"clientip": column(ColPeerHost),
	"peerhost": column(ColPeerHost),
	"username": column(ColUsername),
	"null":     {call: func(*env, []Value) (Value, error) { return Value{}, nil }},
	"topic":    {max: 1, call: topicLevel},
	"payload":  {max: 1, call: payloadAt},
	"flag": {min: 1, max: 1, call: func(e *env, args []Value) (Value, error) {
		flags := e.src.Column(ColFlags).Map()
		if flags == nil {
			return Value{}, nil
		}
		return flags.Get(args[0].Text()), nil
	}},
	"contains_topic":       pure(2, 3, func(args []Value) (Value, error) { return containsTopic(args, false) }),
	"contains_topic_match": pure(2, 3, func(args []Value) (Value, error) { return containsTopic(args, true) }),
}

// topicLevel is topic() and topic(n), the n-th level from 1.
func topicLevel(e *env, args []Value) (Value, error) {
	v := e.src.Column(ColTopic)
	if len(args) == 0 {
		return v, nil
	}
	n, err := whole(args, 0)
	if err != nil {
		return Value{}, err
	}
	rest, level := v.str, ""
	for i := int64(0); i < n; i++ {
		var more bool
		if level, rest, more = strings.Cut(rest, "/"); !more && i < n-1 {
			return Value{}, nil
		}
	}
	if n < 1 || v.kind != String {
		return Value{}, nil
	}
	return StringOf(level), nil
}

// payloadAt is payload() and payload('a.b').
func payloadAt(e *env, args []Value) (Value, error) {
	if len(args) == 0 {
		return e.src.Column(ColPayload), nil
	}
	doc, err := e.document()
	if err != nil {
		return Value{}, err
	}
	return get(doc, dotted(args[0].Text())), nil
}

// dotted is the keys of a path that is written as a string.
func dotted(s string) []key {
	var keys []key
	for part := range strings.SplitSeq(s, ".") {
		keys = append(keys, key{name: part})
	}
	return keys
}

// containsTopic looks for a topic in an array of filters, or of maps with topic
// and qos as subscriptions have them.
func containsTopic(args []Value, match bool) (Value, error) {
	if args[0].kind != Array {
		return Value{}, errorf("argument 1 is an array of filters, not %s", args[0].kind)
	}
	name, err := text(args, 1)
	if err != nil {
		return Value{}, err
	}
	for _, f := range args[0].Items() {
		filter, qos := f.str, Value{}
		if m := f.Map(); m != nil {
			filter, qos = m.Get("topic").str, m.Get("qos")
		}
		if len(args) == 3 && !same(qos, args[2]) {
			continue
		}
		if filter == name || match && topic.Match(filter, name) {
			return BoolOf(true), nil
		}
	}
	return BoolOf(false), nil
}
