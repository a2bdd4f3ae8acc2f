package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// The place for the figures in a page.
const (
	markBegin = "<!-- figures: made by make bench -->\n"
	markEnd   = "<!-- end of figures -->\n"
)

// goals are of this project, CPU us a message or cycle, or bytes.
var goals = map[string]float64{
	"QoS 0, 10 pairs": 0.40, "QoS 1, 10 pairs": 0.60, "QoS 2, 10 pairs": 1.10, "1 to 100": 0.50, "1 to 1000": 1.60, "100 to 1": 0.38,
	"500 pairs, one at a time": 8, "10,000/s, QoS 0": 20, "storm, 50 clients": 40,
	"idle connection": 1000, "idle TLS connection": 12_000, "subscription, publish": 250, "retained, wildcard read": 364, "queued offline, drain": 264, "at rest": 64 << 20,
}

// document renews dir/performance.md between its marks, and the pictures.
func (r *report) document(dir string) error {
	page := filepath.Join(dir, "performance.md")
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(text), markBegin)
	_, tail, ok2 := strings.Cut(rest, markEnd)
	if !ok || !ok2 {
		return fmt.Errorf("%s %w: a line %q and a line %q", page, errNoMark, strings.TrimSpace(markBegin), strings.TrimSpace(markEnd))
	}
	if err := os.WriteFile(page, []byte(head+markBegin+r.markdown()+markEnd+tail), 0o644); err != nil {
		return err
	}
	for name, picture := range r.pictures() {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(picture), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pictures are the files of the pictures.
func (r *report) pictures() map[string]string {
	return map[string]string{
		"performance-throughput.svg": r.picture("Messages (storm: cycles) a second", figures[1], func(n string) bool { return !strings.Contains(n, "/s") && goals[n] < 100 }),
		"performance-cpu.svg":        r.picture("Processor time of the broker a message, microseconds", figures[0], func(n string) bool { return goals[n] < 100 }),
		"performance-latency.svg":    r.picture("Latency, p99, microseconds", figures[3], func(n string) bool { return goals[n] < 100 }),
		"performance-memory.svg":     r.picture("Memory, bytes", figures[5], func(n string) bool { return goals[n] >= 100 }),
	}
}

// markdown is the tables of the page.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nCommit %s, %s, %s, `%s`; load average before %s, after %s.", r.Commit, r.Date, r.Machine, r.Command, r.LoadBefore, r.LoadAfter)
	for _, x := range r.Brokers {
		fmt.Fprintf(&b, " %s: %s.", x.Name, x.Version)
	}
	b.WriteString("\n\nProcessor time of the broker, microseconds a message (storm: a cycle; idle connection: its handshake; retained and queued: of the reading):\n\n")
	r.table(&b, figures[0], func(n string) float64 {
		if goals[n] < 100 {
			return goals[n]
		}
		return 0
	})
	b.WriteString("\nMessages, cycles or connections a second:\n\n")
	r.table(&b, figures[1], nil)
	b.WriteString("\nLatency in microseconds, p50 / p99 / p99.9:\n\n")
	r.table(&b, figure{of: figures[3].of}, nil)
	b.WriteString("\nMemory in bytes for each connection, subscription or message; at rest all of it:\n\n")
	r.table(&b, figures[5], func(n string) float64 {
		if goals[n] >= 100 {
			return goals[n]
		}
		return 0
	})
	b.WriteString("\n" + r.losses() + "\n")
	return b.String()
}

