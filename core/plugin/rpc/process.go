package rpc

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/contract/pluginpb"
)

// process is one running process of a plugin and the stream to it.
type process struct {
	client *goplugin.Client
	child  atomic.Pointer[child] // nil until go-plugin asks for it
	api    pluginpb.PluginClient
	stream pluginpb.Plugin_RunClient
	cancel context.CancelFunc // ends the stream
	since  time.Time
	id     uint64 // unique in the instance; set by install
	hooks  contract.HookSet

	features contract.Features // granted: offered and wanted

	heard atomic.Int64 // when the last frame came, Unix nanoseconds

	sendMu sync.Mutex // serialises stream.Send

	once sync.Once
	dead chan struct{} // closed when the stream has ended
	why  error         // set before dead is closed
}

// door is what go-plugin wants to know of our service.
type door struct {
	goplugin.NetRPCUnsupportedPlugin
}

// GRPCClient makes the client of the service.
func (door) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return pluginpb.NewPluginClient(c), nil
}

// GRPCServer is the plugin's side; the broker has none.
func (door) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("the broker is not a plugin")
}

// launch starts a process of i's plugin, greets and configures it and opens the
// stream. ctx bounds it. On an error nothing is left.
func (i *Instance) launch(ctx context.Context) (*process, error) {
	p := &process{dead: make(chan struct{}), since: time.Now()}
	p.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: contract.ABI, MagicCookieKey: contract.HandshakeKey, MagicCookieValue: contract.HandshakeValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{contract.ABI: {contract.PluginName: door{}}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     i.t.cfg.StartTimeout,
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithInitialWindowSize(contract.StreamWindow), grpc.WithInitialConnWindowSize(contract.StreamWindow),
			grpc.WithReadBufferSize(contract.StreamBuffer), grpc.WithWriteBufferSize(contract.StreamBuffer),
		},
		Stderr:     &stderr{log: i.spec.Log},
		SyncStderr: &stderr{log: i.spec.Log}, // what a Go plugin prints once it serves
		SyncStdout: &stderr{log: i.spec.Log},
		Logger:     hclog.NewNullLogger(),
		RunnerFunc: func(_ hclog.Logger, like *exec.Cmd, _ string) (runner.Runner, error) {
			cmd := i.img.command(i.spec.Name)
			cmd.Env = like.Env
			c, err := newChild(i.t.spawn, cmd)
			if err != nil {
				return nil, err
			}
			p.child.Store(c)
			return c, nil
		},
	})
	stop := context.AfterFunc(ctx, p.kill)
	defer stop()
	if err := p.greet(ctx, i); err != nil {
		p.kill()
		p.client.Kill()
		return nil, fmt.Errorf("process: %w", err)
	}
	return p, nil
}

// greet connects to the started process.
func (p *process) greet(ctx context.Context, i *Instance) error {
	conn, err := p.client.Client()
	if err != nil {
		return err
	}
	raw, err := conn.Dispense(contract.PluginName)
	if err != nil {
		return err
	}
	p.api = raw.(pluginpb.PluginClient)
	ctx, cancel := context.WithTimeout(ctx, i.t.cfg.StartTimeout)
	defer cancel()
	hello, err := p.api.Hello(ctx, &pluginpb.HelloReq{
		Abi: contract.ABI, Features: uint64(contract.AllFeatures()), Node: i.spec.Node, Version: i.spec.Version,
	})
	if err != nil {
		return fmt.Errorf("hello: %w", plain(err))
	}
	if hello.GetAbi() != contract.ABI {
		return fmt.Errorf("hello: the plugin speaks contract %d, this broker %d", hello.GetAbi(), contract.ABI)
	}
	p.features = contract.Features(hello.GetFeatures()).Known()
	for _, h := range hello.GetHooks() {
		p.hooks = p.hooks.With(contract.Hook(min(h, uint32(contract.MaxHook)+1)))
	}
	reply, err := p.api.Configure(ctx, &pluginpb.ConfigureReq{
		Config: i.configuration(), Features: uint64(p.features), DataDir: i.spec.DataDir, ConfigDir: i.spec.ConfigDir,
	})
	if err != nil {
		return fmt.Errorf("configuration refused: %w", plain(err))
	}
	if err := i.wants(reply.GetFilters()); err != nil {
		return err
	}
	health, err := p.api.Health(ctx, &pluginpb.HealthReq{})
	if err != nil {
		return fmt.Errorf("health: %w", plain(err))
	}
	if !health.GetOk() {
		return fmt.Errorf("the plugin says it cannot work: %s", health.GetText())
	}
	life, cancelLife := context.WithCancel(context.Background())
	p.cancel = cancelLife
	if p.stream, err = p.api.Run(life); err != nil {
		return fmt.Errorf("run: %w", plain(err))
	}
	return nil
}

// plain takes the gRPC wrapping off an error, which is not for operators.
func plain(err error) error {
	if s, ok := status.FromError(err); ok {
		return fmt.Errorf("%s (%s)", s.Message(), strings.ToLower(s.Code().String()))
	}
	return err
}

// send writes one frame. An error ends the process.
func (p *process) send(f *pluginpb.Frame) {
	p.sendMu.Lock()
	err := p.stream.Send(f)
	p.sendMu.Unlock()
	if err != nil {
		p.fail(fmt.Errorf("stream: %w", plain(err)))
	}
}

// fail marks the process as lost; the first reason counts.
func (p *process) fail(why error) {
	p.once.Do(func() {
		p.why = why
		close(p.dead)
	})
}

// kill kills the process. What go-plugin keeps of it is for cleanup.
func (p *process) kill() {
	if c := p.child.Load(); c != nil {
		_ = c.Kill(context.Background()) // it has ended by itself, or the kernel cannot end it
	}
}

// cleanup kills the process, if it still runs, and frees everything.
func (p *process) cleanup() {
	p.kill()
	p.cancel()
	p.client.Kill()
}

// goodbye lets the process drain and exit, then frees everything. ctx bounds
// the draining.
func (p *process) goodbye(ctx context.Context) error {
	if _, err := p.api.Drain(ctx, &pluginpb.DrainReq{}); err != nil {
		p.cleanup() // and no waiting: a send may hang on a process that does not read
		return fmt.Errorf("drain: %w", plain(err))
	}
	p.sendMu.Lock()
	_ = p.stream.CloseSend() // the plugin exits; if the stream is broken it has
	p.sendMu.Unlock()
	t := time.NewTimer(exitPatience)
	defer t.Stop()
	select {
	case <-p.child.Load().exited:
	case <-ctx.Done():
	case <-t.C:
	}
	p.cleanup()
	return nil
}

// exitPatience is how long a plugin may take to exit after its stream ended.
const exitPatience = 2 * time.Second
