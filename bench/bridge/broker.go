package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// broker is a broker's process.
type broker struct {
	cmd  *exec.Cmd
	port int
	home string
}

// pair is a broker with a bridge to another.
type pair struct{ here, there *broker }

// start starts the brokers of a name, the bridge is of one QoS.
func start(s setup, name string, qos byte) (p pair, err error) {
	kinds := map[string]func(setup, *broker, int, byte) error{"dunlin": dunlin, "mosquitto": mosquitto}
	run := kinds[name]
	if run == nil {
		return p, fmt.Errorf("no broker is named %q", name)
	}
	one := func(to int) (*broker, error) {
		b := &broker{}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		b.port = l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return nil, err
		}
		if b.home, err = os.MkdirTemp(s.dir, "b"); err != nil {
			return nil, err
		}
		return b, errors.Join(run(s, b, to, qos), b.begin())
	}
	if p.there, err = one(0); err != nil {
		return p, err
	}
	p.here, err = one(p.there.port)
	return p, err
}

// dunlin writes the files of a Dunlin; to is the port that its bridge goes to, 0: it
// has none.
func dunlin(s setup, b *broker, to int, qos byte) error {
	plugins, err := filepath.Abs(s.plugins) // the broker runs elsewhere
	if err != nil {
		return err
	}
	files := map[string]string{
		"etc/dunlin.toml": fmt.Sprintf("[mqtt]\nmax_mqueue_len = 0\nmax_inflight = 1000\n[sys]\ninterval = \"0\"\nheartbeat = \"0\"\n"+
			"[plugins]\nallow_unpinned = true\ndirs = [%q]\n[listener.tcp.external]\nbind = \"127.0.0.1:%d\"\nmax_conn_rate = 0\n", plugins, b.port),
		"loaded_plugins": "",
	}
	if to > 0 {
		files["loaded_plugins"] = "{bridge_mqtt, true}.\n"
		files["etc/plugins/bridge_mqtt.toml"] = fmt.Sprintf("[plugin]\ngrant = [\"publish\"]\n[config.bridges.there]\naddress = \"tcp://127.0.0.1:%d\"\nmax_inflight = %d\n"+
			"topics = [{filter = \"part/#\", direction = \"out\", qos = %d}]\n", to, s.inflight, qos)
	}
	for name, text := range files {
		path := filepath.Join(b.home, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			return err
		}
	}
	b.cmd = exec.Command(s.binary, "foreground", "--home", b.home)
	return nil
}

// mosquitto is dunlin for mosquitto, whose bridge is a part of the broker.
func mosquitto(s setup, b *broker, to int, qos byte) error {
	text := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\nmax_queued_messages 0\nmax_inflight_messages %d\n",
		b.port, b.home, s.inflight)
	if to > 0 {
		text += fmt.Sprintf("connection there\naddress 127.0.0.1:%d\nbridge_protocol_version mqttv50\ncleansession false\nnotifications false\ntopic part/# out %d\n", to, qos)
	}
	file := filepath.Join(b.home, "mosquitto.conf")
	b.cmd = exec.Command("mosquitto", "-c", file)
	return errors.Join(os.Chmod(b.home, 0o777), os.WriteFile(file, []byte(text), 0o644))
}

// begin starts the process and waits until it takes connections.
func (b *broker) begin() error {
	said, err := os.Create(filepath.Join(b.home, "said"))
	if err != nil {
		return err
	}
	b.cmd.Stdout, b.cmd.Stderr = said, said
	if err := errors.Join(b.cmd.Start(), said.Close()); err != nil {
		return err
	}
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); {
		c, err := net.Dial("tcp", b.addr())
		if err == nil {
			return c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.stop()
	return fmt.Errorf("it takes no connections:\n%s", b.said())
}

func (b *broker) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(b.port)) }

// said is what the process has written.
func (b *broker) said() string {
	text, _ := os.ReadFile(filepath.Join(b.home, "said"))
	return string(text)
}

func (b *broker) stop() {
	if b == nil || b.cmd == nil || b.cmd.Process == nil {
		return
	}
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
}

// child is the first process that b has started; 0: none.
func (b *broker) child() int {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", b.cmd.Process.Pid))
	for _, path := range tasks {
		text, _ := os.ReadFile(path)
		if f := bytes.Fields(text); len(f) > 0 {
			pid, _ := strconv.Atoi(string(f[0]))
			return pid
		}
	}
	return 0
}
