package plugintool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Scenario is a file of records that go in and verdicts that have to come out.
type Scenario struct {
	Config map[string]any `toml:"config"` // as in etc/plugins/<name>.toml
	// Grant has what the operator grants beside what the manifest asks for: origins,
	// "http:https://host". None: every origin.
	Grant    []string `toml:"grant"`
	Sessions []Record `toml:"session"` // connected clients, as records of the hook connected
	Steps    []Step   `toml:"step"`
}

// config is the plugin's configuration.
func (s *Scenario) config() map[string]any {
	if s == nil {
		return nil
	}
	return s.Config
}

// grants are what the manifest asks for and the scenario adds.
func (s *Scenario) grants(m *manifest.Manifest) (list []string) {
	if s != nil {
		list = append(list, s.Grant...)
	}
	for _, c := range m.Capabilities {
		if c != "http" {
			list = append(list, c)
		}
	}
	if m.Wants("http") && !manifest.Covers(list, "http") {
		list = append(list, anyOrigin)
	}
	return list
}

// Step is one frame: what one read of one connection brought, or a batch of
// observed events. A step without a hook gives answers to calls of earlier steps; its
// records are those that have waited since, in order.
type Step struct {
	Hook    string   `toml:"hook"`
	Conn    uint64   `toml:"conn"`
	Records []Record `toml:"record"`
	// Calls are the host calls that are answered later, in order, each with what it
	// has to say and, perhaps, its answer: {http = "GET http://host/", answer = {status = 200}}.
	Calls []map[string]any `toml:"call"`
	// Kicked are the clients that the plugin kicks meanwhile, Wants the topics that it
	// gives its dynamic hooks.
	Kicked []string       `toml:"kicked"`
	Wants  map[string]any `toml:"wants"`
	// Publishes are the messages that the plugin publishes by host calls meanwhile.
	Publishes []map[string]any `toml:"publishes"`
	// Store are the calls of the topic store: {call = "put", record = 0, ttl_ms = 0}.
	Store []map[string]any `toml:"store"`
	// Fault is a part of the error that the frame has to end with.
	Fault string `toml:"fault"`
}

// Record is one record and what is wanted of it.
type Record struct {
	Slots   map[string]any `toml:"slots"` // text, "hex:..." or a number
	Flags   []string       `toml:"flags"` // publish, subscribe, retain, dup, new, clean_start, reauth, superuser, bridge, retained
	QoS     byte           `toml:"qos"`
	Version byte           `toml:"version"` // of the protocol: 3, 4 or 5
	Aux     *uint32        `toml:"aux"`     // not given: the payload's size in records of messages
	Time    uint64         `toml:"time"`    // Unix nanoseconds
	Repeat  int            `toml:"repeat"`  // so many records of it; 0: one
	// Want is the verdict; not given: {action = "next"}. Later says that the plugin puts
	// it off and gives it when the step's calls are answered.
	Want  map[string]any `toml:"want"`
	Later bool           `toml:"later"`
}

// ReadScenario reads a scenario file, TOML or JSON.
func ReadScenario(path string) (*Scenario, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the scenario: %w", err)
	}
	s := &Scenario{}
	if strings.HasSuffix(path, ".json") { // the same keys
		var any map[string]any
		if err := json.Unmarshal(text, &any); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var b strings.Builder
		if err := toml.NewEncoder(&b).Encode(any); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		text = []byte(b.String())
	}
	md, err := toml.Decode(string(text), s)
	if err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return nil, fmt.Errorf("%s:%d: %s", path, pe.Position.Line, pe.Message)
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if keys := slices.DeleteFunc(md.Undecoded(), free); len(keys) > 0 {
		return nil, fmt.Errorf("%s: there is no key %q", path, keys[0])
	}
	if len(s.Steps) == 0 {
		return nil, fmt.Errorf("%s: there is no [[step]]", path)
	}
	return s, nil
}

// free tells whether a key is inside of something that has no fixed keys: a
// configuration, a verdict, a call.
func free(key toml.Key) bool {
	return key[0] == "config" || len(key) > 3 && key[0] == "step" && (key[1] == "call" || key[1] == "record" && key[2] == "want")
}

