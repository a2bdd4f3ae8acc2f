package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

// output is the value of -o. It implements pflag.Value.
type output string

// The outputs.
const (
	outputTable output = "table"
	outputWide  output = "wide"
	outputJSON  output = "json"
)

func (o *output) flag(cmd *cobra.Command) {
	*o = outputTable
	cmd.Flags().VarP(o, "output", "o", "table, wide or json")
	values := cobra.FixedCompletions([]string{"table", "wide", "json"}, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc("output", values); err != nil {
		panic(err) // the flag is defined above
	}
}

// Set implements pflag.Value.
func (o *output) Set(s string) error {
	switch output(s) {
	case outputTable, outputWide, outputJSON:
		*o = output(s)
		return nil
	}
	return fmt.Errorf("%q is none of table, wide, json", s)
}

// String implements pflag.Value.
func (o *output) String() string { return string(*o) }

// Type implements pflag.Value.
func (o *output) Type() string { return "form" }

func (a *app) json(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table prints rows in columns; the first row is the heading. shade colours a
// cell by its row below the heading and its column; nil: none.
func (a *app) table(rows [][]string, shade func(row, column int) color) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
			if n > 0 && shade != nil {
				cell = a.paint(a.out, shade(n-1, i), cell)
			}
			line.WriteString(cell + pad)
		}
		if _, err := fmt.Fprintln(a.out, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// statusView is `ctl status -o json`. Its keys are stable.
type statusView struct {
	Node          string         `json:"node"`
	Version       string         `json:"version"`
	StartedAt     int64          `json:"started_at"` // Unix milliseconds
	PID           int64          `json:"pid"`
	Connections   int64          `json:"connections"`
	Sessions      int64          `json:"sessions"`
	Subscriptions int64          `json:"subscriptions"`
	Shared        int64          `json:"subscriptions_shared"`
	Routes        int64          `json:"routes"`
	Retained      int64          `json:"retained"`
	Listeners     []listenerView `json:"listeners"`
}

type listenerView struct {
	ID          string `json:"id"`
	Address     string `json:"address"`
	Connections int64  `json:"connections"`
}

func statusJSON(r *adminpb.StatusReply) statusView {
	n := r.GetCounts()
	v := statusView{
		Node: r.GetNode(), Version: r.GetVersion(), StartedAt: r.GetStartedAtMs(), PID: r.GetPid(),
		Connections: n.GetConnections(), Sessions: n.GetSessions(), Subscriptions: n.GetSubscriptions(),
		Shared: n.GetSharedSubscriptions(), Routes: n.GetRoutes(), Retained: n.GetRetained(),
		Listeners: []listenerView{},
	}
	for _, l := range r.GetListeners() {
		v.Listeners = append(v.Listeners, listenerView{ID: l.GetId(), Address: l.GetAddress(), Connections: l.GetConnections()})
	}
	return v
}

// pluginJSON is one plugin of `ctl plugins list -o json`. Its keys are stable.
type pluginJSON struct {
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	Description string   `json:"description"`
	Type        string   `json:"type"`
	State       string   `json:"state"`
	Error       string   `json:"error,omitempty"`
	Hooks       []string `json:"hooks"`
	Calls       uint64   `json:"calls"`
	Faults      uint64   `json:"faults"`
	Restarts    uint64   `json:"restarts"`
	Cost        costJSON `json:"cost"`
}

func toPluginJSON(p *adminpb.Plugin) pluginJSON {
	hooks := p.GetHooks()
	if hooks == nil {
		hooks = []string{}
	}
	return pluginJSON{
		Name: p.GetName(), Version: p.GetVersion(), Description: p.GetDescription(), Type: p.GetTransport(),
		State: p.GetState(), Error: p.GetError(), Hooks: hooks,
		Calls: p.GetCalls(), Faults: p.GetFaults(), Restarts: p.GetRestarts(), Cost: toCostJSON(p.GetCost()),
	}
}
