package main

import (
	"bytes"
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
	addr string
	said *os.File
}

// start starts the broker of a name in a directory of its own.
func start(s setup, name string) (*broker, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &broker{addr: l.Addr().String()}
	if err := l.Close(); err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp(s.dir, "b")
	if err != nil {
		return nil, err
	}
	file, text := filepath.Join(home, "etc", "dunlin.toml"), ""
	switch name {
	case "mosquitto":
		file = filepath.Join(home, "mosquitto.conf")
		text = fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location %s/\nmax_queued_messages 0\nmax_inflight_messages 100\n",
			l.Addr().(*net.TCPAddr).Port, home)
		b.cmd = exec.Command("mosquitto", "-c", file)
	case "mochi", "mochi-sync":
		b.cmd = exec.Command(s.mochi, "-addr", b.addr, "-dir", home, "-keep", map[string]string{"mochi": "nosync", "mochi-sync": "sync"}[name])
	case "memory", "async", "sync":
		text = fmt.Sprintf("[mqtt]\ndurability = %q\nmax_mqueue_len = 0\nmax_inflight = 100\n[sys]\ninterval = \"0\"\nheartbeat = \"0\"\n[listener.tcp.external]\nbind = %q\nmax_conn_rate = 0\n", name, b.addr)
		b.cmd = exec.Command(s.binary, "foreground", "--home", home)
	default:
		return nil, fmt.Errorf("no broker is named %q", name)
	}
	err = os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = os.WriteFile(file, []byte(text), 0o600)
	}
	if err == nil && name != "mosquitto" {
		err = os.WriteFile(filepath.Join(home, "loaded_plugins"), nil, 0o600)
	}
	if err == nil {
		b.said, err = os.Create(filepath.Join(home, "said"))
	}
	if err != nil {
		return nil, err
	}
	b.cmd.Stdout, b.cmd.Stderr = b.said, b.said
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	return b, b.await()
}

// await waits until the broker takes connections.
func (b *broker) await() error {
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); {
		c, err := net.Dial("tcp", b.addr)
		if err == nil {
			return c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.stop()
	text, _ := os.ReadFile(b.said.Name())
	return fmt.Errorf("it takes no connections:\n%s", text)
}

func (b *broker) stop() {
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
	_ = b.said.Close()
}

// written is how many bytes the broker has had written to a disk.
func (b *broker) written() (n int64, err error) {
	io, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", b.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(io, []byte("\nwrite_bytes: "))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return strconv.ParseInt(string(line), 10, 64)
}
