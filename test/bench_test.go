package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// benchResult is what this test reads of `dunlin bench -o json`.
type benchResult struct {
	Ready      int    `json:"ready"`
	Failed     int    `json:"failed"`
	Sent       uint64 `json:"sent"`
	Acked      uint64 `json:"acked"`
	Received   uint64 `json:"received"`
	Lost       uint64 `json:"lost"`
	Duplicates uint64 `json:"duplicates"`
	OutOfOrder uint64 `json:"out_of_order"`
	Cycles     uint64 `json:"cycles"`
	Transport  string `json:"transport"`
	Latency    struct {
		P50  float64 `json:"p50"`
		P999 float64 `json:"p999"`
	} `json:"latency_us"`
	Broker struct {
		RSS int64 `json:"rss_bytes"`
	} `json:"broker"`
}

// bench runs `dunlin bench LINE -o json` for a listener of b.
func (b *broker) bench(id, line string) (r benchResult) {
	b.t.Helper()
	args := append([]string{"bench"}, strings.Fields(line)...)
	args = append(args, "-o", "json", "-d", "300ms", "--pid", fmt.Sprint(b.cmd.Process.Pid), "-h", "localhost", "-p", b.port(id))
	kind, _, _ := strings.Cut(id, ":")
	if strings.HasSuffix(kind, "s") && kind != "ws" || kind == "ssl" {
		args = append(args, "--ssl", "--cacertfile", b.ca())
	}
	if strings.HasPrefix(kind, "ws") {
		args = append(args, "--ws")
	}
	out, err := exec.Command(binary, args...).Output()
	if err != nil {
		b.t.Fatalf("dunlin %s: %v\n%s", strings.Join(args, " "), err, stderrOf(err))
	}
	if err := json.Unmarshal(out, &r); err != nil {
		b.t.Fatalf("%v in %s", err, out)
	}
	if r.Lost != 0 || r.Duplicates != 0 || r.OutOfOrder != 0 || r.Failed != 0 || r.Broker.RSS == 0 {
		b.t.Errorf("dunlin %s: %s", strings.Join(args, " "), out)
	}
	return r
}

func stderrOf(err error) []byte {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.Stderr
	}
	return nil
}

// Each kind of load over each transport in each version arrives whole.
func TestBenchCommand(t *testing.T) {
	t.Parallel()
	b := start(t, setup{})
	for _, id := range []string{"tcp:external", "ssl:external", "ws:external", "wss:external"} {
		for i, v := range []string{"3.1", "3.1.1", "5.0"} {
			r := b.bench(id, fmt.Sprintf("p2p -c 3 --warm 0s -V %s -q %d", v, i))
			kind, _, _ := strings.Cut(id, ":")
			if r.Ready != 6 || r.Sent == 0 || r.Received != r.Sent || r.Latency.P50 <= 0 || r.Transport != kind {
				t.Errorf("p2p by %s in %s: %+v", id, v, r)
			}
		}
		if r := b.bench(id, "storm -c 2 --warm 0s"); r.Cycles == 0 {
			t.Errorf("storm by %s: %+v", id, r)
		}
	}
	if r := b.bench("tcp:external", "fan -c 7 -L 20 --warm 0s -q 1"); r.Sent != 20 || r.Received != 140 {
		t.Errorf("fan: %+v", r)
	}
	if r := b.bench("tcp:external", "fan --in -c 7 -L 20 --warm 0s -q 2"); r.Sent != 20 || r.Received != 20 {
		t.Errorf("fan --in: %+v", r)
	}
	if r := b.bench("tcp:external", "conn -c 50 -R 1000 -k 1"); r.Ready != 50 || r.Latency.P999 <= 0 {
		t.Errorf("conn: %+v", r)
	}
	if r := b.bench("tcp:external", "pub -c 5 -t a/%i -q 2 -I 10 --warm 0s"); r.Sent < 5 || r.Acked != r.Sent {
		t.Errorf("pub: %+v", r)
	}
	b.alive()
}

// Ctrl-C ends a run early, with its result; a broker elsewhere is left alone.
func TestBenchIsBounded(t *testing.T) {
	t.Parallel()
	b := start(t, setup{listeners: "[listener.tcp.external]\nbind = \"127.0.0.1:0\"\n"})
	cmd := exec.Command(binary, "bench", "conn", "-c", "3", "-d", "1h", "-p", b.port("tcp:external"), "-o", "json")
	var out lockedBuffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b.eventually("three clients", func() bool { return b.nodeStatus().Connections == 3 })
	if err := cmd.Process.Signal(os.Signal(syscall.SIGINT)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), `"interrupted": true`) {
		t.Errorf("after Ctrl-C: %v\n%s", err, &out)
	}
	for line, want := range map[string]string{
		"conn -h 192.0.2.1":           "another machine",
		"p2p -V 7":                    "none of 3.1, 3.1.1, 5.0",
		"p2p -q 3":                    "none of 0, 1, 2",
		"p2p -s 5":                    "payload of 5 bytes",
		"pub -t a/#":                  "wildcard",
		"conn --insecure":             "for --ssl",
		"conn --ssl --certfile x":     "go together",
		"conn --ssl --cacertfile /no": "/no",
		"conn --ifaddr here":          "--ifaddr here",
		"conn -c 5 -p 1":              "none of 5 clients got ready",
	} {
		text, err := exec.Command(binary, append([]string{"bench"}, strings.Fields(line)...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(text), want) {
			t.Errorf("dunlin bench %s: %v, want %q in\n%s", line, err, want, text)
		}
	}
}
