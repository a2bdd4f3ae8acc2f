package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/server"
	"github.com/dunlinmq/dunlin/core/sys"
)

func (a *app) foreground() *cobra.Command {
	return &cobra.Command{
		Use:   "foreground",
		Short: "Run the broker in this process; SIGTERM or SIGINT stops it cleanly",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), nil) },
	}
}

// serve runs a node until a signal, the admin service or ctx ends it. A second
// signal ends the process at once. up, unless it is nil, is called when the node
// listens, with what stops it; it must not wait.
func (a *app) serve(ctx context.Context, up func(ctx context.Context, stop func())) error {
	cfg, err := a.load()
	if err != nil {
		return faults(err)
	}
	log, err := newLogger(cfg.Log, a.err)
	if err != nil {
		return err
	}
	endDump, err := crashDump(logDir(cfg), log.Logger)
	if err != nil {
		return errors.Join(err, log.close())
	}
	defer onReopen(func() {
		if err := log.reopen(); err != nil {
			log.Error("opening the log anew", zap.Error(err))
		}
	})()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ctx, forget := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer forget()
	context.AfterFunc(ctx, forget)
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	err = runNode(ctx, cfg, func() error {
		err := a.noteStarted(cfg.Node.DataDir)
		if err == nil && up != nil {
			up(ctx, stop)
		}
		return err
	}, server.Options{
		Version: sys.Version, Log: log.Logger, Stop: stop, Levels: log.levels, Load: a.load, Reload: hangup,
		SetLog: log.configure,
	})
	if err != nil {
		log.Error("the node ends with an error", zap.Error(err))
	} else {
		log.Info("the node has stopped")
	}
	return errors.Join(err, endDump(), log.close())
}
