package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// resourceView is a resource as the plugin tells of it.
type resourceView struct {
	ID          string          `json:"id"`
	Type        string          `json:"type"`
	Description string          `json:"description"`
	Config      json.RawMessage `json:"config"`
	Alive       bool            `json:"is_alive"`
	Error       string          `json:"error"`
	Queued      int             `json:"queued"`
	QueuedBytes int64           `json:"queued_bytes"`
	BufferSize  int64           `json:"buffer_size"`
	Success     uint64          `json:"success"`
	Failed      uint64          `json:"failed"`
	Retried     uint64          `json:"retried"`
	Actions     []string        `json:"actions"`
}

var resourceColumns = []column[resourceView]{
	{"id", false, func(r resourceView) any { return r.ID }},
	{"type", false, func(r resourceView) any { return r.Type }},
	{"is_alive", false, func(r resourceView) any { return r.Alive }},
	{"queued", false, func(r resourceView) any { return r.Queued }},
	{"queued_bytes", true, func(r resourceView) any { return r.QueuedBytes }},
	{"buffer_size", true, func(r resourceView) any { return r.BufferSize }},
	{"success", false, func(r resourceView) any { return r.Success }},
	{"failed", false, func(r resourceView) any { return r.Failed }},
	{"retried", false, func(r resourceView) any { return r.Retried }},
	{"actions", true, func(r resourceView) any { return strings.Join(r.Actions, ",") }},
	{"config", true, func(r resourceView) any { return string(r.Config) }},
	{"description", true, func(r resourceView) any { return r.Description }},
	{"error", false, func(r resourceView) any { return r.Error }},
}

func (a *app) resources() *cobra.Command {
	return group("resources", "List and change the databases and servers of the rule engine (plugin rule_engine)",
		a.resourcesList(),
		shows(a, asking[resourceView]{use: "show ID", short: "Show a resource with its counters", plugin: ruleEngine, name: "resources.show",
			args: cobra.ExactArgs(1), body: byID, columns: resourceColumns}),
		a.resourcesCreate(), a.resourcesUpdate(),
		&cobra.Command{Use: "delete ID", Short: "Remove a resource that no rule uses, with what is queued for it", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				err := a.command(cmd.Context(), ruleEngine, "resources.delete", byID(args), nil)
				if err == nil {
					fmt.Fprintln(a.out, "ok")
				}
				return err
			}},
		a.resourcesTest())
}

func (a *app) resourcesList() *cobra.Command {
	var kind string
	cmd := lists(a, asking[resourceView]{use: "list", short: "List the resources, also those that are not right", plugin: ruleEngine, name: "resources.list",
		args: cobra.NoArgs, body: func([]string) any { return map[string]any{"type": kind} }, columns: resourceColumns})
	cmd.Flags().StringVarP(&kind, "type", "t", "", "only those of a type")
	return cmd
}

// resourceFlags are what create and update share, in EMQ X's letters.
type resourceFlags struct{ config, description string }

func (f *resourceFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "its settings, a JSON object")
	cmd.Flags().StringVarP(&f.description, "description", "d", "", "a note for people")
}

func (f *resourceFlags) fill(cmd *cobra.Command, body map[string]any) error {
	if f.config != "" {
		raw, err := jsonOf("--config", f.config)
		if err != nil {
			return err
		}
		body["config"] = raw
	}
	if cmd.Flags().Changed("description") {
		body["description"] = f.description
	}
	return nil
}

func (a *app) resourcesCreate() *cobra.Command {
	var f resourceFlags
	var id string
	cmd := &cobra.Command{Use: "create TYPE", Short: "Make a resource", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"id": id, "type": args[0]}
			if err := f.fill(cmd, body); err != nil {
				return err
			}
			var made resourceView
			if err := a.command(cmd.Context(), ruleEngine, "resources.create", body, &made); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Resource %s created\n", made.ID)
			return nil
		}}
	cmd.Flags().StringVarP(&id, "id", "i", "", "its id (default resource: and eight digits)")
	f.flags(cmd)
	return cmd
}

func (a *app) resourcesUpdate() *cobra.Command {
	var f resourceFlags
	cmd := &cobra.Command{Use: "update ID", Short: "Change a resource; settings are replaced whole, what is queued stays", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"id": args[0]}
			if err := f.fill(cmd, body); err != nil {
				return err
			}
			if err := a.command(cmd.Context(), ruleEngine, "resources.update", body, nil); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Resource %s updated\n", args[0])
			return nil
		}}
	f.flags(cmd)
	return cmd
}

func (a *app) resourcesTest() *cobra.Command {
	var form output
	var config string
	cmd := &cobra.Command{Use: "test ID|TYPE", Short: "Ask the other side of a resource, or with --config of one that is not there yet", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"id": args[0]}
			if config != "" {
				raw, err := jsonOf("--config", config)
				if err != nil {
					return err
				}
				body = map[string]any{"type": args[0], "config": raw}
			}
			var got struct {
				Alive bool   `json:"is_alive"`
				Error string `json:"error,omitempty"`
			}
			if err := a.command(cmd.Context(), ruleEngine, "resources.test", body, &got); err != nil {
				return err
			}
			if form == outputJSON {
				return a.json(got)
			}
			if !got.Alive {
				return errors.New(got.Error)
			}
			fmt.Fprintln(a.out, "ok")
			return nil
		}}
	cmd.Flags().StringVarP(&config, "config", "c", "", "its settings, a JSON object; the argument is its type")
	form.flag(cmd)
	return cmd
}

// catalogEntry is an action or a type of resources as the plugin tells of it.
type catalogEntry struct {
	Name        string   `json:"name"`
	Types       []string `json:"types"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Params      []string `json:"params"`
}

var catalogColumns = []column[catalogEntry]{
	{"name", false, func(e catalogEntry) any { return e.Name }},
	{"types", true, func(e catalogEntry) any { return strings.Join(e.Types, ",") }},
	{"title", false, func(e catalogEntry) any { return e.Title }},
	{"description", false, func(e catalogEntry) any { return e.Description }},
	{"params", true, func(e catalogEntry) any { return strings.Join(e.Params, ", ") }},
}

// catalogOf is the commands about actions or types of resources.
func (a *app) catalogOf(use, short, what string) *cobra.Command {
	return group(use, short,
		lists(a, asking[catalogEntry]{use: "list", short: "List them", plugin: ruleEngine, name: what + ".list", args: cobra.NoArgs, columns: catalogColumns}),
		shows(a, asking[catalogEntry]{use: "show NAME", short: "Show one with its parameters", plugin: ruleEngine, name: what + ".show",
			args: cobra.ExactArgs(1), body: byName, columns: catalogColumns}))
}
