package manifest

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/topic"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// The values of a manifest's state key.
const (
	StateNone          = "none"           // any guest instance may get any record
	StatePerConnection = "per-connection" // a connection always meets the same guest instance
	StateShared        = "shared"         // there is one guest instance
)

// The values of full: what becomes of a message when the log of its consumer is full.
const (
	FullDeny       = "deny"        // the publisher is refused with 0x97
	FullDropOldest = "drop_oldest" // the oldest records go
)

// Limits of a manifest.
const (
	maxFilters     = 256     // a hook's topic filters
	maxMemoryPages = 1 << 16 // 4 GiB
	defaultPages   = 1024    // 64 MiB
	defaultFuel    = 1_000_000
	maxManifest    = 1 << 20
)

// Manifest is a plugin.toml (contract C.8): what the plugin is, which hooks it
// wants and which capabilities it asks for. Immutable once parsed.
type Manifest struct {
	Name         string   `toml:"name"`
	Version      string   `toml:"version"`
	Description  string   `toml:"description"`
	License      string   `toml:"license"`
	ABI          int      `toml:"abi"` // 1
	Features     []string `toml:"features"`
	Capabilities []string `toml:"capabilities"`
	Optional     []string `toml:"optional"`      // capabilities that it can do without; the granted ones are in Capabilities too
	State        string   `toml:"state"`         // default none
	MaxInstances int      `toml:"max_instances"` // 0: one per core
	MemoryPages  uint32   `toml:"memory_pages"`  // of 64 KiB each; default 1024 = 64 MiB
	Fuel         uint64   `toml:"fuel"`          // per call, before what each record adds; default 1,000,000
	Hooks        []Hook   `toml:"hook"`
	ConfigSchema string   `toml:"config_schema"` // a JSON Schema file beside the manifest; "": any config

	SelfTests []SelfTest `toml:"self_test"` // asked at every load
}

// Hook is one hook registration of a manifest, or an operator's override of it.
type Hook struct {
	Name       string   `toml:"name"`
	Class      string   `toml:"class"`    // must be the hook's own
	OnError    OnError  `toml:"on_error"` // "": the hook's default (contract C.7)
	Timeout    Duration `toml:"timeout"`  // 0: 1 s; connect and authenticate 5 s
	Park       Duration `toml:"park"`     // of on_error = park; 0: 2 s
	Filters    []string `toml:"filters"`  // topics of interest; none: all
	Dynamic    bool     `toml:"dynamic"`  // the plugin says while it runs which topics of filters it wants
	When       When     `toml:"when"`
	Fields     []string `toml:"fields"`      // slots to fill, by name; none: all
	MaxPayload uint32   `toml:"max_payload"` // bytes of payload to pass on; 0: all
	MaxQueue   int64    `toml:"max_queue"`   // class consume: bytes that may wait; 0: 256 MiB
	Full       string   `toml:"full"`        // class consume: deny or drop_oldest when they do; "": deny
	Subject    string   `toml:"subject"`     // publish: access rules are asked about what is behind these levels ("$delayed/+/"); "": the topic
}

// When restricts a hook further; all conditions given must hold.
type When struct {
	Retain          *bool  `toml:"retain"`
	QoSMin          byte   `toml:"qos_min"`
	Listener        string `toml:"listener"` // "tcp:external"
	PrincipalPrefix string `toml:"principal_prefix"`
	Protocol        string `toml:"protocol"` // "3.1", "3.1.1" or "5.0"
}

// Duration is a time span written as "1500ms" or "3s".
type Duration time.Duration

// UnmarshalText reads the Go form of a duration; negative ones are refused.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a time span such as 500ms or 3s", text)
	}
	if v < 0 {
		return fmt.Errorf("%q is negative", text)
	}
	*d = Duration(v)
	return nil
}

// ParseManifest reads the text of a plugin.toml; name is for messages. All
// faults are reported, each with file and line.
func ParseManifest(name string, text []byte) (*Manifest, error) {
	m := &Manifest{State: StateNone, MemoryPages: defaultPages, Fuel: defaultFuel}
	doc, err := decodeTOML(name, text, m, "")
	if err != nil {
		return nil, err
	}
	m.check(doc)
	if err := doc.err(); err != nil {
		return nil, err
	}
	return m, nil
}

