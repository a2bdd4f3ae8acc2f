package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is what a run has shown, as it is written to a file.
type report struct {
	Commit     string       `json:"commit"`
	Date       string       `json:"date"`
	Machine    string       `json:"machine"`
	Command    string       `json:"command"`
	LoadBefore string       `json:"load_before"` // averages of 1, 5 and 15 minutes
	LoadAfter  string       `json:"load_after"`
	Brokers    []brokerInfo `json:"brokers"`
	Rows       []rowResult  `json:"rows"`
}

type brokerInfo struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// rowResult is the samples of a row by broker, and why there are none.
type rowResult struct {
	Name    string              `json:"name"`
	Samples map[string][]sample `json:"samples"`
	Faults  map[string]string   `json:"faults,omitempty"`
}

func (r *rowResult) fail(broker string, err error) {
	if r.Faults == nil {
		r.Faults = map[string]string{}
	}
	r.Faults[broker] = err.Error()
}

func newReport(o *options) *report {
	return &report{
		Commit: commit(), Date: time.Now().UTC().Format(time.DateOnly), Machine: machine(), LoadBefore: loadAverage(),
		Command: fmt.Sprintf("make bench ROUNDS=%d TIME=%s CONNECTIONS=%d ITEMS=%d", o.rounds, o.scale.time, o.scale.connections, o.scale.items),
	}
}

// commit is that of the checkout; + says that files differ from it.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty=+", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func machine() string {
	model := ""
	text, err := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); err == nil && ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%d x %s, %s %s, %s", runtime.NumCPU(), cmp.Or(model, runtime.GOARCH), runtime.GOOS, strings.TrimSpace(string(kernel)), runtime.Version())
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(text)); err == nil && len(f) > 2 {
		return strings.Join(f[:3], " ")
	}
	return "unknown"
}

// median is the sample of medians; what is lost or out of order adds up.
func median(all []sample) (m sample) {
	of := func(get func(*sample) *float64) {
		var list []float64
		for i := range all {
			list = append(list, *get(&all[i]))
		}
		slices.Sort(list)
		*get(&m) = list[len(list)/2]
	}
	if len(all) == 0 {
		return m
	}
	for _, get := range []func(*sample) *float64{
		func(s *sample) *float64 { return &s.Micros }, func(s *sample) *float64 { return &s.PerSecond },
		func(s *sample) *float64 { return &s.P50 }, func(s *sample) *float64 { return &s.P99 }, func(s *sample) *float64 { return &s.P999 },
		func(s *sample) *float64 { return &s.Bytes }, func(s *sample) *float64 { return &s.Generator },
	} {
		of(get)
	}
	for _, s := range all {
		m.Lost += s.Lost
		m.OutOfOrder += s.OutOfOrder
	}
	return m
}

// figure is one column of the table.
type figure struct {
	name  string
	of    func(sample) float64
	write func(float64) string
}

var figures = []figure{
	{"CPU us", func(s sample) float64 { return s.Micros }, micros},
	{"a second", func(s sample) float64 { return s.PerSecond }, whole},
	{"p50 us", func(s sample) float64 { return s.P50 }, whole},
	{"p99 us", func(s sample) float64 { return s.P99 }, whole},
	{"p99.9 us", func(s sample) float64 { return s.P999 }, whole},
	{"bytes", func(s sample) float64 { return s.Bytes }, whole},
}

func micros(f float64) string {
	if f >= 100 {
		return whole(f)
	}
	return fmt.Sprintf("%.2f", f)
}

func whole(f float64) string {
	s := fmt.Sprintf("%.0f", f)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// text is the table for a terminal: a line for each row and broker, and beside
// each figure of a peer how many times Dunlin's it is.
func (r *report) text() string {
	lines := [][]string{{"row", "broker"}}
	for _, f := range figures {
		lines[0] = append(lines[0], f.name)
	}
	lines[0] = append(lines[0], "lost", "order")
	for _, row := range r.Rows {
		base := median(row.Samples["dunlin"])
		for _, b := range r.Brokers {
			if why := row.Faults[b.Name]; why != "" {
				lines = append(lines, []string{row.Name, b.Name, "failed: " + why})
			}
			if len(row.Samples[b.Name]) == 0 {
				continue
			}
			m := median(row.Samples[b.Name])
			line := []string{row.Name, b.Name}
			for _, f := range figures {
				line = append(line, beside(f, m, base, b.Name != "dunlin"))
			}
			lines = append(lines, append(line, whole(float64(m.Lost)), whole(float64(m.OutOfOrder))))
		}
	}
	return r.head() + align(lines)
}

// beside is a figure, and its ratio to the base.
func beside(f figure, s, base sample, peer bool) string {
	v, b := f.of(s), f.of(base)
	switch {
	case v == 0:
		return "-"
	case peer && b > 0:
		return fmt.Sprintf("%s (%sx)", f.write(v), times(v/b))
	}
	return f.write(v)
}

// times is a ratio in two digits, without an exponent.
func times(f float64) string {
	switch {
	case f >= 10:
		return fmt.Sprintf("%.0f", f)
	case f >= 1:
		return fmt.Sprintf("%.1f", f)
	case f >= 0.01:
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.4f", f)
}

func (r *report) head() string {
	var b strings.Builder
	fmt.Fprintf(&b, "commit %s, %s, %s\n%s; load average before %s, after %s\n", r.Commit, r.Date, r.Machine, r.Command, r.LoadBefore, r.LoadAfter)
	for _, x := range r.Brokers {
		fmt.Fprintf(&b, "%s: %s\n", x.Name, x.Version)
	}
	return b.String() + "\n"
}

func align(lines [][]string) string {
	var widths []int
	for _, line := range lines {
		for i, cell := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if len(line) > 3 {
				widths[i] = max(widths[i], len(cell))
			}
		}
	}
	var out bytes.Buffer
	for _, line := range lines {
		var text strings.Builder
		for i, cell := range line {
			if i < 2 {
				fmt.Fprintf(&text, "%-*s  ", widths[i], cell)
			} else {
				fmt.Fprintf(&text, "%*s  ", widths[i], cell)
			}
		}
		out.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
	return out.String()
}
