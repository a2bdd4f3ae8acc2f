package conn_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/conn"
	"github.com/dunlinmq/dunlin/core/listener"
	"github.com/dunlinmq/dunlin/core/router"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// A test packet is a 4-byte length of what follows, a command byte and a body.
const (
	cmdEcho  = 'e' // comes back
	cmdSend  = 's' // goes to all other machines of the hub
	cmdPause = 'p' // comes back, and no input is taken until resume
	cmdClose = 'c' // comes back, and the connection is closed
	cmdBlast = 'b' // the body's 4 bytes say how many bytes of 'z' packets to send
	cmdPanic = 'x'
	cmdBlock = 'w' // waits for the hub's gate
	cmdWork  = 'k' // keeps its loop busy for the nanoseconds in the body's 8 bytes
	cmdNext  = 't' // the body's 8 bytes are a deadline from now; the tick is answered
)

func packet(cmd byte, body []byte) []byte {
	p := binary.BigEndian.AppendUint32(nil, uint32(1+len(body)))
	return append(append(p, cmd), body...)
}

// hub is what the machines of a test share.
type hub struct {
	gate chan struct{} // cmdBlock waits for its closing

	mu       sync.Mutex
	machines []*machine
}

func (h *hub) others(m *machine) []*machine {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*machine, 0, len(h.machines))
	for _, o := range h.machines {
		if o != m {
			out = append(out, o)
		}
	}
	return out
}

// machine is a fake of the protocol: it checks that its methods are called one
// at a time and Lost once.
type machine struct {
	hub  *hub
	wake conn.Waker

	inside atomic.Int32
	lost   atomic.Int32
	lostBy error // after lostc is closed
	lostc  chan struct{}
	runs   atomic.Int32
	inputs atomic.Int32
	faults atomic.Int32 // calls that overlapped or came after Lost

	mu     sync.Mutex
	mail   [][]byte
	resume bool
	quit   bool

	// Owned by the turn.
	blast int
	most  int // largest backlog seen
}

func (m *machine) in() func() {
	if m.inside.Add(1) != 1 || m.lost.Load() != 0 {
		m.faults.Add(1)
	}
	return func() { m.inside.Add(-1) }
}

func (m *machine) Input(io *channel.IO, b []byte) (n int) {
	defer m.in()()
	m.inputs.Add(1)
	for !io.Pause && !io.Close && len(b)-n >= 5 {
		size := int(binary.BigEndian.Uint32(b[n:]))
		if len(b)-n-4 < size {
			break
		}
		p := b[n : n+4+size]
		n += len(p)
		m.handle(io, p)
	}
	return n
}

func (m *machine) handle(io *channel.IO, p []byte) {
	body := p[5:]
	switch p[4] {
	case cmdEcho:
		io.Out = append(io.Out, p...)
	case cmdSend:
		for _, o := range m.hub.others(m) {
			o.deliver(io.Batch, p)
		}
	case cmdWork:
		d := time.Duration(binary.BigEndian.Uint64(body))
		for start := time.Now(); time.Since(start) < d; {
		}
	case cmdPause:
		io.Out = append(io.Out, p...)
		io.Pause = true
	case cmdClose:
		io.Out = append(io.Out, p...)
		io.Close = true
	case cmdBlast:
		m.blast += int(binary.BigEndian.Uint32(body))
		m.pump(io)
	case cmdPanic:
		panic("asked to")
	case cmdBlock:
		<-m.hub.gate
		io.Out = append(io.Out, p...)
	case cmdNext:
		io.Deadline = io.Batch.Now + int64(binary.BigEndian.Uint64(body))
	}
}

var blastPacket = packet('z', make([]byte, 1019))

// pump sends of the blast what a 256 KiB backlog allows, as a session does.
func (m *machine) pump(io *channel.IO) {
	m.most = max(m.most, io.Backlog)
	for m.blast > 0 && io.Backlog+len(io.Out) < 256<<10 {
		io.Out = append(io.Out, blastPacket...)
		m.blast -= len(blastPacket)
	}
}

func (m *machine) deliver(b *router.Batch, p []byte) {
	m.mu.Lock()
	if m.lost.Load() == 0 {
		m.mail = append(m.mail, append([]byte(nil), p...))
	}
	m.mu.Unlock()
	m.wake.Wake(b)
}

func (m *machine) Run(io *channel.IO) {
	defer m.in()()
	m.runs.Add(1)
	m.mu.Lock()
	mail, resume, quit := m.mail, m.resume, m.quit
	m.mail, m.resume, m.quit = nil, false, false
	m.mu.Unlock()
	for _, p := range mail {
		io.Out = append(io.Out, p...)
	}
	if resume {
		io.Pause = false
	}
	if quit {
		io.Out = append(io.Out, packet('q', nil)...)
		io.Close = true
	}
	m.pump(io)
}

