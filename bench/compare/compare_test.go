package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// buildDunlin is the program under test, or $DUNLIN_BINARY.
func buildDunlin(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("DUNLIN_BINARY"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "dunlin")
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/dunlin").CombinedOutput(); err != nil {
		t.Fatalf("build the broker: %v\n%s", err, out)
	}
	return path
}

// Every row runs with Dunlin and with mosquitto, Dunlin loses nothing and keeps the
// order, and the report has a place for all of it. What it costs is not tested.
func TestEveryRowRuns(t *testing.T) {
	o := options{
		dunlin: buildDunlin(t), plugins: "../../build/plugins", peers: "../../build/peers", skip: "mochi|nats|floor", rounds: 1,
		scale: scale{time: 100 * time.Millisecond, connections: 100, items: 2000},
	}
	rep, err := o.report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Brokers) != 2 || rep.Brokers[0].Name != "dunlin" || rep.Brokers[1].Name != "mosquitto" || !strings.Contains(rep.Brokers[1].Version, "2.") {
		t.Fatalf("brokers %+v", rep.Brokers)
	}
	for i, r := range rows() {
		got := rep.Rows[i]
		if got.Name != r.Name || len(got.Faults) > 0 || len(got.Samples["dunlin"]) != 1 || len(got.Samples["mosquitto"]) != 1 && !r.own {
			t.Errorf("row %s: %+v", r.Name, got)
		}
		s := median(got.Samples["dunlin"])
		if s.Lost != 0 || s.OutOfOrder != 0 {
			t.Errorf("row %s: dunlin lost %d, %d out of order", r.Name, s.Lost, s.OutOfOrder)
		}
		if s.PerSecond == 0 && s.Bytes == 0 {
			t.Errorf("row %s: nothing is measured: %+v", r.Name, s)
		}
		if !strings.Contains(rep.text(), "\n"+r.Name) {
			t.Errorf("row %s is not in the table", r.Name)
		}
	}
	text, err := json.Marshal(rep)
	again := new(report)
	if err = errors.Join(err, json.Unmarshal(text, again)); err != nil || again.text() != rep.text() {
		t.Errorf("the report does not survive its file: %v", err)
	}
}

// made is a report of three brokers with figures that are easy to check.
func made() *report {
	s := func(us, per float64, lost uint64) []sample {
		return []sample{{Micros: us, PerSecond: per, P50: 50, P99: 1234.5, P999: 2000, Lost: lost}}
	}
	return &report{
		Commit: "abc", Date: "2026-11-01", Machine: "2 x test", Command: "make bench",
		Brokers: []brokerInfo{{"dunlin", "1"}, {"mosquitto", "2"}, {"nats", "3"}},
		Rows: []rowResult{
			{Name: "QoS 0, 10 pairs", Samples: map[string][]sample{"dunlin": s(0.5, 2e6, 0), "mosquitto": s(5, 1e5, 7)}, Faults: map[string]string{"nats": "it fell"}},
			{Name: "idle connection", Samples: map[string][]sample{"dunlin": {{Bytes: 900}, {Bytes: 1100}, {Bytes: 1000}}}},
		},
	}
}

// docs/performance.md and its pictures say what bench/results.json says.
func TestDocsAreOfTheFigures(t *testing.T) {
	o := options{render: "../results.json"}
	rep, err := o.report(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pages := rep.pictures()
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), markBegin+rep.markdown()+markEnd) {
		t.Error("docs/performance.md is not of bench/results.json: build/compare -render bench/results.json -docs docs")
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join("../../docs", name))
		if err != nil || string(got) != want {
			t.Errorf("docs/%s is not of bench/results.json: %v", name, err)
		}
	}
}

func TestTable(t *testing.T) {
	text := made().text()
	for _, want := range []string{"5.00 (10x)", "100,000 (0.05x)", "1,234 (1.0x)", "nats       failed: it fell", "1,000"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if m := median([]sample{{P50: 3, Lost: 1}, {P50: 1, Lost: 2}, {P50: 2}}); m.P50 != 2 || m.Lost != 3 {
		t.Errorf("median %+v", m)
	}
}

// The page and the pictures are made of the figures; what is around the marks stays.
func TestDocument(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "performance.md")
	if err := os.WriteFile(page, []byte("# Performance\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := made().document(dir); !errors.Is(err, errNoMark) {
		t.Errorf("a page without marks: %v", err)
	}
	if err := os.WriteFile(page, []byte("# Performance\n"+markBegin+"old\n"+markEnd+"tail\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := made().document(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Performance\n<!--", "tail\n", "| QoS 0, 10 pairs | 0.50 | 5.00 (10x) | – | 0.40 |", "| idle connection | 1,000 |", "mosquitto in QoS 0, 10 pairs (7 lost, 0 out of order); nats in QoS 0, 10 pairs (it fell)"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old\n") {
		t.Error("the old figures stay")
	}
	for _, name := range slices.Collect(maps.Keys(made().pictures())) {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(f)
		for err == nil {
			_, err = d.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s is no XML: %v", name, err)
		}
		_ = f.Close()
	}
}