// flagNames are the flags that a scenario may set.
var flagNames = map[string]contract.Flags{
	"publish": contract.FlagPublish, "subscribe": contract.FlagSubscribe, "retain": contract.FlagRetain, "dup": contract.FlagDup,
	"new": contract.FlagNew, "clean_start": contract.FlagCleanStart, "reauth": contract.FlagReauth,
	"superuser": contract.FlagSuperuser, "bridge": contract.FlagBridge, "retained": contract.FlagRetained,
}

// write appends the record to w.
func (r *Record) write(w *contract.Writer, k contract.Hook, conn uint64) error {
	h := contract.Header{Hook: k, Conn: conn, Time: r.Time, Flags: contract.Flags(0).WithQoS(r.QoS).WithVersion(r.Version)}
	for _, f := range r.Flags {
		bit, ok := flagNames[f]
		if !ok {
			return fmt.Errorf("there is no flag %q; there are %s", f, strings.Join(slices.Sorted(maps.Keys(flagNames)), ", "))
		}
		h.Flags |= bit
	}
	names := k.Slots()
	if r.Aux != nil {
		h.Aux = *r.Aux
	} else if p, err := parseBytes(r.Slots["payload"]); err == nil && slices.Contains(names, "payload") {
		h.Aux = uint32(len(p))
	}
	for name := range r.Slots {
		if !slices.Contains(names, name) {
			return fmt.Errorf("%s has no slot %q; it has %s", k, name, strings.Join(names, ", "))
		}
	}
	w.Begin(h)
	defer w.End()
	for i, name := range names {
		v, ok := r.Slots[name]
		if !ok {
			continue
		}
		n, number := v.(int64)
		switch {
		case number && name == "connected_at":
			w.Uint64(contract.Slot(i), uint64(n))
		case number:
			w.Uint32(contract.Slot(i), uint32(n))
		default:
			b, err := parseBytes(v)
			if err != nil {
				return fmt.Errorf("slot %s: %w", name, err)
			}
			w.Bytes(contract.Slot(i), b)
		}
	}
	return nil
}

// Failure is one difference between what a scenario wants and what came.
type Failure struct {
	Step   int    `json:"step"`   // from 1
	Record int    `json:"record"` // from 1; 0: the step as a whole
	What   string `json:"what"`
	Want   any    `json:"want"`
	Got    any    `json:"got"`
}

// Result is what a scenario came to.
type Result struct {
	Steps    int       `json:"steps"`
	Records  int       `json:"records"`
	Failures []Failure `json:"failures"`
}

// Test runs a scenario.
func (t *Target) Test(ctx context.Context, s *Scenario) (res *Result, err error) {
	run, err := t.Open(ctx, s)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := run.Close(context.WithoutCancel(ctx)); err == nil && e != nil {
			err = fmt.Errorf("the plugin does not end: %w", e)
		}
	}()
	res = &Result{Failures: []Failure{}}
	for i := range s.Steps {
		if err := run.step(ctx, &s.Steps[i], i+1, res); err != nil {
			return nil, fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return res, nil
}

func orNext(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{"action": "next"}
	}
	return m
}

// what names a record by its telling slots.
func what(k contract.Hook, r *Record) string {
	words := []string{k.String()}
	for _, name := range []string{"client_id", "username", "topic", "filter"} {
		if v, ok := r.Slots[name]; ok {
			words = append(words, fmt.Sprintf("%s=%v", name, v))
		}
	}
	return strings.Join(words, " ")
}

// compare notes a failure if the two differ.
func (res *Result) compare(f Failure, want, got any) {
	if f.Want, f.Got = plainJSON(want), plainJSON(got); !reflect.DeepEqual(f.Want, f.Got) {
		res.Failures = append(res.Failures, f)
	}
}

func list(ms []map[string]any) []any {
	out := make([]any, len(ms))
	for i := range ms {
		out[i] = ms[i]
	}
	return out
}

// plainJSON makes values of different types comparable.
func plainJSON(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var out any
	_ = json.Unmarshal(b, &out) // what was just made
	return out
}

// published waits for as many messages as are wanted, since a process publishes
// in its own time, and returns all that came.
func (r *Run) published(want int) []map[string]any {
	got := r.Services.takePublished()
	for end := time.Now().Add(publishTime); len(got) < want && !r.target.WASM() && time.Now().Before(end); {
		runtime.Gosched()
		got = append(got, r.Services.takePublished()...)
	}
	return got
}

// publishTime is how long a process may take to publish.
const publishTime = 2 * time.Second
