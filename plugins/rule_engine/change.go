//go:build !wasip1

package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/files"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/resource"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/rules"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
)

// testTime bounds a test of a resource.
const testTime = 10 * time.Second

// newID is an id as EMQ X makes them: rule:9a6a725d.
func newID(kind string) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it does not fail
	return kind + ":" + hex.EncodeToString(b[:])
}

// contents is what the files have. mu is held.
func (e *Engine) contents() *files.Content {
	if e.content == nil {
		return &files.Content{}
	}
	return e.content
}

// ruleView tells of a rule. Its keys are stable.
type ruleView struct {
	ID             string        `json:"id"`
	For            []string      `json:"for"`
	SQL            string        `json:"rawsql"`
	Enabled        bool          `json:"enabled"`
	Description    string        `json:"description"`
	OnActionFailed string        `json:"on_action_failed"`
	Actions        []actionView  `json:"actions"`
	Metrics        *rules.Counts `json:"metrics,omitempty"` // of a rule that runs
	File           string        `json:"file"`
	Error          string        `json:"error,omitempty"` // why what the file says is not in force
}

type actionView struct {
	rules.ActionSpec
	Metrics *rules.ActionCounts `json:"metrics,omitempty"`
}

// view tells of the rule of an id. mu is held.
func (e *Engine) view(id string) *ruleView {
	spec, inFile := e.contents().Rules[id]
	v := &ruleView{ID: id, For: []string{}, File: e.contents().RuleAt[id].String(), Error: e.broken[ruleKey(id)], Actions: []actionView{}}
	r := e.rules.Get(id)
	if r == nil && !inFile {
		return nil
	}
	s := ruleSpec(id, spec)
	if r != nil {
		s = r.Spec()
		counts := r.Metrics.Counts()
		v.For, v.Metrics = r.Topics(), &counts
	}
	v.SQL, v.Enabled, v.Description, v.OnActionFailed = s.SQL, s.Enabled, s.Description, s.OnActionFailed
	for _, a := range s.Actions {
		av := actionView{ActionSpec: a}
		if r != nil {
			if i := slices.IndexFunc(r.Actions(), func(c rules.ActionCounts) bool { return c.ID == a.ID }); i >= 0 {
				av.Metrics = &r.Actions()[i]
			}
		}
		v.Actions = append(v.Actions, av)
	}
	return v
}

// ruleList tells of all rules, those that are not right too.
func (e *Engine) ruleList() []*ruleView {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := []*ruleView{}
	for _, id := range slices.Sorted(maps.Keys(e.contents().Rules)) {
		list = append(list, e.view(id))
	}
	return list
}

func (e *Engine) ruleShow(id string) (any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if v := e.view(id); v != nil {
		return v, nil
	}
	return nil, notFound("there is no rule %q", id)
}

