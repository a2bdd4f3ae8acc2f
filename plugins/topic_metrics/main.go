//go:build !wasip1

// Package main is the topic_metrics plugin: it counts messages in, out and dropped of
// topics that an operator names, as EMQ X 4's emqx_mod_topic_metrics did. It only
// observes; the broker tells it of no other topic. It counts exact topics and refuses
// wildcards.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/topic"
)

// MaxTopics is how many topics may be registered, as in EMQ X 4.
const MaxTopics = 512

// MaxTopic is the longest topic that may be registered, in bytes: its longest metric
// has a name of contract.MaxMetricName bytes.
const MaxTopic = contract.MaxMetricName - len("messages.qos0.out.count/")

// Plugin counts.
type Plugin struct {
	change sync.Mutex // held while the set of topics changes and the broker is told

	mu     sync.Mutex
	topics map[string]*counts // guarded by mu

	exports exports // owned by watch
}

var _ = sdk.Register(&Plugin{})

func main() { sdk.Main() }

// Configure registers the topics of the file.
func (p *Plugin) Configure(text []byte) error {
	if err := p.configure(text, time.Now()); err != nil {
		return err
	}
	go p.watch()
	return nil
}

func (p *Plugin) configure(text []byte, now time.Time) error {
	var cfg struct {
		Topics []string `json:"topics"`
	}
	if err := strictly(text, &cfg); err != nil {
		return err
	}
	p.topics = map[string]*counts{}
	for i, t := range cfg.Topics {
		err := check(t)
		if err == nil && p.topics[t] != nil {
			err = fmt.Errorf("%q is listed twice", t)
		}
		if err == nil && i >= MaxTopics {
			err = errFull
		}
		if err != nil {
			return fmt.Errorf("topics[%d]: %w", i, err)
		}
		p.topics[t] = newCounts(now)
	}
	return p.want()
}

// strictly reads a JSON object and refuses keys that it does not know.
func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && err != io.EOF {
		return err
	}
	return nil
}

var errFull = fmt.Errorf("more than %d topics: unregister one first", MaxTopics)

// check tells what is wrong with a topic.
func check(t string) error {
	switch {
	case strings.ContainsAny(t, "+#"):
		return fmt.Errorf("%q has a wildcard; name exact topics", t)
	case strings.HasPrefix(t, "$share/") || strings.HasPrefix(t, "$queue/"):
		return fmt.Errorf("%q is a shared subscription; name the topic of the messages", t)
	case len(t) > MaxTopic:
		return fmt.Errorf("%q has more than %d bytes", t, MaxTopic)
	}
	if err := topic.ValidateName(t); err != nil {
		return fmt.Errorf("%q is no topic: %w", t, err)
	}
	if !contract.ValidMetricName(t) {
		return fmt.Errorf("%q has control characters", t)
	}
	return nil
}

// want has the broker tell of the registered topics and no others.
func (p *Plugin) want() error {
	p.mu.Lock()
	filters := slices.Sorted(maps.Keys(p.topics))
	p.mu.Unlock()
	for _, h := range []contract.Hook{contract.HookPublished, contract.HookDelivered, contract.HookDropped} {
		if err := sdk.Want(h, filters); err != nil {
			return fmt.Errorf("topics of the hook %s: %w", h, err)
		}
	}
	return nil
}

// OnPublished counts a message that was routed.
func (p *Plugin) OnPublished(e *sdk.MessageEvent) {
	p.mu.Lock()
	if c := p.topics[string(e.TopicBytes())]; c != nil {
		c.arrived(e.QoS())
	}
	p.mu.Unlock()
}

// OnDelivered counts a message that was sent to a subscriber.
func (p *Plugin) OnDelivered(e *sdk.MessageEvent) {
	p.mu.Lock()
	if c := p.topics[string(e.TopicBytes())]; c != nil {
		c.left(e.QoS())
	}
	p.mu.Unlock()
}

// OnDropped counts a message that reached nobody, or not a subscriber.
func (p *Plugin) OnDropped(e *sdk.MessageEvent) {
	p.mu.Lock()
	if c := p.topics[string(e.TopicBytes())]; c != nil {
		c.now[dropped]++
	}
	p.mu.Unlock()
}

// watch renews rates and the plugin's metrics.
func (p *Plugin) watch() {
	p.exports.load(sdk.DataDir())
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for now := range tick.C {
		p.tick(now)
	}
}

func (p *Plugin) tick(now time.Time) {
	p.mu.Lock()
	current := make(map[string][metrics]uint64, len(p.topics))
	for t, c := range p.topics {
		c.tick(now)
		current[t] = c.now
	}
	p.mu.Unlock()
	p.exports.show(current)
}
