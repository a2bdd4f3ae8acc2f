// Package params reads the parameters of actions and resources: what is wrong is
// said all at once, a key that nobody asks for is a fault. It owns no defaults.
package params

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/template"
)

// Params are parameters being read. They belong to one goroutine.
type Params struct {
	vals map[string]any
	used map[string]bool
	errs []error
}

// New reads from vals, which stay as they are.
func New(vals map[string]any) *Params { return &Params{vals: vals, used: map[string]bool{}} }

func (p *Params) fault(key, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
}

func (p *Params) get(key string) (any, bool) {
	p.used[key] = true
	v, ok := p.vals[key]
	return v, ok
}

// String is a text; otherwise if it is not there.
func (p *Params) String(key, otherwise string) string {
	v, ok := p.get(key)
	if !ok {
		return otherwise
	}
	switch v := v.(type) {
	case string:
		return v
	case int64, float64, int, bool:
		return fmt.Sprint(v)
	}
	p.fault(key, "a text is wanted, not %T", v)
	return otherwise
}

// Required is a text that has to be there.
func (p *Params) Required(key string) string {
	s := p.String(key, "")
	if _, ok := p.vals[key]; !ok || s == "" {
		p.fault(key, "is required")
	}
	return s
}

// OneOf is one of the words, the first if it is not there.
func (p *Params) OneOf(key string, words ...string) string {
	s := strings.ToLower(p.String(key, words[0]))
	for _, w := range words {
		if s == w {
			return s
		}
	}
	p.fault(key, "%q: one of %s", s, strings.Join(words, ", "))
	return words[0]
}

// Bool is true or false; on and off will do.
func (p *Params) Bool(key string, otherwise bool) bool {
	v, ok := p.get(key)
	if !ok {
		return otherwise
	}
	switch s := strings.ToLower(fmt.Sprint(v)); s {
	case "true", "on", "1":
		return true
	case "false", "off", "0":
		return false
	}
	p.fault(key, "true or false is wanted, not %v", v)
	return otherwise
}

// Int is a whole number from least to most.
func (p *Params) Int(key string, otherwise, least, most int) int {
	v, ok := p.get(key)
	if !ok {
		return otherwise
	}
	n, err := strconv.Atoi(strings.TrimSuffix(fmt.Sprint(v), ".0"))
	if f, isFloat := v.(float64); isFloat && f == float64(int(f)) {
		n, err = int(f), nil
	}
	if err != nil || n < least || n > most {
		p.fault(key, "a whole number from %d to %d is wanted, not %v", least, most, v)
		return otherwise
	}
	return n
}

// Duration is a time such as 5s or 100ms; a bare number is milliseconds.
func (p *Params) Duration(key string, otherwise time.Duration) time.Duration {
	v, ok := p.get(key)
	if !ok {
		return otherwise
	}
	s := fmt.Sprint(v)
	if n, err := strconv.ParseFloat(s, 64); err == nil && n >= 0 {
		return time.Duration(n * float64(time.Millisecond))
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		p.fault(key, "a time like 5s or 100ms is wanted, not %q", s)
		return otherwise
	}
	return d
}

// Bytes is a size such as 1MB or 64KB; a bare number is bytes.
func (p *Params) Bytes(key string, otherwise int64) int64 {
	v, ok := p.get(key)
	if !ok {
		return otherwise
	}
	s := strings.ToUpper(strings.TrimSpace(fmt.Sprint(v)))
	factor := int64(1)
	for _, u := range []struct {
		name string
		n    int64
	}{{"KB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}} {
		if rest, found := strings.CutSuffix(s, u.name); found {
			s, factor = strings.TrimSpace(rest), u.n
		}
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || n < 0 || n*float64(factor) > 1<<50 {
		p.fault(key, "a size like 64KB or 1MB is wanted, not %v", v)
		return otherwise
	}
	return int64(n * float64(factor))
}

// Template is a text with ${...}.
func (p *Params) Template(key, otherwise string) *template.Template {
	t, err := template.Parse(p.String(key, otherwise))
	if err != nil {
		p.fault(key, "%v", err)
		return &template.Template{}
	}
	return t
}

// Texts is a table of texts, such as headers.
func (p *Params) Texts(key string) map[string]string {
	v, ok := p.get(key)
	if !ok {
		return nil
	}
	table, ok := v.(map[string]any)
	if !ok {
		p.fault(key, "a table is wanted, not %T", v)
		return nil
	}
	texts := make(map[string]string, len(table))
	for k, v := range table {
		texts[k] = fmt.Sprint(v)
	}
	return texts
}

// Fault adds what the caller has found wrong with a key.
func (p *Params) Fault(key string, err error) { p.fault(key, "%v", err) }

// Err is everything that is wrong, keys that nobody has asked for too.
func (p *Params) Err() error {
	known := make([]string, 0, len(p.used))
	for k := range p.used {
		known = append(known, k)
	}
	sort.Strings(known)
	var strange []string
	for k := range p.vals {
		if !p.used[k] {
			strange = append(strange, k)
		}
	}
	sort.Strings(strange)
	for _, k := range strange {
		p.fault(k, "there is no such parameter; there are %s", strings.Join(known, ", "))
	}
	return errors.Join(p.errs...)
}

// Clone is the same parameters, to be read once more from here on, with no faults.
func (p *Params) Clone() *Params {
	used := make(map[string]bool, len(p.used))
	for k := range p.used {
		used[k] = true
	}
	return &Params{vals: p.vals, used: used}
}
