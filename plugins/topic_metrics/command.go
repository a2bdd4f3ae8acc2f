//go:build !wasip1

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
)

// ask is the body of a command.
type ask struct {
	Topic string `json:"topic"`
	All   bool   `json:"all"` // unregister, reset: every topic
}

// OnCommand serves `dunlin ctl topic-metrics`: topic_metrics.list, .show, .register,
// .unregister and .reset.
func (p *Plugin) OnCommand(name string, body []byte) ([]byte, error) {
	var in ask
	if err := strictly(body, &in); err != nil {
		return nil, invalid(err.Error())
	}
	switch name {
	case "topic_metrics.list":
		return json.Marshal(p.list())
	case "topic_metrics.show":
		return p.show(in.Topic)
	case "topic_metrics.register", "topic_metrics.unregister", "topic_metrics.reset":
	default:
		return nil, sdk.UnknownCommand(name)
	}
	if in.All && in.Topic != "" || !in.All && in.Topic == "" {
		return nil, invalid(`say {"topic": "..."} or, for unregister and reset, {"all": true}`)
	}
	p.change.Lock()
	defer p.change.Unlock()
	var err error
	switch name {
	case "topic_metrics.register":
		err = p.register(in.Topic)
	case "topic_metrics.unregister":
		err = p.unregister(in)
	default:
		err = p.reset(in)
	}
	if err != nil {
		return nil, err
	}
	return []byte("{}"), nil
}

func invalid(text string) error { return &sdk.CommandError{Kind: sdk.ErrInvalid, Text: text} }

func missing(topic string) error {
	return &sdk.CommandError{Kind: sdk.ErrNotFound, Text: fmt.Sprintf("the topic %q is not registered", topic)}
}

func (p *Plugin) list() []view {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]view, 0, len(p.topics))
	for _, t := range slices.Sorted(maps.Keys(p.topics)) {
		list = append(list, p.topics[t].view(t))
	}
	return list
}

func (p *Plugin) show(topic string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.topics[topic]
	if c == nil {
		return nil, missing(topic)
	}
	return json.Marshal(c.view(topic))
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
		return &sdk.CommandError{Kind: sdk.ErrDenied, Text: fmt.Sprintf("the topic %q is registered already", topic)}
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
	have := in.All || p.topics[in.Topic] != nil
	if in.All {
		clear(p.topics)
	}
	delete(p.topics, in.Topic)
	p.mu.Unlock()
	if !have {
		return missing(in.Topic)
	}
	return p.want()
}

// reset begins at zero with a topic, or with all. change is held.
func (p *Plugin) reset(in ask) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for t, c := range p.topics {
		if in.All || t == in.Topic {
			c.reset(now)
		}
	}
	if !in.All && p.topics[in.Topic] == nil {
		return missing(in.Topic)
	}
	return nil
}
