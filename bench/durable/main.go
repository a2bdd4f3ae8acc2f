// Command durable measures what it costs a broker to keep what it acknowledges:
// publications with QoS 1 for sessions of clients that are away, at several
// numbers of publishers, and how fast the clients get their backlog when they come.
// It starts the brokers itself, one after the other, on this machine, and prints a
// table with the load of the machine beside it.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// setup is what all rows share.
type setup struct {
	binary   string
	mochi    string
	dir      string
	seconds  time.Duration
	window   int
	payload  int
	sessions int // of clients that are away
}

func main() {
	var s setup
	var brokers, publishers string
	flag.StringVar(&s.binary, "dunlin", "build/dunlin", "the broker's binary")
	flag.StringVar(&s.mochi, "mochi", "build/peers/mochi", "mochi-mqtt with its Pebble hook, see make bench-peers")
	flag.StringVar(&s.dir, "dir", "", "where brokers keep what they keep; empty: a new directory, removed at the end")
	flag.StringVar(&brokers, "brokers", "memory,async,sync,mosquitto,mochi,mochi-sync", "dunlin's modes, mosquitto, and mochi-mqtt with its Pebble hook")
	flag.StringVar(&publishers, "publishers", "1,64,1024", "numbers of publishers")
	flag.DurationVar(&s.seconds, "for", 5*time.Second, "time of each row")
	flag.IntVar(&s.window, "window", 16, "publications that a publisher has under way")
	flag.IntVar(&s.payload, "payload", 64, "bytes of a payload")
	flag.IntVar(&s.sessions, "sessions", 8, "clients that are away; each gets an equal part of the publications")
	flag.Parse()
	if err := run(s, strings.Split(brokers, ","), strings.Split(publishers, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "bench/durable:", err)
		os.Exit(1)
	}
}

func run(s setup, brokers, publishers []string) error {
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "durable")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		s.dir = dir
	}
	fmt.Printf("QoS 1, %d bytes, %d under way a publisher, %s a row, load %s\n", s.payload, s.window, s.seconds, average())
	fmt.Printf("%-10s %10s %12s %10s %9s %9s %9s | %12s %10s %10s\n", "broker", "publishers", "acked/s", "cpu us", "p50", "p99", "disk/B", "drained/s", "cpu us", "messages")
	for _, n := range publishers {
		count, err := strconv.Atoi(strings.TrimSpace(n))
		if err != nil {
			return err
		}
		for _, name := range brokers {
			r, err := measure(s, name, count)
			if err != nil {
				return fmt.Errorf("%s with %d publishers: %w", name, count, err)
			}
			fmt.Printf("%-10s %10d %12.0f %10.2f %9s %9s %9.2f | %12.0f %10.2f %10d\n", name, count, r.rate, r.cpu,
				r.p50.Round(time.Microsecond), r.p99.Round(time.Microsecond), r.amplification, r.drain, r.drainCPU, r.drained)
		}
	}
	fmt.Printf("load %s\n", average())
	return nil
}

// average is the machine's load average, to be read beside the figures.
func average() string {
	b, _ := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(b))
	return strings.Join(f[:min(3, len(f))], " ")
}
