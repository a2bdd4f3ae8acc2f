package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
)

// Listener is one bound port. It can be stopped, started and changed while it
// runs; what was handed out is not touched by that.
type Listener struct {
	// Immutable after Open.
	id      string
	proto   Proto
	log     *zap.Logger
	done    func() // Accepted.Done, but for origins
	origins *origins
	shakes  *handshakes
	closed  context.Context
	cancel  context.CancelFunc // of closed

	settings atomic.Pointer[settings] // replaced as a whole, with mu held

	// mu guards the port, and one change at a time. No I/O with a peer is done
	// under it.
	mu   sync.Mutex
	port *port         // nil: stopped
	addr net.Addr      // the last port's
	turn chan struct{} // closed and replaced when port changes

	counts counts
}

// settings are what a connection meets.
type settings struct {
	cfg    Config
	access rules
	tls    *credentials // ssl and wss
}

// port is a bound socket.
type port struct {
	ln     socket
	source source
	closed context.Context
	cancel context.CancelFunc
	idle   chan struct{} // closed when nothing accepts from it any more; nil before Run has it
}

// counts are a listener's counters; any goroutine.
type counts struct {
	current, accepted, refused, crowded, slowed, denied, failed, handedOut atomic.Int64
}

// Stats are a listener's counts since it was opened.
type Stats struct {
	Running   bool  // bound
	Current   int64 // connections now, handshakes included
	Accepted  int64 // from the kernel
	Refused   int64 // over max_connections
	Crowded   int64 // over max_conn_per_address
	Slowed    int64 // that had to wait for max_conn_rate
	PushedOut int64 // whose handshake made room for a newer one's
	Denied    int64 // by an access rule
	Failed    int64 // whose handshake, upgrade or PROXY header failed, took too long or was pushed out
	HandedOut int64 // that became MQTT streams
}

// Open validates cfg, reads its certificates and binds the port. Connections
// wait in the kernel's queue until Run.
func Open(cfg Config, log *zap.Logger) (*Listener, error) {
	s, err := newSettings(cfg)
	if err != nil {
		return nil, err
	}
	l := &Listener{
		id: cfg.ID(), proto: cfg.Proto, log: log.With(zap.String("listener", cfg.ID())),
		origins: newOrigins(cfg.MaxConnPerAddress), shakes: newHandshakes(cfg.MaxHandshakes), turn: make(chan struct{}),
	}
	l.settings.Store(s)
	l.closed, l.cancel = context.WithCancel(context.Background())
	l.done = func() { l.counts.current.Add(-1) }
	p, err := s.bind()
	if err != nil {
		l.cancel()
		return nil, err
	}
	l.port, l.addr = p, p.ln.Addr()
	return l, nil
}

// newSettings checks cfg and reads its files.
func newSettings(cfg Config) (*settings, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("listener %s: %w", cfg.ID(), err)
	}
	s := &settings{cfg: cfg}
	s.access, _ = parseRules(cfg.Access) // Validate has read them
	if cfg.Proto.Secure() {
		var err error
		if s.tls, err = loadCredentials(cfg.TLS); err != nil {
			return nil, fmt.Errorf("listener %s: %w", cfg.ID(), err)
		}
	}
	return s, nil
}

// bind binds the port.
func (s *settings) bind() (*port, error) {
	fail := func(err error) (*port, error) { return nil, fmt.Errorf("listener %s: %w", s.cfg.ID(), err) }
	e, err := s.cfg.endpoint()
	if err != nil {
		return fail(fmt.Errorf("bind: %w", err))
	}
	if err := e.clear(); err != nil {
		return fail(fmt.Errorf("bind: %w", err))
	}
	lc := net.ListenConfig{KeepAlive: -1, Control: s.cfg.prepare}
	ln, err := lc.Listen(context.Background(), e.network, e.address)
	if err != nil {
		return fail(err)
	}
	p := &port{ln: ln.(socket)}
	if err := e.permit(s.cfg.Mode); err != nil {
		return fail(joinClose(err, ln))
	}
	if err := s.cfg.deepen(p.ln); err != nil {
		return fail(fmt.Errorf("backlog: %w", joinClose(err, ln)))
	}
	if p.source, err = s.cfg.newSource(p.ln); err != nil {
		return fail(joinClose(err, ln))
	}
	p.closed, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

// close unbinds. Whoever accepts from p ends soon.
func (p *port) close() error {
	p.cancel()
	err := p.source.Close()
	if e := p.ln.Close(); err == nil && !errors.Is(e, net.ErrClosed) {
		err = e
	}
	return err
}

// Run accepts and calls serve for each connection that is ready for MQTT, on
// changing goroutines, until ctx is done or Close is called; then it returns
// after its goroutines have ended. While the listener is stopped it waits. serve
// owns what it is handed and must not block for long.
func (l *Listener) Run(ctx context.Context, serve func(Accepted)) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	hand := func(a Accepted) {
		l.counts.handedOut.Add(1)
		serve(a)
	}
	var staples sync.WaitGroup
	if l.proto.Secure() {
		staples.Go(func() { (&stapler{l: l}).run(l.closed) })
	}
	for l.closed.Err() == nil {
		p, turn := l.claim()
		if p == nil {
			select {
			case <-turn:
			case <-l.closed.Done():
			}
			continue
		}
		l.acceptAll(p, hand)
		close(p.idle)
	}
	l.shakes.stop()
	staples.Wait()
	return nil
}

// claim is the port to accept from, or what is closed when there is another.
func (l *Listener) claim() (*port, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.port
	if p == nil || p.idle != nil { // none, or one that was accepted from to its end
		return nil, l.turn
	}
	p.idle = make(chan struct{})
	return p, nil
}

// Close unbinds the port and ends Run, for good. Connections that were handed out
// stay.
func (l *Listener) Close() error {
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.port == nil {
		return nil
	}
	return l.port.close()
}

// Addr is the bound address, or the last one while the listener is stopped.
func (l *Listener) Addr() net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addr
}

// Config is what the listener was opened with or last changed to.
func (l *Listener) Config() Config { return l.settings.Load().cfg }

// Stats reports the counts.
func (l *Listener) Stats() Stats {
	l.mu.Lock()
	running := l.port != nil && l.closed.Err() == nil
	l.mu.Unlock()
	c := &l.counts
	return Stats{
		Running: running, Current: c.current.Load(), Accepted: c.accepted.Load(), Refused: c.refused.Load(),
		Crowded: c.crowded.Load(), Slowed: c.slowed.Load(), PushedOut: l.shakes.pushed.Load(), Denied: c.denied.Load(), Failed: c.failed.Load(), HandedOut: c.handedOut.Load(),
	}
}
