// Command bridge measures what a bridge carries: messages are published to a broker
// as fast as it takes them, a bridge takes them to another, and a client there counts
// them until the last one has come. It does so with two Dunlins and with two
// mosquittos, which it starts itself, one pair after the other, on this machine, and
// prints a table with the load of the machine beside it.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// setup is what all rows share.
type setup struct {
	binary     string
	plugins    string
	dir        string
	messages   int
	publishers int
	window     int
	inflight   int
	payload    int
	patience   time.Duration
}

func main() {
	var s setup
	var brokers, qos string
	flag.StringVar(&s.binary, "dunlin", "build/dunlin", "the broker's binary")
	flag.StringVar(&s.plugins, "plugins", "build/plugins", "where the plugin bridge_mqtt lies")
	flag.StringVar(&s.dir, "dir", "", "where brokers keep what they keep; empty: a new directory, removed at the end")
	flag.StringVar(&brokers, "brokers", "dunlin,mosquitto", "pairs to measure")
	flag.StringVar(&qos, "qos", "1", "of the messages and of the bridge, several with commas")
	flag.IntVar(&s.messages, "messages", 500_000, "messages of a row")
	flag.IntVar(&s.publishers, "publishers", 8, "clients that publish")
	flag.IntVar(&s.window, "window", 100, "publications that a publisher has under way")
	flag.IntVar(&s.inflight, "inflight", 1000, "messages that the bridge has under way")
	flag.IntVar(&s.payload, "payload", 64, "bytes of a payload")
	flag.DurationVar(&s.patience, "patience", 2*time.Minute, "for a row")
	flag.Parse()
	if err := run(s, strings.Split(brokers, ","), strings.Split(qos, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "bench/bridge:", err)
		os.Exit(1)
	}
}

func run(s setup, brokers, qos []string) error {
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "bridge")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		s.dir = dir
	}
	if err := os.Chmod(s.dir, 0o755); err != nil { // mosquitto gives up root
		return err
	}
	fmt.Printf("%d messages of %d bytes, %d publishers with %d under way, %d in the bridge, load %s\n",
		s.messages, s.payload, s.publishers, s.window, s.inflight, average())
	fmt.Printf("%-10s %4s %12s %12s | %9s %9s %9s %9s (microseconds of processor a message)\n", "pair", "qos", "arrived/s", "acked/s", "all", "here", "bridge", "there")
	for _, q := range qos {
		if q != "0" && q != "1" && q != "2" {
			return fmt.Errorf("qos %s: want 0, 1 or 2", q)
		}
		for _, name := range brokers {
			r, err := measure(s, name, q[0]-'0')
			if err != nil {
				return fmt.Errorf("%s with QoS %s: %w", name, q, err)
			}
			fmt.Printf("%-10s %4s %12.0f %12.0f | %9.2f %9.2f %9.2f %9.2f\n", name, q, r.arrived, r.acked, r.here+r.bridge+r.there, r.here, r.bridge, r.there)
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
