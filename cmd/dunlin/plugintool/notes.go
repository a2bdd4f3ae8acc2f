package plugintool

import (
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/plugin/outbound"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Notes are the services that a plugin under test gets: they do what a broker
// would accept and write down what was asked.
type Notes struct {
	kv plugin.KV

	mu        sync.Mutex
	published []map[string]any // guarded by mu
	kept      []map[string]any // guarded by mu: calls of the topic store
	metrics   map[string]float64
	asked     []*asked       // guarded by mu: calls that wait for an answer, not looked at yet
	open      []*asked       // guarded by mu: those of earlier steps
	kicked    []string       // guarded by mu
	wanted    map[string]any // guarded by mu: topics of dynamic hooks since the last step

	// Immutable once the plugin is open.
	client   *outbound.Client // nil: every origin is granted
	sessions []Record
	hooks    []manifest.Hook
	lobby    *plugin.Lobby
}

func newNotes(s *Scenario, p *manifest.Package) *Notes {
	n := &Notes{kv: plugin.NewKV(time.Now), metrics: map[string]float64{}, hooks: p.Hooks, lobby: &plugin.Lobby{}}
	if s != nil {
		n.sessions = s.Sessions
	}
	return n
}

// always puts those services into s that every plugin has.
func (n *Notes) always(s *plugin.Services) { s.Parked, s.Wants, s.Desk = n.lobby, n, n }

// grant puts the service behind capability c into s.
func (n *Notes) grant(s *plugin.Services, c string) {
	switch c {
	case "publish":
		s.Publish = n
	case "kv", "kv:durable": // it lasts as long as the tool runs
		s.KV = n.kv
	case "metric":
		s.Metrics = n
	case "topicstore":
		s.TopicStore = true
	case "timer":
		s.Timer = true
	case "hash":
		s.Hash = true
	case "session":
		s.Sessions = n
	default:
		s.HTTP = s.HTTP || strings.HasPrefix(c, "http:")
	}
}

// Publish implements [plugin.Publisher].
func (n *Notes) Publish(record []byte, _ uint8) error {
	r, _, err := contract.Split(record)
	if err == nil {
		err = contract.CheckPublish(r)
	}
	if err != nil {
		return contract.ErrnoInvalid
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.published = append(n.published, message(r))
	return nil
}

// message shows a publish record.
func message(r contract.Record) map[string]any {
	m := map[string]any{"topic": string(r.Slot(contract.SlotTopic)), "payload": show(r.Slot(contract.SlotPayload))}
	if q := r.Flags().QoS(); q > 0 {
		m["qos"] = int64(q)
	}
	if r.Flags().Has(contract.FlagRetain) {
		m["retain"] = true
	}
	if v, ok := r.Uint32(contract.SlotExpiry); ok {
		m["expiry"] = int64(v)
	}
	if b, ok := r.Lookup(contract.SlotProps); ok && len(b) > 0 {
		m["props"] = "hex:" + hex.EncodeToString(b)
	}
	return m
}

// Add implements [plugin.Metrics].
func (n *Notes) Add(name string, kind int32, v float64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if kind == contract.MetricCounter {
		v += n.metrics[name]
	}
	n.metrics[name] = v
	return nil
}

// notePublished notes what came with a verdict that is an answer's.
func (n *Notes) notePublished(list []any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range list {
		if m, ok := m.(map[string]any); ok {
			n.published = append(n.published, m)
		}
	}
}

// takeTold returns who was kicked and what is wanted since the last call.
func (n *Notes) takeTold() (kicked []string, wanted map[string]any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	kicked, wanted = n.kicked, n.wanted
	n.kicked, n.wanted = nil, nil
	return kicked, wanted
}

// takePublished returns what was published since the last call.
func (n *Notes) takePublished() []map[string]any {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.published
	n.published = nil
	return out
}

// takeKept returns the calls of the topic store since the last call.
func (n *Notes) takeKept() []map[string]any {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.kept
	n.kept = nil
	return out
}

// Metrics returns the plugin's own numbers.
func (n *Notes) Metrics() map[string]float64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.metrics)
}

// store is the topic store of one frame: it only notes.
type store struct{ n *Notes }

func (s store) note(m map[string]any) error {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	s.n.kept = append(s.n.kept, m)
	return nil
}

// Put notes a put.
func (s store) Put(record int, ttl time.Duration) error {
	return s.note(map[string]any{"call": "put", "record": int64(record), "ttl_ms": ttl.Milliseconds()})
}

// Delete notes a del.
func (s store) Delete(record int) error {
	return s.note(map[string]any{"call": "del", "record": int64(record)})
}

// Deliver notes a deliver.
func (s store) Deliver(record int) error {
	return s.note(map[string]any{"call": "deliver", "record": int64(record)})
}

// Count is 0: nothing is kept.
func (s store) Count(string) int { return 0 }

// show writes bytes as text if they are, else in hexadecimal.
func show(b []byte) string {
	for _, c := range string(b) {
		if c == '\uFFFD' || c < ' ' && c != '\n' && c != '\t' {
			return "hex:" + hex.EncodeToString(b)
		}
	}
	return string(b)
}

// parseBytes is the way back from show.
func parseBytes(v any) ([]byte, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("%v is not a text", v)
	}
	if len(s) > 4 && s[:4] == "hex:" {
		return hex.DecodeString(s[4:])
	}
	return []byte(s), nil
}
