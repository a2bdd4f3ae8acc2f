package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// delayedPlugin carries out what is asked about messages that are published later.
const delayedPlugin = "delayed"

// delayedMessage is what the plugin says of a message that waits.
type delayedMessage struct {
	Number uint64 `json:"number"`
	Due    int64  `json:"due"` // Unix nanoseconds
	Topic  string `json:"topic"`
	From   string `json:"from"`
	QoS    byte   `json:"qos"`
	Retain bool   `json:"retain"`
	Size   int64  `json:"size"`
}

var delayedColumns = []column[delayedMessage]{
	{"number", false, func(m delayedMessage) any { return m.Number }},
	{"due", false, func(m delayedMessage) any { return moment(time.Unix(0, m.Due).UnixMilli()) }},
	{"topic", false, func(m delayedMessage) any { return m.Topic }},
	{"from", false, func(m delayedMessage) any { return m.From }},
	{"qos", false, func(m delayedMessage) any { return m.QoS }},
	{"size", false, func(m delayedMessage) any { return m.Size }},
	{"retain", true, func(m delayedMessage) any { return m.Retain }},
}

func (a *app) delayed() *cobra.Command {
	return group("delayed", "List and cancel messages that are published later (plugin delayed)",
		a.delayedList(), a.delayedShow(), a.delayedCancel())
}

func (a *app) delayedList() *cobra.Command {
	var p pages
	cmd := &cobra.Command{Use: "list", Short: "List the messages that wait, those that are due first at the top", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			limit := int(p.limit)
			if limit < 1 || limit > bigPage {
				return status.Errorf(codes.InvalidArgument, "--limit %d: want 1 to %d", limit, bigPage)
			}
			after, err := delayedCursor(p.cursor)
			if err != nil {
				return err
			}
			var list []delayedMessage
			more, err := a.delayedAfter(cmd.Context(), after, func(m delayedMessage) bool {
				list = append(list, m)
				return p.all || len(list) <= limit // one more tells whether there are more
			})
			if err != nil {
				return err
			}
			next := ""
			if more {
				list = list[:limit]
				next = fmt.Sprintf("%d.%d", list[limit-1].Due, list[limit-1].Number)
			}
			return show(a, p.form, listing[delayedMessage]{columns: delayedColumns, items: list, paged: true, next: next})
		}}
	p.flags(cmd)
	return cmd
}

// delayedAfter calls fn with the messages that wait behind after, page by page, until it
// returns false, and says whether it did.
func (a *app) delayedAfter(ctx context.Context, after delayedMessage, fn func(delayedMessage) bool) (stopped bool, err error) {
	for {
		var page []delayedMessage
		if err := a.command(ctx, delayedPlugin, "delayed.list", map[string]any{"due": after.Due, "number": after.Number}, &page); err != nil {
			return false, err
		}
		if len(page) == 0 {
			return false, nil
		}
		for _, m := range page {
			if !fn(m) {
				return true, nil
			}
		}
		after = page[len(page)-1]
	}
}

// delayedCursor reads where a page starts: behind the message with that time and number.
func delayedCursor(text string) (m delayedMessage, err error) {
	if text == "" {
		return m, nil
	}
	due, number, _ := strings.Cut(text, ".")
	if m.Due, err = strconv.ParseInt(due, 10, 64); err == nil {
		m.Number, err = strconv.ParseUint(number, 10, 63)
	}
	if err != nil || m.Due < 0 || m.Number == 0 {
		return m, status.Errorf(codes.InvalidArgument, "--cursor %s is none: take what the page before said", text)
	}
	return m, nil
}

// delayedNumber reads the number of a message.
func delayedNumber(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 {
		return 0, status.Errorf(codes.InvalidArgument, "%s is not the number of a message; `dunlin ctl delayed list` shows them", text)
	}
	return n, nil
}

func (a *app) delayedShow() *cobra.Command {
	var form output
	cmd := &cobra.Command{Use: "show NUMBER", Short: "Show a message that waits", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := delayedNumber(args[0])
			if err != nil {
				return err
			}
			var found delayedMessage
			if err := a.command(cmd.Context(), delayedPlugin, "delayed.show", map[string]any{"number": number}, &found); err != nil {
				return err
			}
			return showOne(a, form, delayedColumns, found)
		}}
	form.flag(cmd)
	return cmd
}

func (a *app) delayedCancel() *cobra.Command {
	return &cobra.Command{Use: "cancel NUMBER", Short: "Remove a message that waits; it is never published", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := delayedNumber(args[0])
			if err != nil {
				return err
			}
			if err := a.command(cmd.Context(), delayedPlugin, "delayed.cancel", map[string]any{"number": number}, nil); err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, "ok")
			return err
		}}
}

// delayedNumbers are the messages that are due next.
func delayedNumbers(ctx context.Context, a *app, _ asked) ([]string, error) {
	var list []string
	_, err := a.delayedAfter(ctx, delayedMessage{}, func(m delayedMessage) bool {
		list = append(list, fmt.Sprintf("%d\t%s", m.Number, cell(m.Topic)))
		return len(list) < most
	})
	return list, err
}
