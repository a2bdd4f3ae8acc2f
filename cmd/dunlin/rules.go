package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ruleEngine is the plugin that the commands about rules ask.
const ruleEngine = "rule_engine"

// ruleView is a rule as the plugin tells of it.
type ruleView struct {
	ID             string           `json:"id"`
	For            []string         `json:"for"`
	SQL            string           `json:"rawsql"`
	Enabled        bool             `json:"enabled"`
	Description    string           `json:"description"`
	OnActionFailed string           `json:"on_action_failed"`
	Actions        []ruleActionView `json:"actions"`
	Metrics        struct {
		Matched   uint64  `json:"matched"`
		Passed    uint64  `json:"passed"`
		NoResult  uint64  `json:"no_result"`
		Exception uint64  `json:"exception"`
		Speed     float64 `json:"speed"`
		LastError string  `json:"last_error"`
	} `json:"metrics"`
	File  string `json:"file"`
	Error string `json:"error"`
}

type ruleActionView struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Metrics struct {
		Taken   uint64 `json:"taken"`
		Success uint64 `json:"success"`
		Failed  uint64 `json:"failed"`
	} `json:"metrics"`
}

// actions sums up what became of rows.
func (r ruleView) actions() string {
	var parts []string
	for _, x := range r.Actions {
		parts = append(parts, fmt.Sprintf("%s ok=%d failed=%d", x.ID, x.Metrics.Success, x.Metrics.Failed))
	}
	return strings.Join(parts, ", ")
}

var ruleColumns = []column[ruleView]{
	{"id", false, func(r ruleView) any { return r.ID }},
	{"for", false, func(r ruleView) any { return strings.Join(r.For, ",") }},
	{"enabled", false, func(r ruleView) any { return r.Enabled }},
	{"matched", false, func(r ruleView) any { return r.Metrics.Matched }},
	{"passed", false, func(r ruleView) any { return r.Metrics.Passed }},
	{"no_result", true, func(r ruleView) any { return r.Metrics.NoResult }},
	{"exception", false, func(r ruleView) any { return r.Metrics.Exception }},
	{"speed", true, func(r ruleView) any { return fmt.Sprintf("%.1f/s", r.Metrics.Speed) }},
	{"actions", false, func(r ruleView) any { return r.actions() }},
	{"rawsql", true, func(r ruleView) any { return r.SQL }},
	{"on_action_failed", true, func(r ruleView) any { return r.OnActionFailed }},
	{"description", true, func(r ruleView) any { return r.Description }},
	{"file", true, func(r ruleView) any { return r.File }},
	{"last_error", true, func(r ruleView) any { return r.Metrics.LastError }},
	{"error", false, func(r ruleView) any { return r.Error }},
}

// asking is a command that shows a plugin's answer.
type asking[T any] struct {
	use, short string
	plugin     string
	name       string
	args       cobra.PositionalArgs
	body       func(args []string) any // nil: none
	columns    []column[T]
}

// lists is a command that lists what a plugin has.
func lists[T any](a *app, q asking[T]) *cobra.Command {
	var form output
	cmd := &cobra.Command{Use: q.use, Short: q.short, Args: q.args, RunE: func(cmd *cobra.Command, args []string) error {
		var raw json.RawMessage
		if err := a.command(cmd.Context(), q.plugin, q.name, q.request(args), &raw); err != nil || form == outputJSON {
			return a.rawJSON(raw, err)
		}
		var items []T
		if err := json.Unmarshal(raw, &items); err != nil {
			return err
		}
		return show(a, form, listing[T]{columns: q.columns, items: items})
	}}
	form.flag(cmd)
	return cmd
}

// shows is a command that shows one thing that a plugin has.
func shows[T any](a *app, q asking[T]) *cobra.Command {
	var form output
	cmd := &cobra.Command{Use: q.use, Short: q.short, Args: q.args, RunE: func(cmd *cobra.Command, args []string) error {
		var raw json.RawMessage
		if err := a.command(cmd.Context(), q.plugin, q.name, q.request(args), &raw); err != nil || form == outputJSON {
			return a.rawJSON(raw, err)
		}
		var item T
		if err := json.Unmarshal(raw, &item); err != nil {
			return err
		}
		return showOne(a, form, q.columns, item)
	}}
	form.flag(cmd)
	return cmd
}

func (q *asking[T]) request(args []string) any {
	if q.body == nil {
		return nil
	}
	return q.body(args)
}

// rawJSON writes a plugin's answer as it is, or passes the error on.
func (a *app) rawJSON(raw json.RawMessage, err error) error {
	if err != nil {
		return err
	}
	return a.json(raw)
}

// byID is the body of commands about one thing.
func byID(args []string) any { return map[string]any{"id": args[0]} }

func byName(args []string) any { return map[string]any{"name": args[0]} }

func (a *app) rules() *cobra.Command {
	q := func(use, short, name string) asking[ruleView] {
		return asking[ruleView]{use: use, short: short, plugin: ruleEngine, name: name, args: cobra.ExactArgs(1), body: byID, columns: ruleColumns}
	}
	list := q("list", "List the rules, also those that are not right", "rules.list")
	list.args, list.body = cobra.NoArgs, nil
	return group("rules", "List and change the rules of the rule engine (plugin rule_engine)",
		lists(a, list), shows(a, q("show ID", "Show a rule with its counters", "rules.show")), a.rulesCreate(), a.rulesUpdate(),
		a.rulesDelete(), shows(a, q("reset ID", "Set the counters of a rule to zero", "rules.reset")), a.rulesTest())
}

