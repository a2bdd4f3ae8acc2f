package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/config"
	"github.com/dunlinmq/dunlin/core/server"
)

// runNode makes the data directory, then builds and runs one node. up is called
// when the listeners are bound; its error ends the node.
func runNode(ctx context.Context, cfg *config.Config, up func() error, o server.Options) error {
	if err := os.MkdirAll(cfg.Node.DataDir, 0o750); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	// One processor more than event loops: loops keep theirs while they wait for
	// the next message, and what is no loop must not wait for them.
	o.Loops = runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(o.Loops + 1))
	tell := func(state string) {
		if err := notify(state); err != nil {
			o.Log.Warn("systemd is not told", zap.Error(err))
		}
	}
	o.Reloading = func(begin bool) {
		if begin {
			tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", monotonic()))
		} else {
			tell("READY=1")
		}
	}
	node, err := server.New(ctx, cfg, o)
	if err != nil {
		return fmt.Errorf("start the node: %w", err)
	}
	tell("READY=1") // the listeners are bound: the kernel takes connections
	stopping := context.AfterFunc(ctx, func() { tell("STOPPING=1") })
	defer stopping()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := up()
	if failed != nil {
		cancel()
	}
	return errors.Join(failed, node.Run(ctx))
}
