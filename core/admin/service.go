package admin

import (
	"context"
	"errors"
	"os"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

// service puts the node's answers into protobuf.
type service struct {
	adminpb.UnsafeAdminServer // a call without a method does not compile
	*Server
}

// Status implements adminpb.AdminServer.
func (s *service) Status(context.Context, *adminpb.StatusRequest) (*adminpb.StatusReply, error) {
	reply := &adminpb.StatusReply{
		Node:        s.cfg.Node,
		Version:     s.cfg.Version,
		StartedAtMs: s.cfg.Started.UnixMilli(),
		Pid:         int64(os.Getpid()),
		Counts:      counts(s.broker.Counts()),
	}
	for _, l := range s.broker.Listeners() {
		reply.Listeners = append(reply.Listeners, &adminpb.Listener{Id: l.ID, Address: l.Address, Connections: l.Connections, Running: l.Running})
	}
	return reply, nil
}

// CountClients implements adminpb.AdminServer.
func (s *service) CountClients(context.Context, *adminpb.CountClientsRequest) (*adminpb.CountClientsReply, error) {
	return &adminpb.CountClientsReply{Counts: counts(s.broker.Counts())}, nil
}

func counts(c Counts) *adminpb.Counts {
	return &adminpb.Counts{
		Connections: c.Connections, Sessions: c.Sessions, Subscriptions: c.Subscriptions,
		SharedSubscriptions: c.SharedSubscriptions, Routes: c.Routes, Retained: c.Retained,
	}
}

// ListPlugins implements adminpb.AdminServer.
func (s *service) ListPlugins(context.Context, *adminpb.ListPluginsRequest) (*adminpb.ListPluginsReply, error) {
	reply := &adminpb.ListPluginsReply{}
	for _, p := range s.plugins.Plugins() {
		reply.Plugins = append(reply.Plugins, &adminpb.Plugin{
			Name: p.Name, Version: p.Version, Description: p.Description, Transport: p.Transport,
			State: p.State, Error: p.Error, Hooks: p.Hooks,
			Calls: p.Calls, Faults: p.Faults, Restarts: p.Restarts, Cost: p.Cost,
		})
	}
	return reply, nil
}

// ChangePlugin implements adminpb.AdminServer.
func (s *service) ChangePlugin(ctx context.Context, r *adminpb.ChangePluginRequest) (*adminpb.ChangePluginReply, error) {
	change := map[adminpb.ChangePluginRequest_Change]func(context.Context, string) error{
		adminpb.ChangePluginRequest_CHANGE_LOAD:   s.plugins.Load,
		adminpb.ChangePluginRequest_CHANGE_UNLOAD: s.plugins.Unload,
		adminpb.ChangePluginRequest_CHANGE_RELOAD: s.plugins.Reload,
		adminpb.ChangePluginRequest_CHANGE_ENABLE: func(_ context.Context, name string) error {
			return s.plugins.Enable(name, true)
		},
		adminpb.ChangePluginRequest_CHANGE_DISABLE: func(_ context.Context, name string) error {
			return s.plugins.Enable(name, false)
		},
	}[r.GetChange()]
	if change == nil {
		return nil, status.Error(codes.InvalidArgument, "change is none of load, unload, reload, enable and disable")
	}
	err := change(ctx, r.GetName())
	s.cfg.Log.Info("plugin changed by an operator", zap.String("plugin", r.GetName()),
		zap.Stringer("change", r.GetChange()), zap.Error(err))
	if err != nil {
		return nil, status.Error(code(err), err.Error())
	}
	return &adminpb.ChangePluginReply{}, nil
}

// PluginCommand implements adminpb.AdminServer. What a plugin is asked is logged
// without the body, which may hold secrets.
func (s *service) PluginCommand(ctx context.Context, r *adminpb.PluginCommandRequest) (*adminpb.PluginCommandReply, error) {
	if s.cfg.Operator.Commands == nil {
		return nil, errNoRoom
	}
	body, err := s.cfg.Operator.Commands.Command(ctx, r.GetPlugin(), r.GetName(), r.GetBody())
	s.cfg.Log.Info("plugin asked by an operator", zap.String("plugin", r.GetPlugin()), zap.String("command", r.GetName()), zap.Error(err))
	return answer(&adminpb.PluginCommandReply{Body: body}, err)
}

// Stop implements adminpb.AdminServer.
func (s *service) Stop(context.Context, *adminpb.StopRequest) (*adminpb.StopReply, error) {
	s.cfg.Log.Info("an operator asks the node to stop")
	s.cfg.Stop()
	return &adminpb.StopReply{}, nil
}

func code(err error) codes.Code {
	switch {
	case errors.Is(err, ErrNotFound):
		return codes.NotFound
	case errors.Is(err, ErrInvalid):
		return codes.InvalidArgument
	case errors.Is(err, ErrState):
		return codes.FailedPrecondition
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	default:
		return codes.Unknown
	}
}
