package main

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dunlinmq/dunlin/bench/load"
)

// bench is the load generator. It needs no node of ours: any broker will do.
func (a *app) bench() *cobra.Command {
	g := group("bench", "Make load for a broker, and measure it",
		a.benchOf(load.Conn, "conn", "Connect clients that stay, and measure the handshakes"),
		a.benchOf(load.Pub, "pub", "Publish messages, and measure the acknowledgements"),
		a.benchOf(load.Sub, "sub", "Subscribe, and measure what comes from pub"),
		a.benchOf(load.P2P, "p2p", "Pairs of clients: one publishes to the other"),
		a.benchOf(load.Fan, "fan", "One publisher to many subscribers; --in: many to one"),
		a.benchOf(load.Storm, "storm", "Connect, subscribe, publish, receive, disconnect, and again"))
	g.Long = "Make load for a broker, and measure it: messages and connections a second, latency, what\n" +
		"was lost or came out of order, and with --pid the processor time and memory of the broker.\n" +
		"The options are those of emqtt_bench. Any MQTT broker will do, but only one on this\n" +
		"machine, unless --i-own-this-broker says that a broker elsewhere is yours to load."
	return g
}

func (a *app) benchOf(kind load.Kind, name, short string) *cobra.Command {
	var form output
	o := benchOptions{cfg: load.Config{Kind: kind}}
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.settle(cmd.Flags()); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return a.runBench(ctx, o.cfg, form)
		},
	}
	o.flags(cmd)
	form.flag(cmd)
	return cmd
}

func (a *app) runBench(ctx context.Context, cfg load.Config, form output) error {
	live := &benchLive{app: a, kind: cfg.Kind}
	res, err := load.Run(ctx, cfg, live.tell)
	live.end()
	switch {
	case err != nil:
		return err
	case form == outputJSON:
		return a.json(res)
	}
	return a.showBench(res, form == outputWide)
}

// benchLive shows how a run goes, in one line of a terminal.
type benchLive struct {
	app   *app
	kind  load.Kind
	shown bool
}

func (l *benchLive) tell(p load.Progress) {
	if !terminal(l.app.err) {
		return
	}
	line := fmt.Sprintf("%s %s", p.Phase, p.Elapsed.Round(time.Second))
	if p.Of > 0 {
		line += fmt.Sprintf(" of %s", p.Of)
	}
	if l.kind == load.Storm {
		line += fmt.Sprintf(", %s cycles/s", grouped(p.Cycles))
	} else {
		line += fmt.Sprintf(", %d of %d clients", p.Ready, p.Clients)
	}
	if p.Sent > 0 || p.Received > 0 {
		line += fmt.Sprintf(", %s sent/s, %s received/s", grouped(p.Sent), grouped(p.Received))
	}
	if p.Failed > 0 {
		line += fmt.Sprintf(", %d failed", p.Failed)
	}
	l.shown = true
	fmt.Fprintf(l.app.err, "\r%s\x1b[K", line)
}

// end clears the line for what follows.
func (l *benchLive) end() {
	if l.shown {
		fmt.Fprint(l.app.err, "\r\x1b[K")
	}
}
