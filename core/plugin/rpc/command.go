package rpc

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/contract/pluginpb"
)

// Command implements [plugin.Commander]. It goes to the present process and is not
// tried again: who asked is told.
func (i *Instance) Command(ctx context.Context, name string, body []byte) ([]byte, error) {
	i.mu.Lock()
	p := i.cur
	i.mu.Unlock()
	switch {
	case p == nil:
		return nil, errors.New("the plugin's process is down; `dunlin ctl plugins show` says why")
	case !p.features.Has(contract.FeatureCommand):
		return nil, plugin.ErrNoCommands
	}
	r, err := p.api.Command(ctx, &pluginpb.CommandReq{Name: name, Body: body})
	if err != nil {
		return nil, answered(err)
	}
	if n := len(r.GetBody()); n > contract.MaxCommandReply {
		return nil, errors.New("the plugin's answer is too long: ask for less")
	}
	return r.GetBody(), nil
}

// said is an error of the plugin: its text, and its kind for errors.Is.
type said struct {
	kind error
	text string
}

func (e *said) Error() string { return e.text }
func (e *said) Unwrap() error { return e.kind }

// answered puts a status of Command into the errors of package plugin.
func answered(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	kinds := map[codes.Code]error{
		codes.NotFound: plugin.ErrNotThere, codes.InvalidArgument: plugin.ErrBadCommand, codes.FailedPrecondition: plugin.ErrRefused,
		codes.Unimplemented: plugin.ErrNotThere, codes.DeadlineExceeded: context.DeadlineExceeded, codes.Canceled: context.Canceled,
	}
	if kind := kinds[s.Code()]; kind != nil {
		return &said{kind, s.Message()}
	}
	return errors.New(s.Message())
}
