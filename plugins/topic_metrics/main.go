// Package main is the topic_metrics plugin: it counts messages in, out and dropped of
// topics that an operator names, as EMQ X 4's emqx_mod_topic_metrics did. It only
// observes; the broker tells it of no other topic. It counts exact topics and refuses
// wildcards.
package main

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
	"github.com/dunlinmq/dunlin/pluginsdk/topic"
)

// MaxTopics is how many topics may be registered, as in EMQ X 4.
const MaxTopics = 512

// MaxTopic is the longest topic that may be registered, in bytes: its longest metric
// has a name of contract.MaxMetricName bytes.
const MaxTopic = contract.MaxMetricName - len("messages.qos0.out.count/")

// Plugin counts. In a module one thing happens after the other; in a process commands
// and ticks come while events are handled.
type Plugin struct {
	change  sync.Mutex // held while the set of topics changes and the broker is told
	exports exports    // guarded by change
	file    uint64     // guarded by change: which configuration it is

	mu     sync.Mutex
	topics map[string]*counts // guarded by mu
	dirty  bool               // guarded by mu: there is something to save
}

var _ = sdk.Register(&Plugin{})

func main() { sdk.Main() }

// Configure registers the topics of the file, and goes on where a guest that was lost
// has stopped.
func (p *Plugin) Configure(text []byte) error {
	now := time.Now()
	if err := p.configure(text, now); err != nil {
		return err
	}
	for i := 0; ; i++ {
		page, err := sdk.Get(pageKey(i))
		if err != nil {
			break
		}
		p.resume(page, now, i == 0)
	}
	if err := p.want(); err != nil {
		return err
	}
	return p.begin()
}

func (p *Plugin) configure(text []byte, now time.Time) error {
	p.topics, p.file = map[string]*counts{}, fingerprint(text)
	return flatjson.Object(text, func(key string, v flatjson.Value) error {
		if key != "topics" {
			return errors.New("there is no key " + key)
		}
		i := 0
		return v.Array(func(v flatjson.Value) error {
			t, ok := v.String()
			err := check(t)
			switch {
			case !ok:
				err = errors.New(string(v) + " is not a text")
			case err == nil && p.topics[t] != nil:
				err = errors.New(strconv.Quote(t) + " is listed twice")
			case err == nil && i >= MaxTopics:
				err = errFull
			}
			if err != nil {
				return errors.New("topics[" + strconv.Itoa(i) + "]: " + err.Error())
			}
			p.topics[t] = newCounts(now)
			i++
			return nil
		})
	})
}

var errFull = errors.New("more than " + strconv.Itoa(MaxTopics) + " topics: unregister one first")

// check tells what is wrong with a topic.
func check(t string) error {
	quoted := strconv.Quote(t)
	switch {
	case strings.ContainsAny(t, "+#"):
		return errors.New(quoted + " has a wildcard; name exact topics")
	case strings.HasPrefix(t, "$share/") || strings.HasPrefix(t, "$queue/"):
		return errors.New(quoted + " is a shared subscription; name the topic of the messages")
	case len(t) > MaxTopic:
		return errors.New(quoted + " has more than " + strconv.Itoa(MaxTopic) + " bytes")
	}
	if err := topic.ValidateName(t); err != nil {
		return errors.New(quoted + " is no topic: " + err.Error())
	}
	if !contract.ValidMetricName(t) {
		return errors.New(quoted + " has control characters")
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
			return errors.New("topics of the hook " + h.String() + ": " + err.Error())
		}
	}
	return nil
}

// OnPublished counts a message that was routed.
func (p *Plugin) OnPublished(e *sdk.MessageEvent) {
	p.mu.Lock()
	if c := p.topics[string(e.TopicBytes())]; c != nil {
		c.arrived(e.QoS())
		p.dirty = true
	}
	p.mu.Unlock()
}

// OnDelivered counts a message that was sent to a subscriber.
func (p *Plugin) OnDelivered(e *sdk.MessageEvent) {
	p.mu.Lock()
	if c := p.topics[string(e.TopicBytes())]; c != nil {
		c.left(e.QoS())
		p.dirty = true
	}
	p.mu.Unlock()
}

// OnDropped counts a message that reached nobody, or not a subscriber.
func (p *Plugin) OnDropped(e *sdk.MessageEvent) {
	p.mu.Lock()
	if c := p.topics[string(e.TopicBytes())]; c != nil {
		c.now[dropped]++
		p.dirty = true
	}
	p.mu.Unlock()
}

// tick renews rates, the plugin's metrics and what is saved; it comes once a second.
func (p *Plugin) tick(now time.Time) {
	p.change.Lock()
	defer p.change.Unlock()
	p.mu.Lock()
	for _, c := range p.topics {
		c.tick(now)
	}
	p.mu.Unlock()
	p.publish()
}

// publish brings the plugin's metrics and what is saved up to date. change is held.
func (p *Plugin) publish() {
	p.mu.Lock()
	current := make(map[string][metrics]uint64, len(p.topics))
	for t, c := range p.topics {
		current[t] = c.now
	}
	dirty := p.dirty
	p.dirty = false
	p.mu.Unlock()
	p.exports.show(current)
	if dirty && !p.save() {
		p.mu.Lock()
		p.dirty = true
		p.mu.Unlock()
	}
}
