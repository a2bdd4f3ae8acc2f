package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/store/pebble"
)

// maintainTime is how long a command waits for the upkeep of a store.
const maintainTime = 24 * time.Hour

// storeDir is the store in the data directory.
const storeDir = "store"

func (a *app) store() *cobra.Command {
	return group("store", "Look into the node's store, check and save it",
		a.figuresOf(figureList{use: "info", short: "Show what the node keeps", family: adminpb.ListFiguresRequest_FAMILY_STORE}),
		a.maintain("check", "Read all of the store and compare its checksums, while it is in use", adminpb.MaintainStoreRequest_ACTION_CHECK),
		a.maintain("compact", "Rewrite the store to its smallest form, while it is in use", adminpb.MaintainStoreRequest_ACTION_COMPACT),
		a.maintain("backup DIR", "Write the store as it is at this moment to a new directory, while it is in use", adminpb.MaintainStoreRequest_ACTION_BACKUP),
		a.restore())
}

// maintain is one command of upkeep.
func (a *app) maintain(use, short string, action adminpb.MaintainStoreRequest_Action) *cobra.Command {
	backup := action == adminpb.MaintainStoreRequest_ACTION_BACKUP
	args := cobra.NoArgs
	if backup {
		args = cobra.ExactArgs(1)
	}
	return &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			r := &adminpb.MaintainStoreRequest{Action: action}
			if backup {
				dir, err := filepath.Abs(args[0])
				if err != nil {
					return err
				}
				r.Dir = dir
			}
			return a.ask(cmd.Context(), maintainTime, func(ctx context.Context, c *admin.Client) error {
				reply, err := c.MaintainStore(ctx, r)
				if err != nil {
					return err
				}
				if action == adminpb.MaintainStoreRequest_ACTION_CHECK {
					fmt.Fprintf(a.out, "ok: %d keys\n", reply.GetKeys())
				} else {
					fmt.Fprintln(a.out, "ok")
				}
				return nil
			})
		},
	}
}

// restore puts a backup in the place of a store that is not there.
func (a *app) restore() *cobra.Command {
	return &cobra.Command{
		Use: "restore BACKUP", Short: "Make the store of a backup; no node may run, and there must be no store yet",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := a.dataDir()
			if err != nil {
				return err
			}
			if admin.Running(data) {
				return fmt.Errorf("a node runs with the data directory %s: stop it first (`dunlin stop`)", data)
			}
			dir := filepath.Join(data, storeDir)
			if err := pebble.Restore(cmd.Context(), args[0], dir); err != nil {
				return fmt.Errorf("%w; a store that is there already has to be moved away first", err)
			}
			fmt.Fprintf(a.out, "%s is restored from %s\n", dir, args[0])
			return nil
		},
	}
}
