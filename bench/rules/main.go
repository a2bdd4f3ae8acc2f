// Command rules measures how fast rules are: messages a second that a statement of
// the rule engine matches and republishes, through a whole broker. It starts the
// broker and the load itself, on this machine, and prints a table with the load of
// the machine beside it. The time runs from the first message until the last that
// the broker has taken is through the rules.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/bench/load"
)

// setup is what all rows share.
type setup struct {
	binary     string
	plugins    string
	dir        string
	messages   int
	publishers int
	window     int
	payload    string
	other      int  // rules of other topics
	watch      bool // a client subscribes to what is republished
	qos        int
	rate       float64 // messages a second; 0: as fast as they are taken
}

func main() {
	var s setup
	var rates string
	flag.StringVar(&s.binary, "dunlin", "build/dunlin", "the broker's binary")
	flag.StringVar(&s.plugins, "plugins", "build/plugins", "the directory of the plugins")
	flag.StringVar(&s.dir, "dir", "", "where the broker keeps what it keeps; empty: a new directory, removed at the end")
	flag.IntVar(&s.messages, "messages", 2_000_000, "messages of a row")
	flag.IntVar(&s.publishers, "publishers", 10, "publishers")
	flag.IntVar(&s.window, "window", 1000, "publications of QoS 1 that a publisher has under way")
	flag.StringVar(&s.payload, "payload", `{"temp": 31.5, "unit": "C", "room": "kitchen"}`, "the payload")
	flag.IntVar(&s.other, "other", 0, "rules of other topics beside the one that matches")
	flag.BoolVar(&s.watch, "watch", true, "a client subscribes to what is republished")
	flag.IntVar(&s.qos, "qos", 1, "QoS of the publishers; what is republished has QoS 0")
	flag.StringVar(&rates, "rates", "50000,100000,200000,300000,0", "messages a second, a row for each; 0: as fast as the broker takes them")
	flag.Parse()
	if err := run(s, strings.Split(rates, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "bench/rules:", err)
		os.Exit(1)
	}
}

const statement = `SELECT payload.temp as t FROM "s/#" WHERE t > 30`

func run(s setup, rates []string) error {
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "rules")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		s.dir = dir
	}
	fmt.Printf("%s, republished; %d publishers, QoS %d, payload of %d bytes, %d other rules, load %s\n",
		statement, s.publishers, s.qos, len(s.payload), s.other, average())
	fmt.Printf("%9s %10s %10s %10s %11s %9s %11s %11s %11s\n", "rate", "sent", "matched", "received", "matched/s", "behind", "broker us", "plugin us", "load us")
	for _, text := range rates {
		var err error
		if s.rate, err = strconv.ParseFloat(strings.TrimSpace(text), 64); err != nil {
			return err
		}
		r, err := measure(s)
		if err != nil {
			return fmt.Errorf("%s messages a second: %w", text, err)
		}
		per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(max(r.matched, 1)) }
		fmt.Printf("%9s %10d %10d %10d %11.0f %9s %11.2f %11.2f %11.2f\n", text, r.sent, r.matched, r.received,
			float64(r.matched)/r.took.Seconds(), r.behind.Round(10*time.Millisecond), per(r.broker), per(r.plugin), per(r.load))
	}
	fmt.Printf("behind: how long after the last acknowledgement the rules were through; us: processor time of a matched message; load %s\n", average())
	return nil
}

// row is what was measured.
type row struct {
	sent, matched, received uint64
	took, behind            time.Duration
	broker, plugin, load    time.Duration // processor time
}

// measure runs one row on a broker of its own.
func measure(s setup) (r row, err error) {
	b, err := start(s)
	if err != nil {
		return r, err
	}
	defer b.stop()
	pid, err := b.plugin()
	if err != nil {
		return r, err
	}
	var watch *watcher
	if s.watch {
		if watch, err = b.watch(); err != nil {
			return r, err
		}
	}
	before, err := times(b.cmd.Process.Pid, pid)
	if err != nil {
		return r, err
	}
	began := time.Now()
	gen, err := b.publish(s)
	if err != nil {
		return r, err
	}
	published := time.Now()
	if r.matched, err = b.settled(); err != nil {
		return r, err
	}
	r.took, r.behind = time.Since(began), time.Since(published)
	r.sent, r.load = gen.sent, gen.cpu
	after, err := times(b.cmd.Process.Pid, pid)
	if err != nil {
		return r, err
	}
	r.broker, r.plugin = after[0]-before[0], after[1]-before[1]
	if watch != nil {
		r.received, err = watch.end()
	}
	return r, err
}

// loaded is what the load generator tells.
type loaded struct {
	sent uint64
	cpu  time.Duration
}

// publish sends the messages.
func (b *broker) publish(s setup) (l loaded, err error) {
	cmd := exec.Command(b.binary, "bench", "pub", "-h", "127.0.0.1", "-p", b.port, "-t", "s/%i", "-q", fmt.Sprint(s.qos), "-c", fmt.Sprint(s.publishers), "-I", "0",
		"--rate", fmt.Sprint(s.rate), "-F", fmt.Sprint(s.window), "-L", fmt.Sprint(s.messages), "-m", s.payload, "--warm", "0s", "-d", "10m", "-o", "json")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return l, fmt.Errorf("the load: %w", err)
	}
	var res struct {
		Sent    uint64 `json:"sent"`
		Refused uint64 `json:"refused"`
		Failed  int    `json:"failed"`
	}
	if err := json.Unmarshal(out, &res); err != nil {
		return l, fmt.Errorf("the load: %w", err)
	}
	if res.Failed > 0 || res.Refused > 0 {
		return l, fmt.Errorf("the load: %d publishers failed, %d messages were refused", res.Failed, res.Refused)
	}
	return loaded{res.Sent, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

// average is the machine's load average, to be read beside the figures.
func average() string {
	b, _ := os.ReadFile("/proc/loadavg")
	f := strings.Fields(string(b))
	return strings.Join(f[:min(3, len(f))], " ")
}

// times is what the broker and the plugin have used of the processor.
func times(broker, plugin int) (t [2]time.Duration, err error) {
	if t[0], err = load.ProcessorTime(broker); err != nil {
		return t, err
	}
	t[1], err = load.ProcessorTime(plugin)
	return t, err
}
