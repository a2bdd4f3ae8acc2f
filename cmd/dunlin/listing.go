package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dunlinmq/dunlin/core/admin"
)

// column is one fact of a listing: a column of the table and a key in JSON. The
// keys are stable.
type column[T any] struct {
	key   string
	wide  bool // not in the plain table
	value func(T) any
}

// listing is what a command lists.
type listing[T any] struct {
	columns []column[T]
	items   []T
	paged   bool   // JSON is an object with items and next
	next    string // cursor of the next page; "": none
}

// show writes l in the form asked for.
func show[T any](a *app, form output, l listing[T]) error {
	if form == outputJSON {
		items := make([]map[string]any, len(l.items))
		for i, item := range l.items {
			items[i] = object(l.columns, item)
		}
		if l.paged {
			return a.json(map[string]any{"items": items, "next": l.next})
		}
		return a.json(items)
	}
	columns := make([]column[T], 0, len(l.columns))
	head := []string{}
	for _, c := range l.columns {
		if form == outputWide || !c.wide {
			columns = append(columns, c)
			head = append(head, strings.ToUpper(c.key))
		}
	}
	rows := [][]string{head}
	for _, item := range l.items {
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = cell(c.value(item))
		}
		rows = append(rows, row)
	}
	if l.next != "" {
		fmt.Fprintf(a.err, "There are more: --cursor '%s' shows the next page, --all shows all.\n", l.next)
	}
	return a.table(rows, nil)
}

// showOne writes one item, a fact in a line.
func showOne[T any](a *app, form output, columns []column[T], item T) error {
	if form == outputJSON {
		return a.json(object(columns, item))
	}
	for _, c := range columns {
		if text := cell(c.value(item)); text != "" {
			fmt.Fprintf(a.out, "%-20s: %s\n", c.key, text)
		}
	}
	return nil
}

func object[T any](columns []column[T], item T) map[string]any {
	o := make(map[string]any, len(columns))
	for _, c := range columns {
		v := c.value(item)
		if m, ok := v.(moment); ok {
			v = int64(m)
		}
		o[c.key] = v
	}
	return o
}

// moment is a time in Unix milliseconds; 0: none.
type moment int64

func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case moment:
		if v == 0 {
			return ""
		}
		return time.UnixMilli(int64(v)).Format(time.RFC3339)
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '\uFFFD' // a client's words must not steer the terminal
		}
		return r
	}, fmt.Sprint(v))
}

// pages are the flags of a paged listing.
type pages struct {
	form   output
	cursor string
	limit  uint32
	all    bool
}

func (p *pages) flags(cmd *cobra.Command) {
	p.form.flag(cmd)
	cmd.Flags().StringVar(&p.cursor, "cursor", "", "where the page starts: as the page before said")
	cmd.Flags().Uint32Var(&p.limit, "limit", 100, "most lines of a page (at most 10000)")
	cmd.Flags().BoolVar(&p.all, "all", false, "show all pages")
}

// bigPage is how much is asked for at once when all is wanted.
const bigPage = 10000

// paged asks for one page, or for page after page.
func paged[T any](a *app, ctx context.Context, p *pages, read pageReader[T]) ([]T, string, error) {
	var all []T
	cursor, limit := p.cursor, p.limit
	if p.all {
		limit = bigPage
	}
	for {
		var some []T
		var next string
		err := a.ask(ctx, changeTime, func(ctx context.Context, c *admin.Client) (err error) {
			some, next, err = read(ctx, c, place{cursor, limit})
			return err
		})
		all = append(all, some...)
		if err != nil || next == "" || !p.all {
			return all, next, err
		}
		cursor = next
	}
}

// place says which page.
type place struct {
	cursor string
	limit  uint32
}

type pageReader[T any] func(ctx context.Context, c *admin.Client, at place) (items []T, next string, err error)

// change is a command that changes something and says so.
type change struct {
	use, short string
	args       cobra.PositionalArgs
	done       string // what it prints
	call       func(ctx context.Context, c *admin.Client, args []string) error
}

func (a *app) changing(ch change) *cobra.Command {
	return &cobra.Command{
		Use: ch.use, Short: ch.short, Args: ch.args,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.ask(cmd.Context(), changeTime, func(ctx context.Context, c *admin.Client) error { return ch.call(ctx, c, args) })
			if err == nil {
				fmt.Fprintln(a.out, ch.done)
			}
			return err
		},
	}
}