// ruleCreate makes a rule and its file.
func (e *Engine) ruleCreate(r *request) (any, error) {
	if r.SQL == nil || r.Actions == nil {
		return nil, invalid("rawsql and actions are required")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.ID == "" {
		r.ID = newID("rule")
	}
	if _, ok := e.contents().Rules[r.ID]; ok {
		return nil, invalid("there is a rule %s already, in %s", r.ID, e.content.RuleAt[r.ID])
	}
	return e.ruleWrite(r.ID, files.Rule{}, r)
}

// ruleUpdate changes what the request names.
func (e *Engine) ruleUpdate(r *request) (any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old, ok := e.contents().Rules[r.ID]
	if !ok {
		return nil, notFound("there is no rule %q", r.ID)
	}
	return e.ruleWrite(r.ID, old, r)
}

// ruleWrite checks a rule, writes its file and brings it into force. mu is held.
func (e *Engine) ruleWrite(id string, rule files.Rule, r *request) (any, error) {
	if r.SQL != nil {
		rule.SQL = *r.SQL
	}
	if r.Actions != nil {
		rule.Actions = *r.Actions
	}
	if r.Enabled != nil {
		rule.Enabled = r.Enabled
	}
	if r.OnActionFailed != nil {
		rule.OnActionFailed = *r.OnActionFailed
	}
	if r.Description != nil {
		rule.Description = *r.Description
	}
	back := e.resources.Bound(id)
	_, err := e.compile(ruleSpec(id, rule))
	if err != nil {
		return nil, invalid("%v", err)
	}
	if err := e.folder.PutRule(id, rule, e.contents().RuleAt[id]); err != nil {
		e.resources.Keep(id, func(name string) bool { _, ok := back[name]; return ok }, back)
		return nil, err
	}
	if _, err := e.apply(); err != nil && e.broken[ruleKey(id)] != "" {
		return nil, err
	}
	return e.view(id), nil
}

// ruleDelete removes a rule and its file.
func (e *Engine) ruleDelete(r *request) (any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, ok := e.contents().RuleAt[r.ID]
	if !ok {
		return nil, notFound("there is no rule %q", r.ID)
	}
	if err := e.folder.DeleteRule(r.ID, at); err != nil {
		return nil, err
	}
	_, _ = e.apply() // what is wrong elsewhere is told
	return map[string]any{"id": r.ID}, nil
}

// ruleReset sets a rule's counters to zero.
func (e *Engine) ruleReset(r *request) (any, error) {
	rule := e.rules.Get(r.ID)
	if rule == nil {
		return nil, notFound("there is no rule %q", r.ID)
	}
	rule.Reset()
	return e.ruleShow(r.ID)
}

// ruleTest runs a statement on an event that the request describes; nothing is done
// with what it yields.
func (e *Engine) ruleTest(r *request) (any, error) {
	if r.SQL == nil {
		return nil, invalid("rawsql is required")
	}
	q, err := sql.Compile(*r.SQL, sql.Options{Store: sql.NewStore(0)})
	if err != nil {
		return nil, invalid("%v", err)
	}
	row := sql.Row{}
	for _, d := range defaults(q.Topics[0]) {
		row[d.column] = d.value
	}
	for name, v := range r.Context {
		c, ok := sql.ColumnOf(name)
		if !ok {
			return nil, invalid("context: there is no column %q", name)
		}
		row[c] = valueOf(v)
	}
	var res sql.Result
	if err := q.Eval(row, &res); err != nil {
		return nil, invalid("%v", err)
	}
	rows := []any{}
	for _, m := range res.Rows {
		rows = append(rows, rawJSON(m.AppendJSON(nil)))
	}
	unknown := append([]string{}, q.Unknown...)
	return map[string]any{"matched": res.Matched, "rows": rows, "unknown": unknown}, nil
}

// resourceCreate makes a resource and its file.
func (e *Engine) resourceCreate(r *request) (any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.ID == "" {
		r.ID = newID("resource")
	}
	if at, ok := e.contents().ResourceAt[r.ID]; ok {
		return nil, invalid("there is a resource %s already, in %s", r.ID, at)
	}
	return e.resourceWrite(r.ID, files.Resource{Type: r.Type}, r)
}

// resourceUpdate changes what the request names; config is replaced whole.
func (e *Engine) resourceUpdate(r *request) (any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old, ok := e.contents().Resources[r.ID]
	if !ok {
		return nil, notFound("there is no resource %q", r.ID)
	}
	return e.resourceWrite(r.ID, old, r)
}

// resourceWrite checks a resource, writes its file and brings it into force. mu is
// held.
func (e *Engine) resourceWrite(id string, res files.Resource, r *request) (any, error) {
	if r.Config != nil {
		res.Config = r.Config
	}
	if r.Description != nil {
		res.Description = *r.Description
	}
	spec, err := e.resourceSpec(id, res)
	if err != nil {
		return nil, err
	}
	if err := e.resources.Valid(spec); err != nil {
		return nil, err
	}
	if err := e.folder.PutResource(id, res, e.contents().ResourceAt[id]); err != nil {
		return nil, err
	}
	if _, err := e.apply(); err != nil && e.broken[resourceKey(id)] != "" {
		return nil, errors.New(e.broken[resourceKey(id)])
	}
	return e.resources.Status(id)
}

// resourceDelete removes a resource that no rule uses, and its file.
func (e *Engine) resourceDelete(r *request) (any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, ok := e.contents().ResourceAt[r.ID]
	if !ok {
		return nil, notFound("there is no resource %q", r.ID)
	}
	if st, err := e.resources.Status(r.ID); err == nil && len(st.Actions) > 0 {
		rule, _, _ := strings.Cut(st.Actions[0], "/")
		return nil, errors.Join(resource.ErrInUse, errors.New("the rule "+rule+" has to be deleted or changed first"))
	}
	if err := e.folder.DeleteResource(r.ID, at); err != nil {
		return nil, err
	}
	_, _ = e.apply() // what is wrong elsewhere is told
	return map[string]any{"id": r.ID}, nil
}
