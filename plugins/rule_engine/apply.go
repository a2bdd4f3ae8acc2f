//go:build !wasip1

package main

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/event"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/files"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/resource"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/rules"
	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// read brings what runs in line with the files: only what has changed is touched,
// and what is not right is told and left as it was. changed tells whether a file was
// another.
func (e *Engine) read() (changed bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.apply()
}

// apply is read with mu held.
func (e *Engine) apply() (changed bool, err error) {
	next, changed, fault := e.folder.Scan()
	if next == nil {
		return false, fault
	}
	if changed || e.content == nil {
		old := e.content
		if old == nil {
			old = &files.Content{}
		}
		errs := []error{fault}
		errs = append(errs, e.putResources(old, next), e.putRules(old, next))
		for id := range old.Resources {
			if _, ok := next.Resources[id]; !ok {
				errs = append(errs, e.dropResource(id))
			}
		}
		e.content = next
		errs = append(errs, e.want())
		err = errors.Join(errs...)
		e.say(err)
	}
	return changed, err
}

// say tells what is wrong, once.
func (e *Engine) say(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != e.said {
		for line := range strings.SplitSeq(text, "\n") {
			if line != "" {
				sdk.Log(sdk.Error, line)
			}
		}
	}
	e.said = text
}

// note keeps what is wrong with an item, for whoever lists it.
func (e *Engine) note(key string, err error) error {
	delete(e.broken, key)
	if err != nil {
		e.broken[key] = err.Error()
	}
	return err
}

func resourceKey(id string) string { return "resource " + id }
func ruleKey(id string) string     { return "rule " + id }

// putResources adds and changes resources.
func (e *Engine) putResources(old, next *files.Content) error {
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(next.Resources)) {
		r := next.Resources[id]
		if was, ok := old.Resources[id]; ok && reflect.DeepEqual(was, r) && e.broken[resourceKey(id)] == "" {
			continue
		}
		spec, err := e.resourceSpec(id, r)
		if err == nil {
			err = e.resources.Put(spec)
		}
		if err != nil {
			err = fmt.Errorf("%s: resource %s: %w", next.ResourceAt[id], id, err)
		}
		errs = append(errs, e.note(resourceKey(id), err))
	}
	return errors.Join(errs...)
}

// dropResource removes a resource that no file has any more. While rules use it, it
// stays.
func (e *Engine) dropResource(id string) error {
	err := e.resources.Delete(id)
	if errors.Is(err, resource.ErrNotFound) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("resource %s is in no file any more, but stays: %w", id, err)
	}
	return e.note(resourceKey(id), err)
}

// putRules adds, changes and removes rules.
func (e *Engine) putRules(old, next *files.Content) error {
	var put []*rules.Rule
	var gone []string
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(next.Rules)) {
		r := next.Rules[id]
		if was, ok := old.Rules[id]; ok && reflect.DeepEqual(was, r) && e.broken[ruleKey(id)] == "" {
			continue
		}
		made, err := e.compile(ruleSpec(id, r))
		if err != nil {
			err = fmt.Errorf("%s: %w", next.RuleAt[id], err)
		} else {
			put = append(put, made)
		}
		errs = append(errs, e.note(ruleKey(id), err))
	}
	for id := range old.Rules {
		if _, ok := next.Rules[id]; !ok {
			gone = append(gone, id)
			e.resources.Keep(id, func(string) bool { return false }, nil)
			delete(e.broken, ruleKey(id))
		}
	}
	if len(put)+len(gone) > 0 {
		errs = append(errs, e.rules.Install(put, gone))
	}
	return errors.Join(errs...)
}

// compile makes a rule and binds its actions. On an error the bindings are as they
// were.
func (e *Engine) compile(spec rules.Spec) (*rules.Rule, error) {
	back := e.resources.Bound(spec.ID)
	r, err := rules.Compile(spec, e.options, e.actions.Builder)
	if err == nil {
		err = told(r)
	}
	if err != nil {
		e.resources.Keep(spec.ID, func(name string) bool { _, ok := back[name]; return ok }, back)
		return nil, err
	}
	names := map[string]bool{}
	actionNames(spec.ID, spec.Actions, names)
	e.resources.Keep(spec.ID, func(name string) bool { return names[name] }, nil)
	for _, name := range r.Unknown() {
		sdk.Log(sdk.Warn, fmt.Sprintf("rule %s: %q is neither a column nor an alias and is always undefined; \"...\" names a field, '...' is a text", spec.ID, name))
	}
	return r, nil
}

// told refuses events that this broker does not tell.
func told(r *rules.Rule) error {
	for _, t := range r.Topics() {
		if _, ok := event.Hooks[t]; strings.HasPrefix(t, "$events/") && !ok {
			return fmt.Errorf("rule %s: this broker does not tell %s; there are %s", r.Spec().ID, t, strings.Join(slices.Sorted(maps.Keys(event.Hooks)), ", "))
		}
	}
	return nil
}

func actionNames(rule string, list []rules.ActionSpec, to map[string]bool) {
	for _, a := range list {
		to[rule+"/"+a.ID] = true
		actionNames(rule, a.Fallbacks, to)
	}
}

// ruleSpec is a rule of a file as the engine wants it. Each action has an id.
func ruleSpec(id string, r files.Rule) rules.Spec {
	return rules.Spec{
		ID: id, SQL: r.SQL, Enabled: r.Enabled == nil || *r.Enabled, Description: r.Description, OnActionFailed: r.OnActionFailed,
		Actions: actionSpecs("", r.Actions),
	}
}

func actionSpecs(prefix string, list []files.Action) []rules.ActionSpec {
	specs := make([]rules.ActionSpec, 0, len(list))
	for i, a := range list {
		id := a.ID
		if id == "" {
			id = fmt.Sprintf("%s%s_%d", prefix, a.Name, i+1)
		}
		specs = append(specs, rules.ActionSpec{ID: id, Name: a.Name, Params: a.Params, Fallbacks: actionSpecs(id+"_or_", a.Fallbacks)})
	}
	return specs
}

// want tells the broker which topics and events the rules name.
func (e *Engine) want() error {
	filters, events := e.rules.Filters()
	if len(filters) > contract.MaxWanted {
		sdk.Log(sdk.Warn, fmt.Sprintf("the rules have %d different filters, more than the broker takes: it hands over all messages", len(filters)))
		filters = []string{"#", "$SYS/#"}
	}
	errs := []error{sdk.Want(contract.HookMessage, filters)}
	on := map[contract.Hook][]string{}
	for _, h := range event.Hooks {
		on[h] = nil
	}
	for _, name := range events {
		on[event.Hooks[name]] = []string{"#", "$SYS/#"}
	}
	for h, filters := range on {
		errs = append(errs, sdk.Want(h, filters))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("the broker does not give the rules their topics: %w", err)
	}
	return nil
}
