//go:build !wasip1

package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/contract/pluginpb"
)

// Main serves the registered plugin to the broker that started this process
// and does not return. Started by hand it says so and exits.
func Main() {
	if plugged.plugin == nil {
		fmt.Fprintln(os.Stderr, "no plugin is registered: call sdk.Register in a package variable")
		os.Exit(1)
	}
	s := newService(&plugged)
	watch := time.NewTicker(time.Second)
	defer watch.Stop()
	go s.orphaned(os.Getppid(), watch.C)
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion:  contract.ABI,
			MagicCookieKey:   contract.HandshakeKey,
			MagicCookieValue: contract.HandshakeValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{contract.ABI: {contract.PluginName: bundle{s: s}}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
				grpc.InitialWindowSize(contract.StreamWindow), grpc.InitialConnWindowSize(contract.StreamWindow),
				grpc.ReadBufferSize(contract.StreamBuffer), grpc.WriteBufferSize(contract.StreamBuffer))...)
		},
	})
}

// maxMessage bounds one gRPC message: the largest MQTT packet, its extensions
// and some.
const maxMessage = 300 << 20

// bundle is what go-plugin wants to know.
type bundle struct {
	goplugin.NetRPCUnsupportedPlugin
	s *service
}

// GRPCServer registers the service.
func (b bundle) GRPCServer(_ *goplugin.GRPCBroker, g *grpc.Server) error {
	pluginpb.RegisterPluginServer(g, b.s)
	return nil
}

// GRPCClient is the broker's side; a plugin has none.
func (bundle) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin is not a client")
}

// service is the plugin as the broker calls it.
type service struct {
	pluginpb.UnimplementedPluginServer
	d    *dispatcher
	gone func(error) // ends the process when the stream has ended

	running atomic.Bool // Run was called

	// turn is held by whoever runs the plugin's code: the frame loop, Configure,
	// Drain. A channel, so that Drain can give up with its context.
	turn       chan struct{}
	configured bool // owned by the holder of turn

	queued atomic.Int64  // frames that are taken and not answered
	idle   chan struct{} // signalled when queued becomes 0
}

func newService(d *dispatcher) *service {
	return &service{d: d, gone: exit, turn: make(chan struct{}, 1), idle: make(chan struct{}, 1)}
}

// Hello tells what this plugin is.
func (s *service) Hello(_ context.Context, req *pluginpb.HelloReq) (*pluginpb.HelloResp, error) {
	if req.GetAbi() != contract.ABI {
		return nil, status.Errorf(codes.FailedPrecondition, "this plugin speaks contract %d, the broker %d", contract.ABI, req.GetAbi())
	}
	node = req.GetNode()
	resp := &pluginpb.HelloResp{Abi: contract.ABI, Features: uint64(contract.Features(req.GetFeatures()).Known())}
	if _, ok := s.d.plugin.(Commander); !ok {
		resp.Features &^= uint64(contract.FeatureCommand)
	}
	if _, ok := s.d.plugin.(Reconfigurer); !ok {
		resp.Features &^= uint64(contract.FeatureReconfigure)
	}
	for _, h := range contract.Hooks() {
		if s.d.hooks.Has(h) {
			resp.Hooks = append(resp.Hooks, uint32(h))
		}
	}
	return resp, nil
}

// Configure hands over configuration and the previous version's state. A second call
// changes the configuration of a plugin that can do so while it runs.
func (s *service) Configure(_ context.Context, req *pluginpb.ConfigureReq) (*pluginpb.ConfigureResp, error) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	var err error
	if again, ok := s.d.plugin.(Reconfigurer); ok && s.configured {
		err = again.Reconfigure(req.GetConfig())
	} else {
		features = contract.Features(req.GetFeatures())
		dirs.data, dirs.config = req.GetDataDir(), req.GetConfigDir()
		if err = s.d.configure(req.GetConfig()); err == nil {
			err = s.d.restoreState(req.GetState())
		}
		s.configured = err == nil
	}
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	resp := &pluginpb.ConfigureResp{}
	for h, filters := range wanted {
		resp.Filters = append(resp.Filters, &pluginpb.HookFilters{Hook: uint32(h), Filters: filters})
	}
	wanted = nil
	return resp, nil
}

// Health says that the process runs.
func (s *service) Health(context.Context, *pluginpb.HealthReq) (*pluginpb.HealthResp, error) {
	return &pluginpb.HealthResp{Ok: true}, nil
}

// Command carries out what an operator asks. It does not wait for the handlers.
func (s *service) Command(_ context.Context, req *pluginpb.CommandReq) (*pluginpb.CommandResp, error) {
	c, ok := s.d.plugin.(Commander)
	if !ok {
		return nil, status.Error(codes.Unimplemented, "the plugin takes no commands")
	}
	body, err := c.OnCommand(req.GetName(), req.GetBody())
	if err != nil {
		return nil, status.Error(commandCode(err), err.Error())
	}
	return &pluginpb.CommandResp{Body: body}, nil
}

// commandCode is how an error of OnCommand is told.
func commandCode(err error) codes.Code {
	switch {
	case errors.Is(err, ErrNotFound):
		return codes.NotFound
	case errors.Is(err, ErrInvalid):
		return codes.InvalidArgument
	case errors.Is(err, ErrDenied):
		return codes.FailedPrecondition
	}
	return codes.Unknown
}

// Drain waits until all that was taken is answered and returns the state.
func (s *service) Drain(ctx context.Context, _ *pluginpb.DrainReq) (*pluginpb.DrainResp, error) {
	for {
		select {
		case s.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		if s.queued.Load() == 0 {
			defer func() { <-s.turn }()
			return &pluginpb.DrainResp{State: s.d.saveState()}, nil
		}
		<-s.turn
		select {
		case <-s.idle:
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}
}

// Run is the plugin's life: when the stream ends, so does the process.
func (s *service) Run(stream pluginpb.Plugin_RunServer) error {
	s.running.Store(true)
	err := runStream(s, stream)
	s.gone(err)
	return err
}

// orphaned ends a process whose broker died before it opened the stream: then
// no stream can tell.
func (s *service) orphaned(parent int, tick <-chan time.Time) {
	for range tick {
		if s.running.Load() {
			return
		}
		if os.Getppid() != parent {
			s.gone(errors.New("the broker is gone"))
			return
		}
	}
}

// exit ends the process. An end of the stream is how the broker says goodbye.
func exit(err error) {
	if err == nil || errors.Is(err, io.EOF) || status.Code(err) == codes.Canceled {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
