package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// broker is the process under test. It has one address over all its lives.
type broker struct {
	cfg  Config
	addr string

	mu    sync.Mutex
	cmd   *exec.Cmd     // guarded by mu
	ended chan struct{} // of cmd; guarded by mu
}

func newBroker(cfg Config) (*broker, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &broker{cfg: cfg, addr: l.Addr().String()}
	if err := l.Close(); err != nil {
		return nil, err
	}
	loaded, dirs := "", ""
	if cfg.Plugins != "" {
		loaded, dirs = "{retainer, true}.\n", fmt.Sprintf("[plugins]\ndirs = [%q]\ncache_dir = %q\nallow_unpinned = true\n", cfg.Plugins, cfg.Cache)
	}
	for name, text := range map[string]string{
		"loaded_plugins": loaded,
		"etc/dunlin.toml": fmt.Sprintf("[mqtt]\ndurability = %q\nmax_mqueue_len = 0\nawait_rel_timeout = \"0\"\n[sys]\ninterval = \"0\"\nheartbeat = \"0\"\n%s[listener.tcp.external]\nbind = %q\n",
			cfg.Durability, dirs, b.addr),
		"etc/plugins/retainer.toml": "[plugin]\ngrant = [\"topicstore\"]\n",
	} {
		path := filepath.Join(cfg.Home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *broker) log() string { return filepath.Join(b.cfg.Home, "broker.log") }

// start runs the process until it answers a CONNECT and returns how long that
// took.
func (b *broker) start(ctx context.Context) (time.Duration, error) {
	out, err := os.OpenFile(b.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	cmd := exec.Command(b.cfg.Binary, "foreground", "--home", b.cfg.Home)
	cmd.Stdout, cmd.Stderr = out, out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(ended)
	}()
	b.mu.Lock()
	b.cmd, b.ended = cmd, ended
	b.mu.Unlock()
	for time.Since(began) < patience {
		c, err := b.connect("probe", packet.V50, true)
		if err == nil {
			c.close()
			return time.Since(began), nil
		}
		select {
		case <-ended:
			tail, _ := os.ReadFile(b.log())
			return 0, fmt.Errorf("the broker ended:\n%s", tail[max(0, len(tail)-4000):])
		default:
		}
		if err := wait(ctx, 5*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("the broker does not answer within %s", patience)
}

// kill ends the process as the kernel would.
func (b *broker) kill() {
	b.mu.Lock()
	cmd, ended := b.cmd, b.ended
	b.cmd = nil
	b.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill()
		<-ended
	}
}

// look counts the panics that the broker's log tells of: it goes on after one,
// but it must have none.
func (b *broker) look(t *tally) {
	text, err := os.ReadFile(b.log())
	if err != nil {
		t.wrong(&t.Panics, 1, "the broker's log cannot be read: %v", err)
		return
	}
	for line := range bytes.Lines(text) {
		if bytes.Contains(line, []byte("panicked")) {
			t.wrong(&t.Panics, 1, "the broker says: %.2000s", line)
		}
	}
}

// subscriptions asks the broker what a client has subscribed, with the QoS.
func (b *broker) subscriptions(client string) (map[string]byte, error) {
	var said bytes.Buffer
	cmd := exec.Command(b.cfg.Binary, "ctl", "subscriptions", "show", client, "-o", "json", "--home", b.cfg.Home)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, said.String())
	}
	var list []struct {
		Filter string `json:"topic"`
		QoS    byte   `json:"qos"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("%w in %s", err, out)
	}
	got := map[string]byte{}
	for _, s := range list {
		got[s.Filter] = s.QoS
	}
	return got, nil
}

// conn is one connection of a client.
type conn struct {
	nc      net.Conn
	v       packet.Version
	dec     packet.Decoder
	buf     []byte
	out     []byte
	present bool // the broker had the session
}

// expiry is the session expiry interval of clients that keep their session.
const expiry = 3600

// connect opens a connection; a clean one begins and leaves no session.
func (b *broker) connect(id string, v packet.Version, clean bool) (*conn, error) {
	nc, err := net.DialTimeout("tcp", b.addr, time.Second)
	if err != nil {
		return nil, err
	}
	c := &conn{nc: nc, v: v, dec: packet.Decoder{Version: v, FromServer: true}}
	p := &packet.Connect{Version: v, ClientID: id, CleanStart: clean, KeepAlive: 60}
	if v == packet.V50 && !clean {
		p.Props = packet.AppendUint32Prop(nil, packet.PropSessionExpiry, expiry)
	}
	c.send(p)
	err = c.flush()
	var got packet.Packet
	if err == nil {
		got, err = c.read()
	}
	if ack, ok := got.(*packet.Connack); err == nil && (!ok || ack.Code != packet.Success) {
		err = fmt.Errorf("the broker answers %+v to CONNECT", got)
	} else if err == nil {
		c.present = ack.SessionPresent
		return c, nil
	}
	c.close()
	return nil, err
}

func (c *conn) close() { _ = c.nc.Close() }

// send queues a packet for flush.
func (c *conn) send(p packet.Packet) { c.out = packet.Append(c.out, c.v, p) }

func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.nc.Write(c.out)
	c.out = c.out[:0]
	return err
}

// read returns the next packet, which borrows the connection's buffer. What is
// queued leaves before it waits.
func (c *conn) read() (packet.Packet, error) {
	for {
		p, n, err := c.dec.Next(c.buf)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			c.buf = c.buf[n:]
			return p, nil
		}
		if err := c.flush(); err != nil {
			return nil, err
		}
		chunk := make([]byte, len(c.buf)+32<<10)
		n = copy(chunk, c.buf)
		_ = c.nc.SetReadDeadline(time.Now().Add(patience))
		m, err := c.nc.Read(chunk[n:])
		if m == 0 {
			return nil, err
		}
		c.buf = chunk[:n+m]
	}
}
