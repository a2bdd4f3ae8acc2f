package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dunlinmq/dunlin/cmd/dunlin/plugintool"
)

func (a *app) pluginNew() *cobra.Command {
	var lang, example, dir string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Make the folder of a new plugin, which builds and passes its tests",
		Long: "Make a folder with a source, a manifest, a scenario and the SDK. What it needs besides\n" +
			"is the language's compiler; `dunlin plugin build` says which package has it.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if dir == "" {
				dir = args[0]
			}
			if err := plugintool.New(dir, args[0], lang, example); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "made %s; %s says how to build and test it\n", dir, filepath.Join(dir, "README.md"))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&lang, "lang", "go", "language: "+join(plugintool.LanguageNames()))
	f.StringVar(&example, "example", "auth", "what it begins with: "+join(plugintool.Examples()))
	f.StringVar(&dir, "dir", "", "folder to make (default NAME)")
	completeFlag(cmd, "lang", plugintool.LanguageNames())
	completeFlag(cmd, "example", plugintool.Examples())
	return cmd
}

func (a *app) pluginBuild() *cobra.Command {
	var form output
	var out string
	var process bool
	cmd := &cobra.Command{
		Use:   "build [DIR]",
		Short: "Build a plugin into a folder that an operator can install",
		Long: "Build the plugin in DIR (default: here) into DIR/build/<name>/: the artefact and, beside\n" +
			"it, the manifest and the schema. The language is that of the source file in DIR.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			built, err := plugintool.Build(cmd.Context(), argument(args, "."), out, process)
			if err != nil {
				return err
			}
			if form == outputJSON {
				return a.json(built)
			}
			fmt.Fprintf(a.out, "%s: %s, %d bytes\n", built.Name, relative(built.Artefact), built.Bytes)
			return nil
		},
	}
	form.flag(cmd)
	cmd.Flags().StringVar(&out, "out", "", "folder to build into (default DIR/build)")
	cmd.Flags().BoolVar(&process, "process", false, "make a process of a Go plugin, not a module")
	return cmd
}

// completeFlag offers the values of a flag to the shell.
func completeFlag(cmd *cobra.Command, flag string, values []string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is defined by the caller
	}
}

func join(names []string) string { return strings.Join(names, ", ") }

// argument is the first argument or what stands for none.
func argument(args []string, none string) string {
	if len(args) > 0 {
		return args[0]
	}
	return none
}

// relative is path as it is shorter to read.
func relative(path string) string {
	if wd, err := filepath.Abs("."); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && len(rel) < len(path) {
			return rel
		}
	}
	return path
}
