package main

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// ask is the body of a command.
type ask struct {
	topic string
	all   bool // unregister, reset: every topic
}

func parseAsk(body []byte) (in ask, err error) {
	if len(body) == 0 {
		return in, nil
	}
	return in, flatjson.Object(body, func(key string, v flatjson.Value) error {
		ok := false
		switch key {
		case "topic":
			in.topic, ok = v.String()
		case "all":
			in.all, ok = v.Bool()
		default:
			return errors.New("there is no key " + key)
		}
		if !ok {
			return errors.New(key + " is " + string(v))
		}
		return nil
	})
}

// OnCommand serves `dunlin ctl topic-metrics`: topic_metrics.list, .show, .register,
// .unregister and .reset.
func (p *Plugin) OnCommand(name string, body []byte) ([]byte, error) {
	in, err := parseAsk(body)
	if err != nil {
		return nil, invalid(err.Error())
	}
	switch name {
	case "topic_metrics.list":
		return p.list(), nil
	case "topic_metrics.show":
		return p.show(in.topic)
	case "topic_metrics.register", "topic_metrics.unregister", "topic_metrics.reset":
	default:
		return nil, sdk.UnknownCommand(name)
	}
	if in.all && in.topic != "" || !in.all && in.topic == "" {
		return nil, invalid(`say {"topic": "..."} or, for unregister and reset, {"all": true}`)
	}
	p.change.Lock()
	defer p.change.Unlock()
	switch name {
	case "topic_metrics.register":
		err = p.register(in.topic)
	case "topic_metrics.unregister":
		err = p.unregister(in)
	default:
		err = p.reset(in)
	}
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.dirty = true
	p.mu.Unlock()
	p.publish()
	return []byte("{}"), nil
}

func invalid(text string) error { return &sdk.CommandError{Kind: sdk.ErrInvalid, Text: text} }

func missing(topic string) error {
	return &sdk.CommandError{Kind: sdk.ErrNotFound, Text: "the topic " + strconv.Quote(topic) + " is not registered"}
}

func (p *Plugin) list() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []byte{'['}
	for i, t := range slices.Sorted(maps.Keys(p.topics)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = p.topics[t].appendJSON(out, t)
	}
	return append(out, ']')
}

func (p *Plugin) show(topic string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.topics[topic]
	if c == nil {
		return nil, missing(topic)
	}
	return c.appendJSON(nil, topic), nil
}

// register counts a topic from now on. change is held.
func (p *Plugin) register(topic string) error {
	if topic == "" {
		return invalid("register one topic at a time")
	}
	if err := check(topic); err != nil {
		return invalid(err.Error())
	}
	p.mu.Lock()
	have, n := p.topics[topic] != nil, len(p.topics)
	if !have && n < MaxTopics {
		p.topics[topic] = newCounts(time.Now())
	}
	p.mu.Unlock()
	switch {
	case have:
		return &sdk.CommandError{Kind: sdk.ErrDenied, Text: "the topic " + strconv.Quote(topic) + " is registered already"}
	case n >= MaxTopics:
		return &sdk.CommandError{Kind: sdk.ErrDenied, Text: errFull.Error()}
	}
	err := p.want()
	if err != nil {
		p.mu.Lock()
		delete(p.topics, topic)
		p.mu.Unlock()
	}
	return err
}

// unregister counts a topic, or all, no more. change is held.
func (p *Plugin) unregister(in ask) error {
	p.mu.Lock()
	have := in.all || p.topics[in.topic] != nil
	if in.all {
		clear(p.topics)
	}
	delete(p.topics, in.topic)
	p.mu.Unlock()
	if !have {
		return missing(in.topic)
	}
	return p.want()
}

// reset begins at zero with a topic, or with all. change is held.
func (p *Plugin) reset(in ask) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for t, c := range p.topics {
		if in.all || t == in.topic {
			c.reset(now)
		}
	}
	if !in.all && p.topics[in.topic] == nil {
		return missing(in.topic)
	}
	return nil
}
