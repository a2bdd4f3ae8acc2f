package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a [Plugins] that notes what it was asked.
type shelf struct {
	asked []string
	err   error
}

func (s *shelf) Plugins() []Plugin {
	return []Plugin{{Name: "retainer", Version: "1.2.3", Description: "keeps", Transport: "wasm", State: "active",
		Hooks: []string{"retained_store"}, Calls: 7, Faults: 1, Restarts: 2, Error: "e"}}
}

func (s *shelf) ask(verb, name string) error {
	s.asked = append(s.asked, verb+" "+name)
	return s.err
}

func (s *shelf) Load(_ context.Context, name string) error   { return s.ask("load", name) }
func (s *shelf) Unload(_ context.Context, name string) error { return s.ask("unload", name) }
func (s *shelf) Reload(_ context.Context, name string) error { return s.ask("reload", name) }
func (s *shelf) Enable(name string, on bool) error {
	return s.ask(map[bool]string{true: "enable", false: "disable"}[on], name)
}

// house is a [Broker] with fixed numbers.
type house struct{}

func (house) Counts() Counts {
	return Counts{Connections: 1, Sessions: 2, Subscriptions: 3, SharedSubscriptions: 4, Routes: 5, Retained: 6}
}

func (house) Listeners() []Listener {
	return []Listener{{ID: "tcp:external", Address: "127.0.0.1:1883", Connections: 1}}
}

// shortDir is a temporary directory whose path a socket's address can hold.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "adm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func testConfig(dir string) Config {
	return Config{DataDir: dir, Node: "n1@host", Version: "9.8.7", Started: time.UnixMilli(12345), Stop: func() {}, Log: zap.NewNop()}
}

// serve runs a server until the test ends and returns a client of it.
func serve(t *testing.T, cfg Config, p Plugins) *Client {
	t.Helper()
	s, err := Listen(cfg, p, house{})
	if err != nil {
		t.Fatalf("Listen: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	c, err := Dial(cfg.DataDir)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if _, err := os.Lstat(SocketPath(cfg.DataDir)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
		if Running(cfg.DataDir) {
			t.Error("the directory is still taken")
		}
	})
	return c
}

func TestStatus(t *testing.T) {
	c := serve(t, testConfig(shortDir(t)), &shelf{})
	r, err := c.Status(t.Context(), &adminpb.StatusRequest{})
	if err != nil {
		t.Fatalf("Status: %v", err)
	}
	if r.GetNode() != "n1@host" || r.GetVersion() != "9.8.7" || r.GetStartedAtMs() != 12345 || r.GetPid() != int64(os.Getpid()) {
		t.Errorf("Status = %v", r)
	}
	if l := r.GetListeners(); len(l) != 1 || l[0].GetId() != "tcp:external" || l[0].GetAddress() != "127.0.0.1:1883" || l[0].GetConnections() != 1 {
		t.Errorf("listeners = %v", l)
	}
	n, err := c.CountClients(t.Context(), &adminpb.CountClientsRequest{})
	if err != nil {
		t.Fatalf("CountClients: %v", err)
	}
	for _, g := range []*adminpb.Counts{r.GetCounts(), n.GetCounts()} {
		if g.GetConnections() != 1 || g.GetSessions() != 2 || g.GetSubscriptions() != 3 || g.GetSharedSubscriptions() != 4 || g.GetRoutes() != 5 || g.GetRetained() != 6 {
			t.Errorf("counts = %v", g)
		}
	}
}

func TestPlugins(t *testing.T) {
	p := &shelf{}
	c := serve(t, testConfig(shortDir(t)), p)
	r, err := c.ListPlugins(t.Context(), &adminpb.ListPluginsRequest{})
	if err != nil || len(r.GetPlugins()) != 1 {
		t.Fatalf("ListPlugins = %v, %v", r, err)
	}
	g := r.GetPlugins()[0]
	if g.GetName() != "retainer" || g.GetVersion() != "1.2.3" || g.GetTransport() != "wasm" || g.GetState() != "active" ||
		g.GetDescription() != "keeps" || g.GetError() != "e" || g.GetCalls() != 7 || g.GetFaults() != 1 || g.GetRestarts() != 2 ||
		!slices.Equal(g.GetHooks(), []string{"retained_store"}) {
		t.Errorf("plugin = %v", g)
	}
	for _, change := range []adminpb.ChangePluginRequest_Change{
		adminpb.ChangePluginRequest_CHANGE_LOAD, adminpb.ChangePluginRequest_CHANGE_UNLOAD, adminpb.ChangePluginRequest_CHANGE_RELOAD,
		adminpb.ChangePluginRequest_CHANGE_ENABLE, adminpb.ChangePluginRequest_CHANGE_DISABLE,
	} {
		if _, err := c.ChangePlugin(t.Context(), &adminpb.ChangePluginRequest{Change: change, Name: "x"}); err != nil {
			t.Errorf("%v: %v", change, err)
		}
	}
	if want := []string{"load x", "unload x", "reload x", "enable x", "disable x"}; !slices.Equal(p.asked, want) {
		t.Errorf("asked %q, want %q", p.asked, want)
	}
}

