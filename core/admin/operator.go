package admin

import (
	"context"
	"errors"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/core/admin/adminpb"
)

// ErrInvalid is wrapped by answers to a request that cannot be meant so;
// callers of the service see INVALID_ARGUMENT.
var ErrInvalid = errors.New("not valid")

// Operator is what operators see and change beyond plugins. Where a field is
// nil, the service answers UNIMPLEMENTED.
type Operator struct {
	Clients Clients
	Topics  Topics
	Bans    Bans
	Facts   Facts
	Levels  Levels
	Ports   Ports
	Config  Settings
	Store   Store
	// Commands reach loaded plugins.
	Commands Commands
}

// Commands has plugins carry out commands of their own. Errors: ErrNotFound,
// ErrInvalid, ErrState, and what the plugin says.
type Commands interface {
	Command(ctx context.Context, plugin, name string, body []byte) ([]byte, error)
}

// Store is the upkeep of what survives, as of store.Maintainer: in use, and
// for as long as ctx lets it.
type Store interface {
	Check(ctx context.Context) (keys int64, err error)
	Compact(ctx context.Context) error
	Backup(ctx context.Context, dir string) error
}

// Ports stops and starts listeners. Errors: ErrNotFound; others say why the port
// cannot be bound.
type Ports interface {
	// StopListener takes no new connections; kick also sends away the clients that
	// came through the listener.
	StopListener(id string, kick bool) error
	StartListener(id string) error
	RestartListener(id string, kick bool) error
}

// Settings shows and reloads the configuration.
type Settings interface {
	// Values lists what is in force, without secrets.
	Values() []*adminpb.ConfigValue
	// Reload applies the files anew, or nothing. ErrState.
	Reload() (*adminpb.ReloadConfigReply, error)
}

// Clients shows and changes sessions. Errors: ErrNotFound, ErrInvalid.
type Clients interface {
	// ListClients returns one page; limits are filled in.
	ListClients(ctx context.Context, r *adminpb.ListClientsRequest) (*adminpb.ListClientsReply, error)
	// Client tells of one session, with its figures.
	Client(ctx context.Context, id string) (*adminpb.ClientInfo, error)
	// Kick disconnects the client or ends its session.
	Kick(id string) error
	// CleanACLCache forgets verdicts; "" means all clients.
	CleanACLCache(id string) error
}

// Topics shows and changes what is subscribed. Errors: ErrNotFound, ErrInvalid,
// ErrState.
type Topics interface {
	ListSubscriptions(ctx context.Context, r *adminpb.ListSubscriptionsRequest) (*adminpb.ListSubscriptionsReply, error)
	ListRoutes(ctx context.Context, r *adminpb.ListRoutesRequest) (*adminpb.ListRoutesReply, error)
	ChangeSubscription(ctx context.Context, r *adminpb.ChangeSubscriptionRequest) error
}

// Bans is the banned list. Errors: ErrNotFound, ErrInvalid, ErrState (full).
type Bans interface {
	Bans() []*adminpb.Ban
	AddBan(b *adminpb.Ban) error
	DeleteBan(kind, who string) error
}

// Facts are figures and alarms.
type Facts interface {
	// Figures returns nil for a family that it does not know.
	Figures(family adminpb.ListFiguresRequest_Family) []*adminpb.Figure
	// Alarms are the active ones, or the past ones.
	Alarms(past bool) []*adminpb.Alarm
}

// Levels are the levels of the node's log.
type Levels interface {
	// Levels maps the name of a logger to its level; "" is all others.
	Levels() map[string]string
	// SetLevel takes effect at once. ErrInvalid.
	SetLevel(logger, level string) error
}

// Limits of a page.
const (
	defaultPage = 100
	maxPage     = 10000
)

func pageSize(n uint32) uint32 {
	if n == 0 {
		return defaultPage
	}
	return min(n, maxPage)
}

var errNoRoom = status.Error(codes.Unimplemented, "this node does not offer that")

