package main

import (
	"context"
	"fmt"
	"os"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/config"
	"github.com/dunlinmq/dunlin/core/server"
)

// runNode makes the data directory, then builds and runs one node.
func runNode(ctx context.Context, cfg *config.Config, o server.Options) error {
	if err := os.MkdirAll(cfg.Node.DataDir, 0o750); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	node, err := server.New(ctx, cfg, o)
	if err != nil {
		return fmt.Errorf("start the node: %w", err)
	}
	tell := func(state string) {
		if err := notify(state); err != nil {
			o.Log.Warn("systemd is not told", zap.Error(err))
		}
	}
	tell("READY=1") // the listeners are bound: the kernel takes connections
	stopping := context.AfterFunc(ctx, func() { tell("STOPPING=1") })
	defer stopping()
	return node.Run(ctx)
}