// ruleFlags are what create and update share, in EMQ X's letters.
type ruleFlags struct{ enabled, failed, description string }

func (f *ruleFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.enabled, "enabled", "e", "", "true or false")
	cmd.Flags().StringVarP(&f.failed, "on-action-failed", "g", "", "continue (with the next action) or stop")
	cmd.Flags().StringVarP(&f.description, "description", "d", "", "a note for people")
}

// fill puts what was given into the body.
func (f *ruleFlags) fill(cmd *cobra.Command, body map[string]any) error {
	switch f.enabled {
	case "":
	case "true", "false":
		body["enabled"] = f.enabled == "true"
	default:
		return status.Errorf(codes.InvalidArgument, "--enabled %s: want true or false", f.enabled)
	}
	if f.failed != "" {
		body["on_action_failed"] = f.failed
	}
	if cmd.Flags().Changed("description") {
		body["description"] = f.description
	}
	return nil
}

// jsonOf is a text that has to be JSON.
func jsonOf(what, text string) (json.RawMessage, error) {
	if !json.Valid([]byte(text)) {
		return nil, status.Errorf(codes.InvalidArgument, "%s is no JSON: %s", what, text)
	}
	return json.RawMessage(text), nil
}

func (a *app) rulesCreate() *cobra.Command {
	var f ruleFlags
	var id string
	cmd := &cobra.Command{Use: "create SQL ACTIONS", Short: "Make a rule of a statement and a JSON array of actions", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			actions, err := jsonOf("ACTIONS", args[1])
			if err != nil {
				return err
			}
			body := map[string]any{"id": id, "rawsql": args[0], "actions": actions}
			if err := f.fill(cmd, body); err != nil {
				return err
			}
			var made ruleView
			if err := a.command(cmd.Context(), ruleEngine, "rules.create", body, &made); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Rule %s created\n", made.ID)
			return nil
		}}
	cmd.Flags().StringVarP(&id, "id", "i", "", "its id (default rule: and eight digits)")
	f.flags(cmd)
	return cmd
}

func (a *app) rulesUpdate() *cobra.Command {
	var f ruleFlags
	var statement, actions string
	cmd := &cobra.Command{Use: "update ID", Short: "Change a rule; what is not named stays", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"id": args[0]}
			if statement != "" {
				body["rawsql"] = statement
			}
			if actions != "" {
				raw, err := jsonOf("--actions", actions)
				if err != nil {
					return err
				}
				body["actions"] = raw
			}
			if err := f.fill(cmd, body); err != nil {
				return err
			}
			if err := a.command(cmd.Context(), ruleEngine, "rules.update", body, nil); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Rule %s updated\n", args[0])
			return nil
		}}
	cmd.Flags().StringVarP(&statement, "sql", "s", "", "the statement")
	cmd.Flags().StringVarP(&actions, "actions", "a", "", "a JSON array of actions")
	f.flags(cmd)
	return cmd
}

func (a *app) rulesDelete() *cobra.Command {
	return &cobra.Command{Use: "delete ID", Short: "Remove a rule", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.command(cmd.Context(), ruleEngine, "rules.delete", byID(args), nil)
			if err == nil {
				fmt.Fprintln(a.out, "ok")
			}
			return err
		}}
}

func (a *app) rulesTest() *cobra.Command {
	var form output
	var statement, payload, topic, context string
	cmd := &cobra.Command{Use: "test --sql SQL", Short: "Run a statement on a message that you describe; nothing is done with what it yields", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			columns := map[string]any{}
			if context != "" {
				if err := json.Unmarshal([]byte(context), &columns); err != nil {
					return status.Errorf(codes.InvalidArgument, `--context is no JSON object like {"clientid": "c1", "qos": 1}: %v`, err)
				}
			}
			for name, v := range map[string]string{"payload": payload, "topic": topic} {
				if cmd.Flags().Changed(name) {
					columns[name] = v
				}
			}
			var got struct {
				Matched bool              `json:"matched"`
				Rows    []json.RawMessage `json:"rows"`
				Unknown []string          `json:"unknown"`
			}
			if err := a.command(cmd.Context(), ruleEngine, "rules.test", map[string]any{"rawsql": statement, "context": columns}, &got); err != nil {
				return err
			}
			for _, name := range got.Unknown {
				fmt.Fprintf(a.err, "%s is neither a column nor an alias, and always undefined; \"...\" names a field, '...' is a text\n", name)
			}
			if form == outputJSON {
				return a.json(got)
			}
			if !got.Matched {
				fmt.Fprintln(a.out, "WHERE does not hold: nothing is selected")
			}
			for _, row := range got.Rows {
				fmt.Fprintln(a.out, string(row))
			}
			return nil
		}}
	cmd.Flags().StringVar(&statement, "sql", "", "the statement")
	cmd.Flags().StringVar(&payload, "payload", "", "the message's payload")
	cmd.Flags().StringVar(&topic, "topic", "", "the message's topic")
	cmd.Flags().StringVar(&context, "context", "", "further columns, as a JSON object")
	if err := cmd.MarkFlagRequired("sql"); err != nil {
		panic(err) // the flag is defined above
	}
	form.flag(cmd)
	return cmd
}