// answer puts the node's errors into codes.
func answer[T any](v T, err error) (T, error) {
	if err != nil {
		var none T
		return none, status.Error(code(err), err.Error())
	}
	return v, nil
}

// done logs a change by an operator and answers it.
func (s *service) done(what, which string, err error) (*adminpb.Done, error) {
	s.cfg.Log.Info("changed by an operator", zap.String("what", what), zap.String("which", which), zap.Error(err))
	return answer(&adminpb.Done{}, err)
}

// ListClients implements adminpb.AdminServer.
func (s *service) ListClients(ctx context.Context, r *adminpb.ListClientsRequest) (*adminpb.ListClientsReply, error) {
	if s.cfg.Operator.Clients == nil {
		return nil, errNoRoom
	}
	r.Limit = pageSize(r.GetLimit())
	return answer(s.cfg.Operator.Clients.ListClients(ctx, r))
}

// ShowClient implements adminpb.AdminServer.
func (s *service) ShowClient(ctx context.Context, r *adminpb.ClientRequest) (*adminpb.ClientInfo, error) {
	if s.cfg.Operator.Clients == nil {
		return nil, errNoRoom
	}
	return answer(s.cfg.Operator.Clients.Client(ctx, r.GetId()))
}

// KickClient implements adminpb.AdminServer.
func (s *service) KickClient(_ context.Context, r *adminpb.ClientRequest) (*adminpb.Done, error) {
	if s.cfg.Operator.Clients == nil {
		return nil, errNoRoom
	}
	return s.done("kick", r.GetId(), s.cfg.Operator.Clients.Kick(r.GetId()))
}

// CleanACLCache implements adminpb.AdminServer.
func (s *service) CleanACLCache(_ context.Context, r *adminpb.ClientRequest) (*adminpb.Done, error) {
	if s.cfg.Operator.Clients == nil {
		return nil, errNoRoom
	}
	return s.done("acl cache", r.GetId(), s.cfg.Operator.Clients.CleanACLCache(r.GetId()))
}

// ListSubscriptions implements adminpb.AdminServer.
func (s *service) ListSubscriptions(ctx context.Context, r *adminpb.ListSubscriptionsRequest) (*adminpb.ListSubscriptionsReply, error) {
	if s.cfg.Operator.Topics == nil {
		return nil, errNoRoom
	}
	r.Limit = pageSize(r.GetLimit())
	return answer(s.cfg.Operator.Topics.ListSubscriptions(ctx, r))
}

// ListRoutes implements adminpb.AdminServer.
func (s *service) ListRoutes(ctx context.Context, r *adminpb.ListRoutesRequest) (*adminpb.ListRoutesReply, error) {
	if s.cfg.Operator.Topics == nil {
		return nil, errNoRoom
	}
	r.Limit = pageSize(r.GetLimit())
	return answer(s.cfg.Operator.Topics.ListRoutes(ctx, r))
}

// ChangeSubscription implements adminpb.AdminServer.
func (s *service) ChangeSubscription(ctx context.Context, r *adminpb.ChangeSubscriptionRequest) (*adminpb.Done, error) {
	if s.cfg.Operator.Topics == nil {
		return nil, errNoRoom
	}
	return s.done("subscription", r.GetSubscription().GetClient(), s.cfg.Operator.Topics.ChangeSubscription(ctx, r))
}

// ListFigures implements adminpb.AdminServer.
func (s *service) ListFigures(_ context.Context, r *adminpb.ListFiguresRequest) (*adminpb.ListFiguresReply, error) {
	if s.cfg.Operator.Facts == nil {
		return nil, errNoRoom
	}
	figures := s.cfg.Operator.Facts.Figures(r.GetFamily())
	if figures == nil {
		return nil, status.Error(codes.InvalidArgument, "there is no such family of figures")
	}
	return &adminpb.ListFiguresReply{Figures: figures}, nil
}

