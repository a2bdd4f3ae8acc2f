// Package test starts the real broker and speaks to it as its users do, with
// real clients. It refuses to know the broker's inside.
package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The broker under test, built once by TestMain (or $DUNLIN_BINARY, for one that
// is built already), the checkout, and a cache of compiled plugins that all
// brokers of the run share.
var binary, repo, pluginCache string

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "dunlin-test")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if repo, err = filepath.Abs(".."); err != nil {
		return 1, err
	}
	pluginCache = filepath.Join(dir, "plugin-cache")
	if binary = os.Getenv("DUNLIN_BINARY"); binary == "" {
		binary = filepath.Join(dir, "dunlin")
		if err := buildBroker(); err != nil {
			return 1, err
		}
	}
	if _, err := os.Stat(filepath.Join(repo, "build", "plugins", "retainer", "retainer.wasm")); err != nil {
		return 1, fmt.Errorf("the plugins are not built: run make plugins first: %w", err)
	}
	return m.Run(), nil
}

func buildBroker() error {
	out, err := exec.Command("go", "build", "-o", binary, "../cmd/dunlin").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the broker: %w\n%s", err, out)
	}
	return nil
}

// setup is how a test wants its broker.
type setup struct {
	plugins   []string // in chain order; nil: none
	config    string   // TOML that goes before the listeners
	listeners string   // TOML; "": tcp, ws, ssl and wss on free ports
	etc       map[string]string
}

// broker is a running broker.
type broker struct {
	t     *testing.T
	home  string
	cmd   *exec.Cmd
	addrs map[string]string // listener id to address
	log   *lockedBuffer
	ended chan error
}

// lockedBuffer collects the broker's standard error.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const defaultListeners = `
[listener.tcp.external]
bind = "127.0.0.1:0"
[listener.ssl.external]
bind = "127.0.0.1:0"
certfile = "etc/certs/cert.pem"
keyfile = "etc/certs/key.pem"
[listener.ws.external]
bind = "127.0.0.1:0"
[listener.wss.external]
bind = "127.0.0.1:0"
certfile = "etc/certs/cert.pem"
keyfile = "etc/certs/key.pem"
`

// start runs a broker in a directory of its own until the test ends.
func start(t *testing.T, s setup) *broker {
	t.Helper()
	// A unix socket's path is short, so the directory is not the test's.
	home, err := os.MkdirTemp("", "dl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	b := &broker{t: t, home: home}
	b.write(s)
	b.run()
	t.Cleanup(func() {
		b.stop()
		if t.Failed() {
			t.Logf("the broker's log:\n%s", b.log)
		}
	})
	return b
}

func (b *broker) write(s setup) {
	if s.listeners == "" {
		s.listeners = defaultListeners
	}
	var loaded strings.Builder
	for _, p := range s.plugins {
		fmt.Fprintf(&loaded, "{%s, true}.\n", p)
	}
	files := map[string]string{
		"loaded_plugins": loaded.String(),
		"etc/dunlin.toml": fmt.Sprintf("%s\n[plugins]\ndirs = [%q, %q]\ncache_dir = %q\nallow_unpinned = true\n%s",
			s.config, filepath.Join(repo, "build", "plugins"), filepath.Join(b.home, "plugins"), pluginCache, s.listeners),
	}
	for _, name := range []string{"retainer", "presence"} {
		text, err := os.ReadFile(filepath.Join(repo, "etc", "plugins", name+".toml"))
		if err != nil {
			b.t.Fatal(err)
		}
		files["etc/plugins/"+name+".toml"] = string(text)
	}
	for name, text := range s.etc {
		files[name] = text
	}
	for name, text := range files {
		path := filepath.Join(b.home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	if out, err := b.dunlin("cert", "dev").CombinedOutput(); err != nil {
		b.t.Fatalf("make a certificate: %v\n%s", err, out)
	}
}

// dunlin is the command with the broker's home.
func (b *broker) dunlin(args ...string) *exec.Cmd {
	return exec.Command(binary, append(args, "--home", b.home)...)
}

// run starts the process and waits until it listens.
func (b *broker) run() {
	b.t.Helper()
	b.log = new(lockedBuffer)
	b.cmd = b.dunlin("foreground")
	b.cmd.Stderr = b.log
	b.cmd.Stdout = b.log
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.ended = make(chan error, 1)
	cmd, ended := b.cmd, b.ended
	go func() { ended <- cmd.Wait() }()
	b.eventually("the broker listens", func() bool {
		select {
		case err := <-b.ended:
			b.ended <- err
			b.t.Fatalf("the broker ended: %v\n%s", err, b.log)
		default:
		}
		return b.status() == nil
	})
}

func (b *broker) status() error {
	out, err := b.dunlin("ctl", "status", "-o", "json").Output()
	if err != nil {
		return err
	}
	var st struct {
		Listeners []struct{ ID, Address string }
	}
	if err := json.Unmarshal(out, &st); err != nil {
		return err
	}
	b.addrs = map[string]string{}
	for _, l := range st.Listeners {
		b.addrs[l.ID] = l.Address
	}
	if len(st.Listeners) == 0 {
		return fmt.Errorf("no listeners in %s", out)
	}
	return nil
}

// addr is the address of a listener, for example "tcp:external".
func (b *broker) addr(id string) string {
	b.t.Helper()
	a := b.addrs[id]
	if a == "" {
		b.t.Fatalf("no listener %s in %v", id, b.addrs)
	}
	return a
}

func (b *broker) port(id string) string {
	_, port, err := net.SplitHostPort(b.addr(id))
	if err != nil {
		b.t.Fatal(err)
	}
	return port
}

// ctl runs a command of `dunlin ctl` and insists that it works.
func (b *broker) ctl(args ...string) string {
	b.t.Helper()
	out, err := b.tryCtl(args...)
	if err != nil {
		b.t.Fatalf("ctl %v: %v\n%s", args, err, out)
	}
	return out
}

// tryCtl runs a command of `dunlin ctl` and returns all that it said.
func (b *broker) tryCtl(args ...string) (string, error) {
	out, err := b.dunlin(append([]string{"ctl"}, args...)...).CombinedOutput()
	return string(out), err
}

// stop ends the broker cleanly and insists on it.
func (b *broker) stop() {
	if b.cmd == nil {
		return
	}
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-b.ended:
		if err != nil {
			b.t.Errorf("the broker ended with %v\n%s", err, b.log)
		}
	case <-time.After(15 * time.Second):
		b.t.Errorf("the broker did not stop\n%s", b.log)
		_ = b.cmd.Process.Kill()
		<-b.ended
	}
	b.cmd = nil
}

// kill ends the broker as the kernel would.
func (b *broker) kill() {
	_ = b.cmd.Process.Kill()
	<-b.ended
	b.cmd = nil
}

// alive insists that the broker still runs and serves a round trip.
func (b *broker) alive() {
	b.t.Helper()
	select {
	case err := <-b.ended:
		b.t.Fatalf("the broker ended: %v\n%s", err, b.log)
	default:
	}
	c := b.dial(v311)
	defer c.close()
	c.connect("alive-check")
	c.subscribe("alive/check", 1)
	c.publish("alive/check", "yes", 1)
	c.expect("alive/check", "yes")
}

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// eventually waits for a condition without a fixed sleep being what makes it true.
func (b *broker) eventually(what string, ok func() bool) {
	b.t.Helper()
	b.within(patience, what, ok)
}

// within is eventually with a bound of its own.
func (b *broker) within(limit time.Duration, what string, ok func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			b.t.Fatalf("waited in vain: %s\n%s", what, b.log)
		case <-tick.C:
		}
	}
}
