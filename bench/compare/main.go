// Command compare runs Dunlin beside other brokers on this machine, row by row and
// interleaved, and prints what each costs: `make bench`.
//
// Of a broker it knows how to start it. Figures of one run may be compared with
// each other; with those of another machine or hour only as ratios.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"golang.org/x/term"
)

// options are the command line.
type options struct {
	dunlin, plugins, peers string
	rounds                 int
	scale                  scale
	only, skip             string
	json, docs, render     string
}

func main() {
	var o options
	flag.StringVar(&o.dunlin, "dunlin", "build/dunlin", "the broker's program")
	flag.StringVar(&o.plugins, "plugins", "build/plugins", "its plugins")
	flag.StringVar(&o.peers, "peers", "build/peers", "programs of the peers: mochi, nats")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; the median counts")
	flag.DurationVar(&o.scale.time, "time", 2*time.Second, "time of a row, after a warm-up of half of it")
	flag.DurationVar(&o.scale.settle, "settle", 3*time.Second, "time that a broker whose memory counts is left alone first")
	flag.DurationVar(&o.scale.calm, "calm", 8*time.Second, "time that a broker has to give garbage back before its memory is read")
	flag.IntVar(&o.scale.connections, "connections", 8000, "idle connections")
	flag.IntVar(&o.scale.items, "items", 1_000_000, "subscriptions; a tenth of it retained and queued messages")
	flag.StringVar(&o.only, "only", "", "rows to run, as a regular expression")
	flag.StringVar(&o.skip, "skip", "", "brokers to leave out, as a regular expression")
	flag.StringVar(&o.json, "json", "bench/results.json", "where the figures go; empty: nowhere")
	flag.StringVar(&o.docs, "docs", "", "directory whose performance.md and pictures to renew")
	flag.StringVar(&o.render, "render", "", "run nothing: print these figures")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	rep, err := o.report(ctx)
	if err != nil {
		return err
	}
	fmt.Print(rep.text())
	if o.json != "" && o.render == "" {
		text, err := json.MarshalIndent(rep, "", " ")
		if err == nil {
			err = os.WriteFile(o.json, append(text, '\n'), 0o644)
		}
		if err != nil {
			return err
		}
	}
	if o.docs != "" {
		return rep.document(o.docs)
	}
	return nil
}

// report runs the rows, or reads what an earlier run has written.
func (o *options) report(ctx context.Context) (*report, error) {
	if o.render != "" {
		text, err := os.ReadFile(o.render)
		if err != nil {
			return nil, err
		}
		rep := new(report)
		return rep, json.Unmarshal(text, rep)
	}
	plugins, err := filepath.Abs(o.plugins)
	if err != nil {
		return nil, err
	}
	all, err := brokers(o.dunlin, plugins, o.peers)
	if err != nil {
		return nil, err
	}
	only, err := regexp.Compile(o.only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	skip, err := regexp.Compile(o.skip)
	if err != nil {
		return nil, fmt.Errorf("-skip: %w", err)
	}
	rep := newReport(o)
	var here []*broker
	for _, b := range all {
		if o.skip == "" || !skip.MatchString(b.name) {
			here = append(here, b)
			rep.Brokers = append(rep.Brokers, brokerInfo{b.name, b.version})
		}
	}
	var list []row
	for _, r := range rows() {
		if only.MatchString(r.Name) {
			list = append(list, r)
			rep.Rows = append(rep.Rows, rowResult{Name: r.Name, Samples: map[string][]sample{}})
		}
	}
	for n := range o.rounds {
		if err := o.round(ctx, n, here, list, rep); err != nil {
			return nil, err
		}
	}
	rep.LoadAfter = loadAverage()
	return rep, nil
}

// round runs each row once with each broker. Who begins changes.
func (o *options) round(ctx context.Context, n int, here []*broker, list []row, rep *report) error {
	running := map[string]*instance{}
	defer func() {
		for _, i := range running {
			i.stop()
		}
	}()
	for k, r := range list {
		for j := range here {
			b := here[(j+k+n)%len(here)]
			if !r.of(b) {
				continue
			}
			i := running[b.name]
			var err error
			if i == nil || r.fresh {
				if i, err = b.start(); err != nil {
					return err
				}
			}
			if r.fresh {
				pause(ctx, o.scale.settle)
			}
			o.tell("\rround %d of %d: %s, %s\x1b[K", n+1, o.rounds, r.Name, b.name)
			s, err := r.run(ctx, i, o.scale)
			if r.fresh {
				i.stop()
			} else {
				running[b.name] = i
			}
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil && b.name == "dunlin":
				return fmt.Errorf("%s, %s: %w", r.Name, b.name, err)
			case err != nil:
				rep.Rows[k].fail(b.name, err)
			default:
				rep.Rows[k].Samples[b.name] = append(rep.Rows[k].Samples[b.name], s)
			}
		}
	}
	o.tell("\r\x1b[K")
	return nil
}

// tell shows on a terminal how it goes.
func (o *options) tell(format string, args ...any) {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		fmt.Fprintf(os.Stderr, format, args...)
	}
}

// pause lets d pass, unless ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// errNoMark is a page without the place for the figures.
var errNoMark = errors.New("has no place for the figures")
