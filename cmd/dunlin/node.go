package main

import (
	"context"
	"fmt"
	"os"

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
	return node.Run(ctx)
}
