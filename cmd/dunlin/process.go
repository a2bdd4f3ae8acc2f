package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/config"
	"github.com/dunlinmq/dunlin/core/sys"
)

// Times that start and stop wait, and how often they look.
const (
	startTime = 60 * time.Second
	stopTime  = 120 * time.Second
	lookEvery = 50 * time.Millisecond
)

func (a *app) ping() *cobra.Command {
	return &cobra.Command{
		Use:   "ping",
		Short: "Tell whether the node answers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := a.ask(cmd.Context(), askTime, pong)
			if err == nil {
				fmt.Fprintln(a.out, "pong")
			}
			return err
		},
	}
}

func pong(ctx context.Context, c *admin.Client) error {
	_, err := c.CountClients(ctx, &adminpb.CountClientsRequest{})
	return err
}

func (a *app) start() *cobra.Command {
	return &cobra.Command{
		Use:   "start",
		Short: "Start the broker in the background and wait until it answers",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := a.layout()
			if err != nil {
				return err
			}
			return a.launch(cmd.Context(), l)
		},
	}
}

func (a *app) stop() *cobra.Command {
	return &cobra.Command{
		Use:   "stop",
		Short: "Stop the broker cleanly and wait until it is gone",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := a.end(cmd.Context())
			if err == nil {
				fmt.Fprintln(a.out, "ok")
			}
			return err
		},
	}
}

func (a *app) restart() *cobra.Command {
	return &cobra.Command{
		Use:     "restart",
		Aliases: []string{"reboot"},
		Short:   "Stop the broker if it runs, then start it with the options it had",
		Long: "Stop the broker if it runs, then start it in the background with the options that it was\n" +
			"started with last. Options of this command line are over those; --set adds to them.\n" +
			"Variables of the environment are those of this command.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := a.dataDir()
			if err != nil {
				return err
			}
			was, err := readStarted(dir)
			if err != nil {
				return err
			}
			if err := a.end(cmd.Context()); err != nil && status.Code(err) != codes.Unavailable {
				return err
			}
			l, err := a.resume(was)
			if err != nil {
				return err
			}
			return a.launch(cmd.Context(), l)
		},
	}
}

func (a *app) pid() *cobra.Command {
	return &cobra.Command{
		Use:   "pid",
		Short: "Print the process number of the node",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd.Context(), askTime, func(ctx context.Context, c *admin.Client) error {
				r, err := c.Status(ctx, &adminpb.StatusRequest{})
				if err == nil {
					fmt.Fprintln(a.out, r.GetPid())
				}
				return err
			})
		},
	}
}

// end stops the node and waits until it has given its data directory up.
func (a *app) end(ctx context.Context) error {
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	err = a.ask(ctx, askTime, func(ctx context.Context, c *admin.Client) error {
		_, err := c.Stop(ctx, &adminpb.StopRequest{})
		return err
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	return until(ctx, "the node has not stopped", func() (bool, error) { return !admin.Running(dir), nil })
}

// launch starts `dunlin foreground` on its own and waits until it answers. What
// it writes before its log is open goes to a file that is shown on failure.
func (a *app) launch(ctx context.Context, l layout) error {
	cfg, err := config.Load(l.config.path, a.options(&l))
	if err != nil {
		return faults(err)
	}
	if admin.Running(cfg.Node.DataDir) {
		return fmt.Errorf("a node is already running with the data directory %s", cfg.Node.DataDir)
	}
	console, err := openConsole(cfg)
	if err != nil {
		return err
	}
	defer console.Close()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	before, err := console.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("read the console log: %w", err)
	}
	child := exec.Command(self, "foreground", "--config", cfg.File)
	if a.flags.dataDir != "" {
		child.Args = append(child.Args, "--data-dir", cfg.Node.DataDir)
	}
	for _, set := range a.flags.set {
		child.Args = append(child.Args, "--set", set)
	}
	child.Env = append(os.Environ(), l.environ()...)
	child.Stdout, child.Stderr, child.SysProcAttr = console, console, apart()
	if err := child.Start(); err != nil {
		return fmt.Errorf("start the broker: %w", err)
	}
	gone := make(chan error, 1)
	go func() { gone <- child.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	err = until(ctx, "the broker does not answer", func() (bool, error) {
		select {
		case err := <-gone:
			return false, ended(console.Name(), before, err)
		default:
			return a.askAt(ctx, cfg.Node.DataDir, time.Second, pong) == nil, nil
		}
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "Dunlin %s is started successfully!\n", sys.Version)
	return nil
}

// logDir is where the node's logs are.
func logDir(cfg *config.Config) string {
	if cfg.Log.File != "" {
		return filepath.Dir(cfg.Log.File)
	}
	return cfg.Dirs.Log
}

// ended is why a node in the background has ended: its own words, which are in
// the console log from an offset on, or how it ended.
func ended(console string, from int64, how error) error {
	text, err := os.ReadFile(console)
	if err == nil && int64(len(text)) > from {
		if _, words, ok := strings.Cut("\n"+string(text[from:]), "\nerror: "); ok {
			return errors.New(strings.TrimSpace(words))
		}
	}
	return fmt.Errorf("the broker ended at once (%w): see %s", how, console)
}

// openConsole opens the file that takes the standard error of a node in the
// background.
func openConsole(cfg *config.Config) (*os.File, error) {
	dir := logDir(cfg)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the log directory: %w", err)
	}
	r, err := openRotating(filepath.Join(dir, "console.log"), bounds{cfg.Log.RotateSize, cfg.Log.RotateCount})
	if err != nil {
		return nil, fmt.Errorf("open the console log: %w", err)
	}
	if r.used > r.bounds.size {
		err = r.rotate()
	}
	return r.file, err
}

// until looks again and again until done says so or ctx ends.
func until(ctx context.Context, what string, done func() (bool, error)) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("%s in time", what)
			}
			return ctx.Err()
		case <-look.C:
		}
	}
}
