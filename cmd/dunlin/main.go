// Command dunlin is the broker and the tool that talks to it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Exit codes; scripts may rely on them.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitUnreachable = 5
)

func main() {
	os.Exit(run(context.Background(), arguments(os.Args), os.Stdout, os.Stderr))
}

// arguments is the command line without the program: dunlin_ctl is `dunlin ctl`.
func arguments(argv []string) []string {
	name := strings.TrimSuffix(filepath.Base(argv[0]), ".exe")
	if name == "dunlin_ctl" {
		return append([]string{"ctl"}, argv[1:]...)
	}
	return argv[1:]
}

// run executes one command line and returns its exit code. Data goes to stdout,
// notes and errors go to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{out: stdout, err: stderr, in: os.Stdin, base: string(filepath.Separator)}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "%s %v\n", a.paint(stderr, red, "error:"), message(err))
	if !a.started {
		// No command has begun: the command line itself is at fault.
		fmt.Fprintln(stderr, "Run with --help for usage.")
		return exitUsage
	}
	return exitCode(err)
}

// message is err as a person wants to read it: gRPC's wrapping is left out.
func message(err error) error {
	if s, ok := status.FromError(err); ok && s.Code() != codes.OK {
		return errors.New(s.Message())
	}
	return err
}

func exitCode(err error) int {
	switch status.Code(err) {
	case codes.NotFound:
		return exitNotFound
	case codes.Unavailable:
		return exitUnreachable
	case codes.InvalidArgument:
		return exitUsage
	}
	return exitError
}

// app is what the commands share.
type app struct {
	out, err io.Writer
	in       io.Reader
	base     string // the system's root directory
	flags    struct {
		config, home, dataDir string
		set                   []string
	}
	// started is set when a command's own code begins to run.
	started bool
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "dunlin",
		Short:         "An MQTT broker with a lean core and everything else in plugins",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          known,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRun: func(*cobra.Command, []string) {
			a.started = true
		},
	}
	root.SuggestionsMinimumDistance = suggestDistance
	f := root.PersistentFlags()
	f.StringVarP(&a.flags.config, "config", "c", "", "configuration file (default etc/dunlin.toml of the home directory; dunlin dirs tells more)")
	f.StringVar(&a.flags.home, "home", "", "directory that relative paths start from (dunlin dirs tells more)")
	f.StringVar(&a.flags.dataDir, "data-dir", "", "directory of the node's state and admin socket (default node.data_dir of the configuration)")
	f.StringArrayVar(&a.flags.set, "set", nil, "key=value that is over the configuration's; may be repeated")
	if err := root.MarkPersistentFlagFilename("config", "toml"); err != nil {
		panic(err) // the flag is defined above
	}
	root.AddCommand(a.foreground(), a.start(), a.stop(), a.restart(), a.console(), a.ping(), a.pid(), a.status(),
		a.checkConfig(), a.offlineStore(), a.showDirs(), a.cert(), a.version(), a.ctl(), a.plugin(), a.bench())
	a.describe(root)
	return root
}

// suggestDistance is how many letters a mistyped command may differ.
const suggestDistance = 2

// known refuses arguments of a command that only has subcommands.
func known(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("unknown command %q for %q; did you mean %q?", args[0], cmd.CommandPath(), near[0])
	}
	return fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
}

// group is a command that only has subcommands.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: known,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	g.SuggestionsMinimumDistance = suggestDistance
	g.AddCommand(subs...)
	return g
}
