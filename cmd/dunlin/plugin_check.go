package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/cmd/dunlin/plugintool"
)

// scenarioIn reads the scenario if one is named.
func scenarioIn(args []string) (*plugintool.Scenario, error) {
	if len(args) < 2 {
		return nil, nil
	}
	return plugintool.ReadScenario(args[1])
}

func (a *app) pluginConform() *cobra.Command {
	var form output
	var t target
	var records int
	cmd := &cobra.Command{
		Use:   "conform ARTEFACT [SCENARIO]",
		Short: "Check a plugin, or the SDK it stands on, against the contract",
		Long: "Hand the plugin what the contract allows and what no broker would send: truncated and\n" +
			"large frames, fewer and more slots than it knows, slots that point nowhere, frames of 1\n" +
			"to 64 records, a million records with flat memory, a refused capability, reloads. With a\n" +
			"scenario its configuration and its records are used, else records that are made up.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := scenarioIn(args)
			if err != nil {
				return err
			}
			checks, err := t.open(args[0]).Conform(cmd.Context(), s, records)
			if err != nil {
				return err
			}
			failed := 0
			rows := [][]string{{"CHECK", "RESULT", "DETAIL"}}
			for _, c := range checks {
				result := "ok"
				if !c.OK {
					result = "FAILED"
					failed++
				}
				rows = append(rows, []string{c.Name, result, c.Detail})
			}
			if form == outputJSON {
				err = a.json(checks)
			} else {
				err = a.table(rows, func(row, column int) color {
					switch {
					case column != 1:
						return plain
					case checks[row].OK:
						return green
					}
					return red
				})
			}
			if err == nil && failed > 0 {
				err = status.Errorf(codes.FailedPrecondition, "%s does not conform: %d of %d checks failed", args[0], failed, len(checks))
			}
			return err
		},
	}
	form.flag(cmd)
	t.flag(cmd)
	cmd.Flags().IntVar(&records, "records", 1_000_000, "records that go through for the check of memory")
	return cmd
}

func (a *app) pluginBench() *cobra.Command {
	var form output
	var t target
	var each time.Duration
	cmd := &cobra.Command{
		Use:   "bench ARTEFACT [SCENARIO]",
		Short: "Measure what a record costs in a plugin",
		Long: "Measure each hook of the plugin in the broker's own host: nanoseconds a record (the median\n" +
			"of seven runs, host and plugin together), fuel, allocations of the host and memory.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := scenarioIn(args)
			if err != nil {
				return err
			}
			costs, err := t.open(args[0]).Bench(cmd.Context(), s, each)
			if err != nil {
				return err
			}
			if form == outputJSON {
				return a.json(costs)
			}
			rows := [][]string{{"HOOK", "RECORDS/FRAME", "NS/RECORD", "FUEL/RECORD", "ALLOCS/FRAME", "MB/INSTANCE"}}
			for _, c := range costs {
				rows = append(rows, []string{c.Hook, fmt.Sprint(c.Batch), fmt.Sprintf("%.0f", c.Nanos), fmt.Sprintf("%.0f", c.Fuel),
					fmt.Sprintf("%.0f", c.Allocs), fmt.Sprintf("%.2f", c.Megabytes)})
			}
			return a.table(rows, nil)
		},
	}
	form.flag(cmd)
	t.flag(cmd)
	cmd.Flags().DurationVar(&each, "time", time.Second, "how long each size of frame is measured")
	return cmd
}