// table has a column for each broker; a figure without a name is the latencies.
func (r *report) table(b *strings.Builder, f figure, goal func(string) float64) {
	b.WriteString("| row |")
	for _, x := range r.Brokers {
		fmt.Fprintf(b, " %s |", x.Name)
	}
	if goal != nil {
		b.WriteString(" goal |")
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(r.Brokers)))
	if goal != nil {
		b.WriteString("--:|")
	}
	b.WriteString("\n")
	for _, row := range r.Rows {
		base := median(row.Samples["dunlin"])
		if f.of(base) == 0 {
			continue
		}
		fmt.Fprintf(b, "| %s |", row.Name)
		for _, x := range r.Brokers {
			m := median(row.Samples[x.Name])
			switch {
			case f.of(m) == 0:
				b.WriteString(" – |")
			case f.write == nil:
				fmt.Fprintf(b, " %s / %s / %s |", whole(m.P50), whole(m.P99), whole(m.P999))
			default:
				fmt.Fprintf(b, " %s |", beside(f, m, base, x.Name != "dunlin"))
			}
		}
		if goal != nil {
			if g := goal(row.Name); g > 0 {
				fmt.Fprintf(b, " %s |", f.write(g))
			} else {
				b.WriteString(" – |")
			}
		}
		b.WriteString("\n")
	}
}

// losses says what was lost, came out of order or failed, in all rounds together.
func (r *report) losses() string {
	var all []string
	for _, row := range r.Rows {
		for _, x := range r.Brokers {
			m := median(row.Samples[x.Name])
			if m.Lost > 0 || m.OutOfOrder > 0 {
				all = append(all, fmt.Sprintf("%s in %s (%s lost, %s out of order)", x.Name, row.Name, whole(float64(m.Lost)), whole(float64(m.OutOfOrder))))
			}
			if why := row.Faults[x.Name]; why != "" {
				all = append(all, fmt.Sprintf("%s in %s (%s)", x.Name, row.Name, why))
			}
		}
	}
	if len(all) == 0 {
		return "Nothing was lost or came out of order."
	}
	return "Nothing was lost or came out of order, but for: " + strings.Join(all, "; ") + "."
}

// Colours of the brokers in a picture, in their order.
var colours = []string{"#1b6ca8", "#b0b0b0", "#d08c3c", "#7a9e5a", "#8a6bb0"}

// picture is bars on a logarithmic scale, a group for each row that is wanted.
func (r *report) picture(title string, f figure, wanted func(string) bool) string {
	const left, width, bar, gap = 210, 560, 11, 12
	type group struct {
		name   string
		values []float64
	}
	var groups []group
	low, high := math.Inf(1), 0.0
	for _, row := range r.Rows {
		if !wanted(row.Name) || f.of(median(row.Samples["dunlin"])) == 0 {
			continue
		}
		g := group{name: row.Name}
		for _, x := range r.Brokers {
			v := f.of(median(row.Samples[x.Name]))
			if g.values = append(g.values, v); v > 0 {
				low, high = min(low, v), max(high, v)
			}
		}
		groups = append(groups, g)
	}
	low = math.Pow(10, math.Floor(math.Log10(max(low, 1e-9))-0.05))
	at := func(v float64) float64 { return width * math.Log(v/low) / math.Log(max(high, 2*low)/low) }
	var b strings.Builder
	y := 52
	for _, g := range groups {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-8, y+len(g.values)*bar/2+4, g.name)
		for i, v := range g.values {
			if v > 0 {
				fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text class="v" x="%.1f" y="%d">%s</text>`+"\n",
					left, y, at(v), bar-1, colours[i%len(colours)], left+at(v)+4, y+bar-2, f.write(v))
			}
			y += bar
		}
		y += gap
	}
	var legend strings.Builder
	for i, x := range r.Brokers {
		fmt.Fprintf(&legend, `<rect x="%d" y="30" width="10" height="10" fill="%s"/><text x="%d" y="39">%s</text>`+"\n", left+i*120, colours[i%len(colours)], left+i*120+14, x.Name)
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">
<style>.v{font-size:9px;fill:#555}</style>
<rect width="100%%" height="100%%" fill="#fff"/>
<text x="%d" y="18" font-weight="bold">%s (logarithmic)</text>
%s%s</svg>
`, left+width+90, y+4, left, title, legend.String(), b.String())
}
