//go:build !wasip1

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/catalog"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/files"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/resource"
	sdk "github.com/dunlinmq/dunlin/pluginsdk"
)

// request is the body of every command; each uses what it needs. A nil field of an
// update leaves things as they are.
type request struct {
	ID             string          `json:"id"`
	Name           string          `json:"name"`
	Type           string          `json:"type"`
	SQL            *string         `json:"rawsql"`
	Actions        *[]files.Action `json:"actions"`
	Enabled        *bool           `json:"enabled"`
	OnActionFailed *string         `json:"on_action_failed"`
	Description    *string         `json:"description"`
	Config         map[string]any  `json:"config"`
	Context        map[string]any  `json:"context"`
}

// commands are what operators may ask.
var commands = map[string]func(e *Engine, r *request) (any, error){
	"rules.list":   func(e *Engine, _ *request) (any, error) { return e.ruleList(), nil },
	"rules.show":   func(e *Engine, r *request) (any, error) { return e.ruleShow(r.ID) },
	"rules.create": (*Engine).ruleCreate, "rules.update": (*Engine).ruleUpdate, "rules.delete": (*Engine).ruleDelete,
	"rules.reset": (*Engine).ruleReset, "rules.test": (*Engine).ruleTest,
	"resources.list":   (*Engine).resourceList,
	"resources.show":   func(e *Engine, r *request) (any, error) { return e.resourceShow(r.ID) },
	"resources.create": (*Engine).resourceCreate, "resources.update": (*Engine).resourceUpdate, "resources.delete": (*Engine).resourceDelete,
	"resources.test": (*Engine).resourceTest,
	"actions.list":   func(*Engine, *request) (any, error) { return catalog.Actions, nil },
	"actions.show": func(_ *Engine, r *request) (any, error) {
		return found("action", r.Name, slices.IndexFunc(catalog.Actions, func(a catalog.Action) bool { return a.Name == r.Name }), catalog.Actions)
	},
	"types.list": func(*Engine, *request) (any, error) { return catalog.Types, nil },
	"types.show": func(_ *Engine, r *request) (any, error) {
		return found("resource type", r.Name, slices.IndexFunc(catalog.Types, func(t catalog.Type) bool { return t.Name == r.Name }), catalog.Types)
	},
}

func found[T any](what, name string, i int, list []T) (any, error) {
	if i < 0 {
		return nil, notFound("there is no %s %q", what, name)
	}
	return list[i], nil
}

// OnCommand implements sdk.Commander.
func (e *Engine) OnCommand(name string, body []byte) ([]byte, error) {
	do := commands[name]
	if do == nil {
		return nil, sdk.UnknownCommand(name)
	}
	r := &request{}
	if len(body) > 0 {
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		d.UseNumber()
		if err := d.Decode(r); err != nil {
			return nil, invalid("%s: the body: %v", name, err)
		}
	}
	plain(r)
	answer, err := do(e, r)
	if err != nil {
		return nil, kind(err)
	}
	return json.Marshal(answer)
}

func invalid(format string, args ...any) error {
	return &sdk.CommandError{Kind: sdk.ErrInvalid, Text: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &sdk.CommandError{Kind: sdk.ErrNotFound, Text: fmt.Sprintf(format, args...)}
}

// kind tells the operator's tool what an error of the packages below means.
func kind(err error) error {
	var said *sdk.CommandError
	switch {
	case errors.As(err, &said):
		return said
	case errors.Is(err, resource.ErrNotFound):
		return &sdk.CommandError{Kind: sdk.ErrNotFound, Text: err.Error()}
	case errors.Is(err, resource.ErrInvalid):
		return &sdk.CommandError{Kind: sdk.ErrInvalid, Text: err.Error()}
	case errors.Is(err, resource.ErrInUse), errors.Is(err, files.ErrByHand):
		return &sdk.CommandError{Kind: sdk.ErrDenied, Text: err.Error()}
	}
	return err
}

// plain makes numbers whole where they are, and leaves out nulls, which a file of
// TOML cannot hold.
func plain(r *request) {
	numbers(r.Config)
	numbers(r.Context)
	if r.Actions != nil {
		actionNumbers(*r.Actions)
	}
}

func actionNumbers(list []files.Action) {
	for _, a := range list {
		numbers(a.Params)
		actionNumbers(a.Fallbacks)
	}
}

func numbers(m map[string]any) {
	for k, v := range m {
		if v == nil {
			delete(m, k)
			continue
		}
		m[k] = number(v)
	}
}

func number(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil || math.IsInf(f, 0) {
			return v.String()
		}
		return f
	case map[string]any:
		numbers(v)
	case []any:
		for i := range v {
			v[i] = number(v[i])
		}
	}
	return v
}

// resourceList is resources.list: all, or those of a type.
func (e *Engine) resourceList(r *request) (any, error) {
	list := e.resources.List()
	if r.Type != "" {
		list = slices.DeleteFunc(list, func(s resource.Status) bool { return s.Type != r.Type })
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, spec := range e.contents().Resources { // those that are not right are nowhere else
		text := e.broken[resourceKey(id)]
		i := slices.IndexFunc(list, func(s resource.Status) bool { return s.ID == id })
		if text == "" || r.Type != "" && spec.Type != r.Type {
			continue
		}
		if i < 0 {
			list = append(list, resource.Status{ID: id, Type: spec.Type, Description: spec.Description, Config: resource.Redact(spec.Config), Actions: []string{}})
			i = len(list) - 1
		}
		list[i].Error = text
	}
	return list, nil
}

func (e *Engine) resourceShow(id string) (any, error) {
	list, err := e.resourceList(&request{})
	if err != nil {
		return nil, err
	}
	all := list.([]resource.Status)
	return found("resource", id, slices.IndexFunc(all, func(s resource.Status) bool { return s.ID == id }), all)
}

// resourceTest asks the other side of a resource that there is, or of one that is
// only described.
func (e *Engine) resourceTest(r *request) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), testTime)
	defer cancel()
	var err error
	if r.Type == "" {
		if err = e.resources.Check(ctx, r.ID); errors.Is(err, resource.ErrNotFound) {
			return nil, err
		}
	} else {
		spec, fault := e.resourceSpec("test", files.Resource{Type: r.Type, Config: r.Config})
		if fault != nil {
			return nil, fault
		}
		if err = e.resources.Test(ctx, spec); errors.Is(err, resource.ErrInvalid) {
			return nil, err
		}
	}
	answer := map[string]any{"is_alive": err == nil}
	if err != nil {
		answer["error"] = err.Error()
	}
	return answer, nil
}