func TestErrorsBecomeCodes(t *testing.T) {
	p := &shelf{}
	c := serve(t, testConfig(shortDir(t)), p)
	for _, x := range []struct {
		err  error
		want codes.Code
	}{
		{fmt.Errorf("plugin x: %w", ErrNotFound), codes.NotFound},
		{fmt.Errorf("plugin x: %w", ErrState), codes.FailedPrecondition},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{context.Canceled, codes.Canceled},
		{errors.New("disk is full"), codes.Unknown},
	} {
		p.err = x.err
		_, err := c.ChangePlugin(t.Context(), &adminpb.ChangePluginRequest{Change: adminpb.ChangePluginRequest_CHANGE_LOAD, Name: "x"})
		if status.Code(err) != x.want || status.Convert(err).Message() != x.err.Error() {
			t.Errorf("%v became %v, want %v", x.err, err, x.want)
		}
	}
	p.asked = nil
	_, err := c.ChangePlugin(t.Context(), &adminpb.ChangePluginRequest{Name: "x"})
	if status.Code(err) != codes.InvalidArgument || p.asked != nil {
		t.Errorf("no change: %v, asked %q", err, p.asked)
	}
}

// teller answers commands with what it was asked, or with err.
type teller struct{ err error }

func (a *teller) Command(_ context.Context, plugin, name string, body []byte) ([]byte, error) {
	return []byte(plugin + " " + name + " " + string(body)), a.err
}

// TestCommandsReachPlugins: with the answer or the error and its code; a node
// without plugins says so.
func TestCommandsReachPlugins(t *testing.T) {
	tell := &teller{}
	cfg := testConfig(shortDir(t))
	cfg.Operator.Commands = tell
	c := serve(t, cfg, &shelf{})
	ask := &adminpb.PluginCommandRequest{Plugin: "rules", Name: "list", Body: []byte("{}")}
	r, err := c.PluginCommand(t.Context(), ask)
	if err != nil || string(r.GetBody()) != "rules list {}" {
		t.Errorf("%q, %v", r.GetBody(), err)
	}
	tell.err = fmt.Errorf("no rule: %w", ErrInvalid)
	if _, err := c.PluginCommand(t.Context(), ask); status.Code(err) != codes.InvalidArgument {
		t.Errorf("refused: %v", err)
	}
	bare := serve(t, testConfig(shortDir(t)), &shelf{})
	if _, err := bare.PluginCommand(t.Context(), ask); status.Code(err) != codes.Unimplemented {
		t.Errorf("nobody to ask: %v", err)
	}
}

func TestStopIsPassedOn(t *testing.T) {
	cfg := testConfig(shortDir(t))
	stopped := make(chan struct{})
	cfg.Stop = func() { close(stopped) }
	c := serve(t, cfg, &shelf{})
	if _, err := c.Stop(t.Context(), &adminpb.StopRequest{}); err != nil {
		t.Fatalf("Stop: %v", err)
	}
	<-stopped
}

// A node that is stopped before it serves has been stopped, and has not failed.
func TestStoppedBeforeItServes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 { // whether it serves first is up to the scheduler
		s, err := Listen(Config{DataDir: t.TempDir()}, nil, house{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSocketIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // access is by the directory's list there, not by a mode
	}
	dir := shortDir(t)
	serve(t, testConfig(dir), &shelf{})
	fi, err := os.Lstat(SocketPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	if fi.Mode().Type() != fs.ModeSocket || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode of the socket is %v", fi.Mode())
	}
	left, err := filepath.Glob(filepath.Join(dir, ".s*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestSecondNodeIsRefused(t *testing.T) {
	cfg := testConfig(shortDir(t))
	c := serve(t, cfg, &shelf{})
	if !Running(cfg.DataDir) {
		t.Error("Running is false while a node runs")
	}
	_, err := Listen(cfg, &shelf{}, house{})
	if !errors.Is(err, ErrRunning) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second Listen: %v", err)
	}
	if _, err := c.Status(t.Context(), &adminpb.StatusRequest{}); err != nil {
		t.Errorf("the first node does not answer any more: %v", err)
	}
}

// A node that was killed leaves its socket and its lock file.
func TestStaleSocketIsReplaced(t *testing.T) {
	cfg := testConfig(shortDir(t))
	first, err := Listen(cfg, &shelf{}, house{})
	if err != nil {
		t.Fatal(err)
	}
	// What the system does for a killed process.
	if err := errors.Join(first.listener.Close(), first.lock.file.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(SocketPath(cfg.DataDir)); err != nil {
		t.Fatalf("no stale socket: %v", err)
	}
	if Running(cfg.DataDir) {
		t.Error("Running is true for a dead node")
	}
	c := serve(t, cfg, &shelf{})
	if _, err := c.Status(t.Context(), &adminpb.StatusRequest{}); err != nil {
		t.Errorf("Status: %v", err)
	}
}

func TestFilesOfOthersAreKept(t *testing.T) {
	cfg := testConfig(shortDir(t))
	if err := os.WriteFile(SocketPath(cfg.DataDir), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(cfg, &shelf{}, house{}); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("Listen: %v", err)
	}
	if text, err := os.ReadFile(SocketPath(cfg.DataDir)); err != nil || string(text) != "mine" {
		t.Errorf("the file is %q, %v", text, err)
	}
	if Running(cfg.DataDir) {
		t.Error("a failed Listen keeps the directory")
	}
}

func TestLongPathIsExplained(t *testing.T) {
	cfg := testConfig(filepath.Join(shortDir(t), strings.Repeat("d", maxSocketPath)))
	if err := os.Mkdir(cfg.DataDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(cfg, &shelf{}, house{}); err == nil || !strings.Contains(err.Error(), "choose a shorter data directory") {
		t.Errorf("Listen: %v", err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	c, err := Dial(shortDir(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Status(t.Context(), &adminpb.StatusRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("Status: %v, want Unavailable", err)
	}
}

func TestCloseWithoutRun(t *testing.T) {
	cfg := testConfig(shortDir(t))
	for range 2 {
		s, err := Listen(cfg, &shelf{}, house{})
		if err != nil {
			t.Fatalf("Listen: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}
}
