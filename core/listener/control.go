package listener

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrClosed is what a listener that was closed says to every change.
var ErrClosed = errors.New("listener is closed")

// NeedsRebind is Update's answer to keys that belong to the bound socket.
type NeedsRebind struct {
	Listener string
	Keys     []string // without listener.<proto>.<name>
}

func (e *NeedsRebind) Error() string {
	return fmt.Sprintf("listener %s: %s cannot change while the port is bound: restart the listener", e.Listener, strings.Join(e.Keys, ", "))
}

// Stop unbinds the port and returns when no more connection will be accepted.
// Handshakes under way go on, and clients stay: whoever wants them gone ends them
// (EMQ X 4 does). A stopped listener may be stopped.
func (l *Listener) Stop() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stop()
}

// stop is Stop with mu held.
func (l *Listener) stop() error {
	p := l.port
	if p == nil {
		return nil
	}
	l.port = nil
	err := p.close()
	if p.idle != nil {
		<-p.idle // the accept loop takes no lock of ours
	}
	return err
}

// Start binds the port again after Stop. A started listener may be started.
func (l *Listener) Start() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.port != nil {
		return nil
	}
	return l.start(l.settings.Load())
}

// start binds as s says, with mu held and nothing bound, and wakes Run.
func (l *Listener) start(s *settings) error {
	if l.closed.Err() != nil {
		return ErrClosed
	}
	p, err := s.bind()
	if err != nil {
		return err
	}
	l.port, l.addr = p, p.ln.Addr()
	close(l.turn)
	l.turn = make(chan struct{})
	return nil
}

// Restart is Stop and Start, which also reads the files anew. If the port cannot
// be bound again the listener is left stopped.
func (l *Listener) Restart() error { return l.Rebind(l.Config()) }

// Update changes what can be changed while the port is bound: zone, limits,
// access, timeouts, all of TLS and WebSocket. It is for connections to come. cfg
// is checked and its files are read first; on an error nothing has changed. A
// *NeedsRebind names keys that need Rebind.
func (l *Listener) Update(cfg Config) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.settings.Load().cfg
	if keys := bound(&old, &cfg); len(keys) > 0 {
		return &NeedsRebind{l.id, keys}
	}
	s, err := newSettings(cfg)
	if err != nil {
		return err
	}
	l.set(s)
	return nil
}

// Reload reads certificates, keys and revocation lists now, whether or not they
// seem to have changed. On an error the old ones stay.
func (l *Listener) Reload() error { return l.Update(l.Config()) }

// set makes s the settings of connections to come, with mu held.
func (l *Listener) set(s *settings) {
	l.settings.Store(s)
	l.origins.setLimit(s.cfg.MaxConnPerAddress)
	l.shakes.setLimit(s.cfg.MaxHandshakes)
}

// Rebind is Update for every key but protocol and name: it unbinds the port and
// binds as cfg says. If that fails it goes back to what was, and tells.
func (l *Listener) Rebind(cfg Config) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.settings.Load()
	if cfg.ID() != old.cfg.ID() {
		return fmt.Errorf("listener %s: is not %s", l.id, cfg.ID())
	}
	s, err := newSettings(cfg)
	if err != nil {
		return err
	}
	if err := l.stop(); err != nil {
		return err
	}
	if err := l.start(s); err != nil {
		return errors.Join(err, l.start(old))
	}
	l.set(s)
	return nil
}

// bound names the keys that differ and belong to the socket.
func bound(a, b *Config) []string {
	var keys []string
	for key, differ := range map[string]bool{
		"proto": a.Proto != b.Proto, "name": a.Name != b.Name, "bind": a.Bind != b.Bind, "mode": a.Mode != b.Mode,
		"backlog": a.Backlog != b.Backlog, "nodelay": a.NoDelay != b.NoDelay, "recbuf": a.RecBuf != b.RecBuf, "sndbuf": a.SndBuf != b.SndBuf,
		"proxy_protocol": a.ProxyProtocol != b.ProxyProtocol,
	} {
		if differ {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
