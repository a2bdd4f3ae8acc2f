package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// window is how many QoS 1 and 2 messages every broker may have under way to a
// client. Their defaults differ from 20 to 1,024, and a smaller one than the
// publishers' would measure that.
const window = 1000

// floor is the forwarder that is no broker: what its rows cost nobody can save.
const floor = "floor"

// broker is a kind of broker that can be started here.
type broker struct {
	name    string
	path    string // of the program
	version string
	// command makes the process for a directory of its own; ports are tcp, ssl and
	// ws, as many as it has.
	command func(path, dir string, ports []int) (*exec.Cmd, error)
	ports   int
	cert    bool // has a TLS listener
}

// instance is a running broker.
type instance struct {
	broker *broker
	cmd    *exec.Cmd
	ports  []int
	dir    string
	ended  chan struct{}
	log    *os.File
}

// brokers are those whose programs are there, Dunlin first.
func brokers(dunlin, plugins, peers string) ([]*broker, error) {
	d := &broker{name: "dunlin", path: dunlin, ports: 3, cert: true, command: func(path, dir string, ports []int) (*exec.Cmd, error) {
		return dunlinCommand(path, plugins, dir, ports)
	}}
	out, err := exec.Command(dunlin, "version").Output()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", dunlin, err)
	}
	d.version = strings.TrimSpace(strings.SplitN(string(out), "\n", 2)[0])
	all := []*broker{d}
	if path, err := exec.LookPath("mosquitto"); err == nil {
		all = append(all, &broker{name: "mosquitto", path: path, ports: 1, command: mosquittoCommand, version: mosquittoVersion(path)})
	} else if path = "/usr/sbin/mosquitto"; fileExists(path) {
		all = append(all, &broker{name: "mosquitto", path: path, ports: 1, command: mosquittoCommand, version: mosquittoVersion(path)})
	}
	for name, module := range map[string]string{"mochi": "mochi-mqtt/server/v2", "nats": "nats-io/nats-server/v2"} {
		path := filepath.Join(peers, name)
		if !fileExists(path) {
			continue
		}
		all = append(all, &broker{name: name, path: path, ports: 1, version: moduleVersion(path, module), command: func(path, dir string, ports []int) (*exec.Cmd, error) {
			return exec.Command(path, "-addr", fmt.Sprintf("127.0.0.1:%d", ports[0]), "-dir", dir), nil
		}})
	}
	if path := filepath.Join(peers, floor); fileExists(path) {
		all = append(all, &broker{name: floor, path: path, ports: 1, version: "bench/floor", command: func(path, _ string, ports []int) (*exec.Cmd, error) {
			return exec.Command(path, "-addr", fmt.Sprintf("127.0.0.1:%d", ports[0])), nil
		}})
	}
	return all, nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// mosquittoVersion is the first line of its help.
func mosquittoVersion(path string) string {
	out, _ := exec.Command(path, "-h").CombinedOutput() // exits with 3
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}

// moduleVersion is what `go version -m` says of a module in a program.
func moduleVersion(path, module string) string {
	out, err := exec.Command("go", "version", "-m", path).Output()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 2 && strings.HasSuffix(f[1], module) {
			return f[1] + " " + f[2]
		}
	}
	return ""
}

func mosquittoCommand(path, dir string, ports []int) (*exec.Cmd, error) {
	conf := filepath.Join(dir, "mosquitto.conf")
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nmax_inflight_messages %d\nmax_queued_messages 0\nset_tcp_nodelay true\n", ports[0], window)
	return exec.Command(path, "-c", conf), os.WriteFile(conf, []byte(text), 0o600)
}

// dunlinCommand is a node with its listeners, the plugins acl (20 rules) and
// retainer, and what is needed that no limit of the configuration is measured.
func dunlinCommand(path, plugins, dir string, ports []int) (*exec.Cmd, error) {
	var rules strings.Builder
	for i := range 19 {
		fmt.Fprintf(&rules, "{allow, {user, \"u%d\"}, pubsub, [\"private/%d/#\"]}.\n", i, i)
	}
	rules.WriteString("{allow, all}.\n")
	conf := fmt.Sprintf(`
[plugins]
dirs = [%q]
cache_dir = %q
allow_unpinned = true
[zone.external]
max_inflight = %d
max_mqueue_len = 0
[listener.tcp.external]
bind = "127.0.0.1:%d"
max_conn_rate = 0
[listener.ssl.external]
bind = "127.0.0.1:%d"
certfile = "etc/certs/cert.pem"
keyfile = "etc/certs/key.pem"
max_conn_rate = 0
[listener.ws.external]
bind = "127.0.0.1:%d"
max_conn_rate = 0
`, plugins, filepath.Join(os.TempDir(), "dunlin-bench-plugin-cache"), window, ports[0], ports[1], ports[2])
	files := map[string]string{
		"etc/dunlin.toml": conf, "etc/acl.conf": rules.String(),
		"loaded_plugins":            "{acl, true}.\n{retainer, true}.\n",
		"etc/plugins/acl.toml":      "[config]\nrules = \"${file:../acl.conf}\"\n",
		"etc/plugins/retainer.toml": "[plugin]\ngrant = [\"topicstore\"]\n[config]\nmax_retained_messages = 0\n",
	}
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o750), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			return nil, err
		}
	}
	if out, err := exec.Command(path, "cert", "dev", "--home", dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make a certificate: %w: %s", err, out)
	}
	return exec.Command(path, "foreground", "--home", dir), nil
}

// start runs b in a directory of its own and waits until it listens.
func (b *broker) start() (*instance, error) {
	dir, err := os.MkdirTemp("", "dlb")
	if err != nil {
		return nil, err
	}
	i := &instance{broker: b, dir: dir, ended: make(chan struct{})}
	for range b.ports {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		i.ports = append(i.ports, port)
	}
	if i.cmd, err = b.command(b.path, dir, i.ports); err != nil {
		return nil, fmt.Errorf("%s: %w", b.name, err)
	}
	if i.log, err = os.Create(filepath.Join(dir, "output")); err != nil {
		return nil, err
	}
	i.cmd.Stdout, i.cmd.Stderr = i.log, i.log
	if err := i.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", b.name, err)
	}
	go func() { _ = i.cmd.Wait(); close(i.ended) }()
	for _, port := range i.ports {
		if err := i.listens(port); err != nil {
			i.stop()
			return nil, err
		}
	}
	return i, nil
}

func (i *instance) listens(port int) error {
	limit := time.After(30 * time.Second)
	for {
		nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return nc.Close()
		}
		select {
		case <-i.ended:
			text, _ := os.ReadFile(i.log.Name())
			return fmt.Errorf("%s has ended: %s", i.broker.name, text)
		case <-limit:
			return fmt.Errorf("%s does not listen: %w", i.broker.name, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the broker and removes what it has kept.
func (i *instance) stop() {
	_ = i.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-i.ended:
	case <-time.After(10 * time.Second):
		_ = i.cmd.Process.Kill()
		<-i.ended
	}
	_ = i.log.Close()
	_ = os.RemoveAll(i.dir)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
