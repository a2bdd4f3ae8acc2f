package load

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// mosquitto starts the peer with a plain and a WebSocket listener.
func mosquitto(t *testing.T) (pid, port, wsPort int) {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto"
	}
	for range 5 { // somebody else may take a port meanwhile
		port, wsPort = freePort(t), freePort(t)
		conf := filepath.Join(t.TempDir(), "mosquitto.conf")
		text := fmt.Sprintf("allow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\nlistener %d 127.0.0.1\nlistener %d 127.0.0.1\nprotocol websockets\n", port, wsPort)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(path, "-c", conf)
		if err := cmd.Start(); err != nil {
			t.Fatalf("mosquitto (apt-get install mosquitto): %v", err)
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
		if listens(port, ended) && listens(wsPort, ended) {
			return cmd.Process.Pid, port, wsPort
		}
	}
	t.Fatal("mosquitto does not listen")
	return 0, 0, 0
}

// listens waits until somebody listens on the port, or the process has ended.
func listens(port int, ended <-chan struct{}) bool {
	for {
		nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = nc.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// brief is a run that takes no time worth mentioning.
func brief(kind Kind, port int) Config {
	return Config{
		Kind:    kind,
		Target:  Target{Host: "127.0.0.1", Port: port},
		Clients: Clients{Count: 5, KeepAlive: 60},
		Flow:    Flow{Size: 64, Window: 20},
		Pace:    Pace{Duration: 150 * time.Millisecond},
	}
}

func must(t *testing.T, cfg Config) *Result {
	t.Helper()
	res, err := Run(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// Every kind of run, each version and quality of service, on sockets and by
// WebSocket: nothing is lost, nothing comes twice, all is measured.
func TestRunsAgainstMosquitto(t *testing.T) {
	pid, port, wsPort := mosquitto(t)
	for _, c := range []struct {
		kind    Kind
		qos     byte
		version packet.Version
		path    string
	}{
		{P2P, 0, packet.V31, ""}, {P2P, 1, packet.V31, ""}, {P2P, 0, packet.V50, ""}, {P2P, 1, packet.V50, ""}, {P2P, 2, packet.V50, ""},
		{P2P, 0, packet.V311, ""}, {P2P, 1, packet.V311, ""}, {P2P, 2, packet.V311, ""}, {P2P, 2, packet.V311, "/mqtt"}, {P2P, 0, packet.V50, "mqtt"},
		{Fan, 0, packet.V311, ""}, {Fan, 2, packet.V50, ""}, {Fan, 1, packet.V311, "/mqtt"},
		{Storm, 0, packet.V311, ""}, {Storm, 2, packet.V50, ""}, {Storm, 1, packet.V311, "/mqtt"},
		{Pub, 0, packet.V311, ""}, {Pub, 1, packet.V311, ""}, {Pub, 2, packet.V50, "/mqtt"},
		{Conn, 0, packet.V311, ""}, {Conn, 0, packet.V50, "/mqtt"},
	} {
		cfg := brief(c.kind, port)
		cfg.PID, cfg.Flow.QoS, cfg.Clients.Version = pid, c.qos, c.version
		if cfg.Target.WebSocket = c.path; c.path != "" {
			cfg.Target.Port = wsPort
		}
		switch {
		case c.kind == Pub:
			cfg.Flow.Topic = "a/%i/%c"
			cfg.Flow.Rate = 1000 // without, QoS 0 leaves mosquitto far behind
		case c.kind == Storm && c.path != "":
			cfg.Pace.Duration = 2 * time.Second // mosquitto answers an upgrade late
		}
		res := must(t, cfg)
		name := fmt.Sprintf("%s qos %d %s %s", c.kind, c.qos, c.version, res.Layers)
		if res.Lost != 0 || res.Duplicates != 0 || res.OutOfOrder != 0 || res.Foreign != 0 || res.Failed != 0 || res.Closed != 0 {
			t.Errorf("%s: %+v", name, res)
		}
		checkMeasured(t, name, res)
	}
}

func checkMeasured(t *testing.T, name string, r *Result) {
	t.Helper()
	if r.Kind != Storm && r.Ready != int64(r.Clients) {
		t.Errorf("%s: %d of %d are ready", name, r.Ready, r.Clients)
	}
	switch r.Kind {
	case P2P:
		if r.Received != r.Sent || r.Sent == 0 || r.ReceivedPerSecond == 0 {
			t.Errorf("%s: sent %d, received %d", name, r.Sent, r.Received)
		}
	case Fan:
		if r.Received != r.Sent*5 || r.Sent == 0 {
			t.Errorf("%s: sent %d, received %d by 5", name, r.Sent, r.Received)
		}
	case Storm:
		if r.Cycles == 0 || r.CyclesPerSecond == 0 {
			t.Errorf("%s: no cycles", name)
		}
	case Pub:
		if r.Sent == 0 || r.QoS > 0 && r.Acked != r.Sent {
			t.Errorf("%s: sent %d, acknowledged %d", name, r.Sent, r.Acked)
		}
	}
	if measured := r.Kind != Pub || r.QoS > 0; measured && (r.Latency.P50 <= 0 || r.Latency.P999 < r.Latency.P50 || r.Latency.Max < r.Latency.P999) {
		t.Errorf("%s: latency %+v", name, r.Latency)
	}
	if r.Broker == nil || r.Broker.Resident == 0 {
		t.Errorf("%s: the broker's process is not measured: %+v", name, r.Broker)
	}
}

// What pub sends in one run, sub measures in another.
func TestSubMeasuresPub(t *testing.T) {
	_, port, _ := mosquitto(t)
	sub := brief(Sub, port)
	sub.Flow.Topic, sub.Flow.QoS, sub.Clients.Count = "x/#", 1, 2
	sub.Pace.Duration = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	subscribed := make(chan struct{})
	done := make(chan *Result, 1)
	go func() {
		told := false
		res, err := Run(ctx, sub, func(p Progress) {
			switch {
			case p.Phase == Measuring && !told:
				told = true
				close(subscribed)
			}
		})
		if err != nil {
			t.Error(err)
		}
		done <- res
	}()
	<-subscribed
	pub := brief(Pub, port)
	pub.Flow.Topic, pub.Flow.QoS, pub.Flow.Limit = "x/%i", 1, 503
	pub.Pace.Duration = time.Minute
	sent := must(t, pub)
	cancel()
	got := <-done
	if sent.Sent != 503 || sent.Acked != 503 {
		t.Errorf("published %d, acknowledged %d, want 503", sent.Sent, sent.Acked)
	}
	if got == nil || got.Received != 2*503 || got.Lost != 0 || got.Latency.P50 <= 0 || !got.Interrupted {
		t.Errorf("received %+v, want twice 503", got)
	}
}

// A rate is kept, and many publishers reach one subscriber.
func TestRateAndFanIn(t *testing.T) {
	_, port, _ := mosquitto(t)
	cfg := brief(Fan, port)
	cfg.Flow.In, cfg.Flow.Rate, cfg.Flow.Limit = true, 2000, 300
	cfg.Pace.Duration = time.Minute
	res := must(t, cfg)
	if res.Sent != 300 || res.Received != 300 || res.Lost != 0 {
		t.Errorf("sent %d, received %d, want 300", res.Sent, res.Received)
	}
	if res.Seconds < 0.14 {
		t.Errorf("300 messages at 2,000 a second took %.3f s", res.Seconds)
	}
}

// An address that nobody listens on, a foreign machine, a run that cannot be.
func TestRefusals(t *testing.T) {
	cfg := brief(P2P, freePort(t))
	if _, err := Run(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody listens: %v", err)
	}
	cfg = brief(Conn, freePort(t))
	if _, err := Run(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), "none of 5 clients") {
		t.Errorf("nobody listens: %v", err)
	}
	cfg.Target.Host = "192.0.2.1"
	if _, err := Run(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), "--i-own-this-broker") {
		t.Errorf("another machine: %v", err)
	}
	cfg = brief(Conn, 1883)
	cfg.PID = 1 << 30
	if _, err := Run(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), "process 1073741824") {
		t.Errorf("no such process: %v", err)
	}
	cfg = brief(Conn, 1883)
	cfg.Clients.Count = MaxClients
	if _, err := Run(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), "descriptors") {
		t.Errorf("more connections than descriptors: %v", err)
	}
}
