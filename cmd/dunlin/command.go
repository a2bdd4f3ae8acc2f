package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// command has a loaded plugin carry out a command of its own. body becomes JSON,
// nil: none; the answer is read into reply, nil: it is not wanted.
func (a *app) command(ctx context.Context, plugin, name string, body, reply any) error {
	var text []byte
	if raw, ok := body.(json.RawMessage); ok {
		text = raw
	} else if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	return a.ask(ctx, changeTime, func(ctx context.Context, c *admin.Client) error {
		r, err := c.PluginCommand(ctx, &adminpb.PluginCommandRequest{Plugin: plugin, Name: name, Body: text})
		if err != nil || reply == nil || len(r.GetBody()) == 0 {
			return err
		}
		if err := json.Unmarshal(r.GetBody(), reply); err != nil {
			return fmt.Errorf("the plugin %s answers %s with what is no JSON of the kind: %w", plugin, name, err)
		}
		return nil
	})
}

func (a *app) pluginsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "command NAME COMMAND [JSON]",
		Short: "Have a plugin carry out a command of its own; - reads the JSON from the standard input",
		Args:  cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			var body json.RawMessage
			if len(args) == 3 {
				body = json.RawMessage(args[2])
			}
			if string(body) == "-" {
				text, err := io.ReadAll(io.LimitReader(a.in, contract.MaxCommandBody+1))
				if err != nil {
					return err
				}
				body = bytes.TrimSpace(text)
			}
			if len(body) > 0 && !json.Valid(body) {
				return status.Error(codes.InvalidArgument, `the third argument is no JSON; for example '{"id": "rule:1"}'`)
			}
			var reply json.RawMessage
			if err := a.command(cmd.Context(), args[0], args[1], body, &reply); err != nil || len(reply) == 0 {
				return err
			}
			return a.json(reply)
		},
	}
}