func (m *machine) Tick(io *channel.IO) {
	defer m.in()()
	io.Out = append(io.Out, packet('t', nil)...)
}

func (m *machine) Lost(_ *channel.IO, err error) {
	// A machine that has panicked is still inside.
	if m.lost.Add(1) != 1 || m.inside.Load() != 0 {
		m.faults.Add(1)
	}
	m.lostBy = err
	close(m.lostc)
}

// command changes what Run will see.
func (m *machine) command(f func(*machine)) {
	m.mu.Lock()
	f(m)
	m.mu.Unlock()
	m.wake.Wake(nil)
}

// rig is an engine and its clients.
type rig struct {
	t      testing.TB
	hub    *hub
	engine *conn.Engine
	ln     net.Listener
	accept func(net.Conn) (listener.Accepted, error)
	cancel context.CancelFunc
	ended  chan struct{}
	dones  atomic.Int32
}

// transports are the two ways into the engine.
func transports(t *testing.T, f func(t *testing.T, accept func(net.Conn) (listener.Accepted, error))) {
	for name, accept := range accepts {
		t.Run(name, func(t *testing.T) { f(t, accept) })
	}
}

var accepts = map[string]func(net.Conn) (listener.Accepted, error){
	"stream":     func(c net.Conn) (listener.Accepted, error) { return listener.Accepted{Conn: c}, nil },
	"descriptor": takeFD,
	"layers":     takePipe,
}

func newRig(t testing.TB, cfg conn.Config, accept func(net.Conn) (listener.Accepted, error)) *rig {
	t.Helper()
	e, err := conn.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{t: t, hub: &hub{gate: make(chan struct{})}, engine: e, ln: ln, accept: accept, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(r.stop)
	return r
}

// stop ends the engine and checks what must hold of every machine at the end.
func (r *rig) stop() {
	r.cancel()
	<-r.ended
	_ = r.ln.Close()
	if n := r.engine.Len(); n != 0 {
		r.t.Errorf("%d connections after Run", n)
	}
	for i, m := range r.hub.machines {
		if m.lost.Load() != 1 {
			r.t.Errorf("machine %d: Lost called %d times", i, m.lost.Load())
		}
		if m.faults.Load() != 0 {
			r.t.Errorf("machine %d: %d calls overlapped or came after Lost", i, m.faults.Load())
		}
	}
	if int(r.dones.Load()) != len(r.hub.machines) {
		r.t.Errorf("Done called %d times for %d connections", r.dones.Load(), len(r.hub.machines))
	}
}

// dial returns a client and its machine.
func (r *rig) dial() (*client, *machine) {
	r.t.Helper()
	nc, sc := r.pair()
	a, err := r.accept(sc)
	if err != nil {
		r.t.Fatal(err)
	}
	a.Info.Peer = netip.MustParseAddrPort(nc.LocalAddr().String())
	a.Done = func() { r.dones.Add(1) }
	m := &machine{hub: r.hub, lostc: make(chan struct{})}
	err = r.engine.Serve(a, func(w conn.Waker) conn.Machine {
		m.wake = w
		r.hub.mu.Lock()
		r.hub.machines = append(r.hub.machines, m)
		r.hub.mu.Unlock()
		return m
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return &client{Conn: nc, t: r.t}, m
}

// pair returns both ends of a new connection.
func (r *rig) pair() (client, server net.Conn) {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.ln.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = nc.Close() })
	sc, err := r.ln.Accept()
	if err != nil {
		r.t.Fatal(err)
	}
	return nc, sc
}

// client is the far end.
type client struct {
	net.Conn
	t testing.TB
}

func (c *client) send(p ...[]byte) {
	c.t.Helper()
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	for _, p := range p {
		if _, err := c.Write(p); err != nil {
			c.t.Fatal(err)
		}
	}
}

// next reads one packet.
func (c *client) next() (cmd byte, body []byte) {
	c.t.Helper()
	cmd, body, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	return cmd, body
}

func (c *client) read() (cmd byte, body []byte, err error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return 0, nil, err
	}
	p := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(c, p); err != nil {
		return 0, nil, err
	}
	return p[0], p[1:], nil
}

// ends reads until the end of the stream.
func (c *client) ends() {
	c.t.Helper()
	for {
		if _, _, err := c.read(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			c.t.Fatalf("stream did not end: %v", err)
		}
	}
}

// gone waits for Lost.
func (m *machine) gone(t testing.TB) error {
	t.Helper()
	select {
	case <-m.lostc:
		return m.lostBy
	case <-time.After(patience):
		t.Fatal("machine was not lost")
		return nil
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func u32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func u64(d time.Duration) []byte { return binary.BigEndian.AppendUint64(nil, uint64(d)) }
