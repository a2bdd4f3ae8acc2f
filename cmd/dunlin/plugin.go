package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/cmd/dunlin/plugintool"
)

// plugin is the tool of plugin authors; `ctl plugins` steers a node's plugins.
func (a *app) plugin() *cobra.Command {
	return group("plugin", "Make, test and install plugins", a.pluginNew(), a.pluginBuild(), a.pluginTest(), a.pluginConform(), a.pluginBench(),
		a.pluginKeygen(), a.pluginSign(), a.pluginAdd(), a.pluginRemove())
}

// target is where the commands find the plugin.
type target struct{ manifest string }

func (t *target) flag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.manifest, "manifest", "", "the plugin's manifest (default plugin.toml beside the artefact)")
	if err := cmd.MarkFlagFilename("manifest", "toml"); err != nil {
		panic(err) // the flag is defined above
	}
}

func (t *target) open(path string) *plugintool.Target {
	cache := ""
	if dir, err := os.UserCacheDir(); err == nil {
		cache = filepath.Join(dir, "dunlin", "plugins")
	}
	return &plugintool.Target{Path: path, Manifest: t.manifest, CacheDir: cache}
}

func (a *app) pluginTest() *cobra.Command {
	var form output
	var t target
	cmd := &cobra.Command{
		Use:   "test ARTEFACT SCENARIO",
		Short: "Run a scenario file, records in and verdicts out, against a plugin",
		Long: "Run the plugin in the broker's own host, hand it the records of the scenario and\n" +
			"compare its verdicts. The same scenario is for the module and for the process.\n" +
			"ARTEFACT is a module, an executable, or the folder that holds one.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := plugintool.ReadScenario(args[1])
			if err != nil {
				return err
			}
			res, err := t.open(args[0]).Test(cmd.Context(), s)
			if err != nil {
				return err
			}
			if form == outputJSON {
				if err := a.json(res); err != nil {
					return err
				}
			} else {
				a.showFailures(res)
			}
			if n := len(res.Failures); n > 0 {
				return status.Errorf(codes.FailedPrecondition, "%s: %d of %d records are not as the scenario says", args[0], n, res.Records)
			}
			return nil
		},
	}
	form.flag(cmd)
	t.flag(cmd)
	return cmd
}

// showFailures prints each difference as a diff.
func (a *app) showFailures(res *plugintool.Result) {
	for _, f := range res.Failures {
		where := fmt.Sprintf("step %d", f.Step)
		if f.Record > 0 {
			where += fmt.Sprintf(", record %d", f.Record)
		}
		fmt.Fprintf(a.out, "%s (%s)\n", where, f.What)
		want, got := differ(f.Want, f.Got)
		for _, l := range want {
			fmt.Fprintln(a.out, a.paint(a.out, red, "  - "+l))
		}
		for _, l := range got {
			fmt.Fprintln(a.out, a.paint(a.out, green, "  + "+l))
		}
	}
	if len(res.Failures) == 0 {
		fmt.Fprintf(a.out, "%s: %d steps, %d records\n", a.paint(a.out, green, "ok"), res.Steps, res.Records)
	}
}

// differ lists the keys in which two verdicts differ: what was wanted, what came.
func differ(want, got any) (w, g []string) {
	wm, ok1 := want.(map[string]any)
	gm, ok2 := got.(map[string]any)
	if !ok1 || !ok2 {
		return []string{compact(want)}, []string{compact(got)}
	}
	for _, k := range sortedKeys(wm, gm) {
		x, inWant := wm[k]
		y, inGot := gm[k]
		if inWant && inGot && compact(x) == compact(y) {
			continue
		}
		if inWant {
			w = append(w, k+" = "+compact(x))
		}
		if inGot {
			g = append(g, k+" = "+compact(y))
		}
	}
	return w, g
}

func compact(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func sortedKeys(ms ...map[string]any) []string {
	all := map[string]bool{}
	for _, m := range ms {
		for k := range m {
			all[k] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