// ListAlarms implements adminpb.AdminServer.
func (s *service) ListAlarms(_ context.Context, r *adminpb.ListAlarmsRequest) (*adminpb.ListAlarmsReply, error) {
	if s.cfg.Operator.Facts == nil {
		return nil, errNoRoom
	}
	return &adminpb.ListAlarmsReply{Alarms: s.cfg.Operator.Facts.Alarms(r.GetPast())}, nil
}

// SetLogLevel implements adminpb.AdminServer.
func (s *service) SetLogLevel(_ context.Context, r *adminpb.SetLogLevelRequest) (*adminpb.SetLogLevelReply, error) {
	levels := s.cfg.Operator.Levels
	if levels == nil {
		return nil, errNoRoom
	}
	if r.GetLevel() != "" {
		if _, err := s.done("log level "+r.GetLevel(), r.GetLogger(), levels.SetLevel(r.GetLogger(), r.GetLevel())); err != nil {
			return nil, err
		}
	}
	return &adminpb.SetLogLevelReply{Levels: levels.Levels()}, nil
}

// ListBans implements adminpb.AdminServer.
func (s *service) ListBans(context.Context, *adminpb.ListBansRequest) (*adminpb.ListBansReply, error) {
	if s.cfg.Operator.Bans == nil {
		return nil, errNoRoom
	}
	return &adminpb.ListBansReply{Bans: s.cfg.Operator.Bans.Bans()}, nil
}

// AddBan implements adminpb.AdminServer.
func (s *service) AddBan(_ context.Context, b *adminpb.Ban) (*adminpb.Done, error) {
	if s.cfg.Operator.Bans == nil {
		return nil, errNoRoom
	}
	return s.done("ban of "+b.GetKind(), b.GetWho(), s.cfg.Operator.Bans.AddBan(b))
}

// DeleteBan implements adminpb.AdminServer.
func (s *service) DeleteBan(_ context.Context, r *adminpb.DeleteBanRequest) (*adminpb.Done, error) {
	if s.cfg.Operator.Bans == nil {
		return nil, errNoRoom
	}
	return s.done("end of the ban of "+r.GetKind(), r.GetWho(), s.cfg.Operator.Bans.DeleteBan(r.GetKind(), r.GetWho()))
}

// ChangeListener implements adminpb.AdminServer.
func (s *service) ChangeListener(_ context.Context, r *adminpb.ChangeListenerRequest) (*adminpb.Done, error) {
	ports := s.cfg.Operator.Ports
	if ports == nil {
		return nil, errNoRoom
	}
	var err error
	switch r.GetAction() {
	case adminpb.ChangeListenerRequest_ACTION_STOP:
		err = ports.StopListener(r.GetId(), r.GetKick())
	case adminpb.ChangeListenerRequest_ACTION_START:
		err = ports.StartListener(r.GetId())
	case adminpb.ChangeListenerRequest_ACTION_RESTART:
		err = ports.RestartListener(r.GetId(), r.GetKick())
	default:
		return nil, status.Error(codes.InvalidArgument, "action is neither stop, start nor restart")
	}
	return s.done("listener "+r.GetAction().String(), r.GetId(), err)
}

// ShowConfig implements adminpb.AdminServer.
func (s *service) ShowConfig(context.Context, *adminpb.ShowConfigRequest) (*adminpb.ShowConfigReply, error) {
	if s.cfg.Operator.Config == nil {
		return nil, errNoRoom
	}
	return &adminpb.ShowConfigReply{Values: s.cfg.Operator.Config.Values()}, nil
}

// ReloadConfig implements adminpb.AdminServer.
func (s *service) ReloadConfig(context.Context, *adminpb.ReloadConfigRequest) (*adminpb.ReloadConfigReply, error) {
	if s.cfg.Operator.Config == nil {
		return nil, errNoRoom
	}
	return answer(s.cfg.Operator.Config.Reload())
}