// check reports every rule that m breaks.
func (m *Manifest) check(d *document) {
	if err := CheckName(m.Name); err != nil {
		d.fault(err.Error(), "name")
	}
	if m.Version == "" {
		d.fault("version is missing", "version")
	}
	if m.ABI != contract.ABI {
		d.fault(fmt.Sprintf("abi = %d: this broker speaks %d", m.ABI, contract.ABI), "abi")
	}
	if !slices.Contains([]string{StateNone, StatePerConnection, StateShared}, m.State) {
		d.fault(fmt.Sprintf("state = %q: want none, per-connection or shared", m.State), "state")
	}
	if m.MaxInstances < 0 {
		d.fault("max_instances is negative", "max_instances")
	}
	if m.MemoryPages == 0 || m.MemoryPages > maxMemoryPages {
		d.fault(fmt.Sprintf("memory_pages = %d: want 1 to %d", m.MemoryPages, maxMemoryPages), "memory_pages")
	}
	if m.ConfigSchema != "" && !filepath.IsLocal(m.ConfigSchema) {
		d.fault("config_schema must be a file beside the manifest", "config_schema")
	}
	for _, c := range m.Capabilities {
		if err := checkCapability(c, false); err != nil {
			d.fault(err.Error(), "capabilities")
		}
	}
	for _, c := range m.Optional {
		if err := checkCapability(c, false); err != nil {
			d.fault(err.Error(), "optional")
		} else if slices.Contains(m.Capabilities, c) {
			d.fault(fmt.Sprintf("%q is asked for already", c), "optional")
		}
	}
	if len(m.Hooks) == 0 {
		d.fault("no hook: the plugin would never be called", "name")
	}
	seen := map[string]bool{}
	for i := range m.Hooks {
		h := &m.Hooks[i]
		if seen[h.Name] {
			d.fault(fmt.Sprintf("hook %q is registered twice", h.Name), "hook", "name")
		}
		seen[h.Name] = true
		if err := h.check(); err != nil {
			d.fault(fmt.Sprintf("hook %q: %s", h.Name, err), "hook", "name")
		}
	}
	m.checkSelfTests(d)
	if needs := m.topicStore(); needs && !Covers(m.Capabilities, "topicstore") {
		d.fault(`a provider of retained messages needs the capability "topicstore"`, "capabilities")
	}
}

// topicStore tells whether a hook works through the topic store.
func (m *Manifest) topicStore() bool {
	return slices.ContainsFunc(m.Hooks, func(h Hook) bool { return h.Class == contract.Provide.String() })
}

// check tests one registration by itself.
func (h *Hook) check() error {
	k, ok := contract.ParseHook(h.Name)
	if !ok {
		return errors.New("there is no such hook" + didYouMean(h.Name, hookNames()))
	}
	var errs []error
	if k.Class() == contract.Answer {
		return errors.New("answers come by themselves to the plugin that asked: leave the hook out")
	}
	if defaults[k].Policies == nil {
		errs = append(errs, errors.New("this version does not call it"))
	}
	if h.Class != k.Class().String() {
		errs = append(errs, fmt.Errorf("class = %q: this hook is of class %q", h.Class, k.Class()))
	}
	if _, unknown := k.Mask(h.Fields); unknown != "" {
		errs = append(errs, fmt.Errorf("fields: there is no %q%s", unknown, didYouMean(unknown, k.Slots())))
	}
	if h.Subject != "" && (k != contract.HookPublish || !validSubject(h.Subject)) {
		errs = append(errs, fmt.Errorf("subject = %q: want levels that begin with $ and end with /, + for any, and the hook publish", h.Subject))
	}
	if (k == contract.HookDeliver || k == contract.HookMessage) && len(h.Filters) == 0 && !h.Dynamic {
		errs = append(errs, fmt.Errorf("%s needs filters, or dynamic = true", k))
	}
	return errors.Join(append(errs, h.checkTuning(k))...)
}

// validSubject tells whether s is levels before a topic.
func validSubject(s string) bool {
	before, ends := strings.CutSuffix(s, "/")
	return ends && strings.HasPrefix(s, "$") && !strings.Contains(s, "#") && topic.ValidateFilter(before) == nil
}

// hookNames lists the hooks by their manifest names.
func hookNames() []string {
	var names []string
	for _, h := range contract.Hooks() {
		names = append(names, h.String())
	}
	return names
}

// checkTuning tests what an operator may override.
func (h *Hook) checkTuning(k contract.Hook) error {
	var errs []error
	if p := defaults[k].Policies; h.OnError != "" && !slices.Contains(p, h.OnError) {
		errs = append(errs, fmt.Errorf("on_error = %q: want one of %v", h.OnError, p))
	}
	if len(h.Filters) > maxFilters {
		errs = append(errs, fmt.Errorf("%d filters: at most %d", len(h.Filters), maxFilters))
	}
	if len(h.Filters) > 0 && !defaults[k].Topics {
		errs = append(errs, errors.New("filters: the hook's events have no topic"))
	}
	for _, f := range h.Filters {
		if err := topic.ValidateFilter(f); err != nil {
			errs = append(errs, fmt.Errorf("filter %q: %w", f, err))
		}
	}
	if (h.MaxQueue != 0 || h.Full != "") && k.Class() != contract.Consume || h.MaxQueue < 0 {
		errs = append(errs, errors.New("max_queue and full are for hooks of class consume"))
	}
	if h.Full != "" && h.Full != FullDeny && h.Full != FullDropOldest {
		errs = append(errs, fmt.Errorf("full = %q: want deny or drop_oldest", h.Full))
	}
	if h.When.QoSMin > 2 {
		errs = append(errs, fmt.Errorf("qos_min = %d: want 0, 1 or 2", h.When.QoSMin))
	}
	if p := h.When.Protocol; p != "" && protocols[p] == 0 {
		errs = append(errs, fmt.Errorf("protocol = %q: want 3.1, 3.1.1 or 5.0", p))
	}
	return errors.Join(errs...)
}
