// Package admin is the node's admin service: gRPC on a unix socket that only
// the node's user may open. It owns the socket and the lock that keeps a second
// node away from the same data directory, and answers by the small interfaces
// it declares. It refuses to decide anything itself and to listen on a network.
package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

// Errors that a [Plugins] wraps; callers of the service see them as gRPC codes.
var (
	ErrNotFound = errors.New("not found")               // NOT_FOUND
	ErrState    = errors.New("not possible now")        // FAILED_PRECONDITION
	ErrRunning  = errors.New("another node is running") // of Listen
)

// Plugins loads and unloads plugins while the node runs.
type Plugins interface {
	// Plugins tells of every loaded plugin, in chain order.
	Plugins() []Plugin
	// Load starts the plugin and writes that down. ErrNotFound, ErrState.
	Load(ctx context.Context, name string) error
	// Unload stops the plugin and writes that down. ErrNotFound, ErrState.
	Unload(ctx context.Context, name string) error
	// Reload replaces the plugin by what its files say now. ErrNotFound, ErrState.
	Reload(ctx context.Context, name string) error
	// Enable writes down whether the next start loads the plugin; nothing changes
	// now. ErrNotFound, ErrState.
	Enable(name string, on bool) error
}

// Plugin is what an operator is told of one plugin.
type Plugin struct {
	Name        string
	Version     string
	Description string
	Transport   string // wasm or process
	State       string // running, restarting, quarantined ...
	Error       string // why it does not run; "" if it does
	Hooks       []string
	Calls       uint64 // frames answered
	Faults      uint64
	Restarts    uint64
	Cost        *adminpb.PluginCost
}

// Broker tells how the node does.
type Broker interface {
	// Counts counts what is connected and kept now.
	Counts() Counts
	// Listeners tells of every listener that is open.
	Listeners() []Listener
}

// Counts are the node's gauges.
type Counts struct {
	Connections         int64
	Sessions            int64 // with and without a connection
	Subscriptions       int64
	SharedSubscriptions int64
	Routes              int64 // different filters
	Retained            int64
}

// Listener is an open listener.
type Listener struct {
	ID          string // "tcp:external"
	Address     string // as bound: port 0 is replaced
	Connections int64
	Running     bool // bound
}

// Config says who the node is and where its socket is.
type Config struct {
	DataDir string // must exist; the socket and the lock are made in it
	Node    string
	Version string
	Started time.Time
	// Stop is called when a client asks the node to stop. It must not wait.
	Stop func()
	Log  *zap.Logger
	// Operator is what operators see and change.
	Operator Operator
}

// Server answers on the socket. The zero Server is not usable: see [Listen].
type Server struct {
	// Immutable after Listen.
	cfg      Config
	plugins  Plugins
	broker   Broker
	lock     *lock
	listener net.Listener
	socket   string
}

// Listen claims the data directory and opens the socket; nothing is answered
// until Run. ErrRunning when another node has the directory.
func Listen(cfg Config, plugins Plugins, broker Broker) (*Server, error) {
	held, err := acquire(lockPath(cfg.DataDir))
	if err != nil {
		return nil, err
	}
	socket := SocketPath(cfg.DataDir)
	l, err := openSocket(cfg.DataDir, socket)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open admin socket: %w", err), held.release())
	}
	return &Server{cfg: cfg, plugins: plugins, broker: broker, lock: held, listener: l, socket: socket}, nil
}

// Run answers until ctx ends, then waits for the calls that run, at most
// drainTime, removes the socket and gives the directory up. It must be called once.
func (s *Server) Run(ctx context.Context) error {
	g := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessage), grpc.MaxConcurrentStreams(maxStreams))
	adminpb.RegisterAdminServer(g, &service{Server: s})
	served := make(chan error, 1)
	go func() { served <- g.Serve(s.listener) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		s.drain(g)
		if err = <-served; errors.Is(err, grpc.ErrServerStopped) {
			err = nil // the end came before the beginning
		}
	}
	if err != nil {
		err = fmt.Errorf("serve admin socket: %w", err)
	}
	return errors.Join(err, s.Close())
}

// Limits of the service: it is for a few operators on this machine.
const (
	maxMessage = 2 << 20
	maxStreams = 64
	drainTime  = 2 * time.Second
)

func (s *Server) drain(g *grpc.Server) {
	done := make(chan struct{})
	go func() { g.GracefulStop(); close(done) }()
	t := time.NewTimer(drainTime)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		g.Stop()
		<-done
	}
}

// Close gives the socket and the directory up without having run.
func (s *Server) Close() error {
	err := s.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	if gone := os.Remove(s.socket); gone != nil && !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return errors.Join(err, s.lock.release())
}
