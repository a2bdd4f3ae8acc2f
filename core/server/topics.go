package server

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/topic"
)

// topics implements admin.Topics.
type topics struct{ s *Server }

// sieve keeps the first limit values, in the order of their keys, of those after
// a cursor. One walk over everything makes a page, in memory of one page.
type sieve[T any] struct {
	after string
	limit int
	bound string // of a full sieve: what is not below it is not kept
	kept  []keyed[T]
}

type keyed[T any] struct {
	key string
	v   T
}

// wants tells whether a value with the key may be on the page.
func (s *sieve[T]) wants(key string) bool { return key > s.after && (s.bound == "" || key < s.bound) }

func (s *sieve[T]) add(key string, v T) {
	s.kept = append(s.kept, keyed[T]{key, v})
	if len(s.kept) > 2*s.limit {
		s.trim(s.limit + 1)
		s.bound = s.kept[s.limit].key
	}
}

func (s *sieve[T]) trim(n int) {
	slices.SortFunc(s.kept, func(a, b keyed[T]) int { return cmp.Compare(a.key, b.key) })
	s.kept = s.kept[:min(n, len(s.kept))]
}

// page is what is kept and the cursor of the next page; "": there is none.
func (s *sieve[T]) page() (list []T, next string) {
	s.trim(s.limit + 1)
	if len(s.kept) > s.limit {
		s.kept = s.kept[:s.limit]
		next = s.kept[s.limit-1].key
	}
	for _, k := range s.kept {
		list = append(list, k.v)
	}
	return list, next
}

// ListSubscriptions implements admin.Topics. A cursor is filter, NUL, client id.
func (k topics) ListSubscriptions(ctx context.Context, r *adminpb.ListSubscriptionsRequest) (*adminpb.ListSubscriptionsReply, error) {
	if r.GetClient() != "" {
		list, err := k.of(ctx, r.GetClient())
		return &adminpb.ListSubscriptionsReply{Subscriptions: list}, err
	}
	sv := sieve[*router.Subscription]{after: r.GetCursor(), limit: int(r.GetLimit())}
	k.s.router.Each(func(s *router.Subscription) bool {
		if key := filterOf(s) + "\x00" + s.To.ClientID(); sv.wants(key) {
			sv.add(key, s)
		}
		return ctx.Err() == nil
	})
	list, next := sv.page()
	reply := &adminpb.ListSubscriptionsReply{Next: next}
	for _, s := range list {
		reply.Subscriptions = append(reply.Subscriptions, toSubscription(s.To.ClientID(), filterOf(s), s.Opts))
	}
	return reply, ctx.Err()
}

// filterOf is the filter as the client has it, with its share.
func filterOf(s *router.Subscription) string {
	switch {
	case s.Share == nil:
		return s.Filter
	case s.Share.Group == "$queue":
		return "$queue/" + s.Filter
	}
	return "$share/" + s.Share.Group + "/" + s.Filter
}

func toSubscription(client, filter string, o message.SubOptions) *adminpb.Subscription {
	return &adminpb.Subscription{Client: client, Filter: filter, Qos: uint32(o.QoS), NoLocal: o.NoLocal,
		RetainAsPublished: o.RetainAsPublished, RetainHandling: uint32(o.RetainHandling)}
}

// of lists one client's subscriptions in the order of their filters.
func (k topics) of(ctx context.Context, id string) ([]*adminpb.Subscription, error) {
	c, err := k.s.find(id)
	if err != nil {
		return nil, err
	}
	var list []*adminpb.Subscription
	read := func(s *session.Session) (list []*adminpb.Subscription) {
		for filter, o := range s.Subscriptions() {
			list = append(list, toSubscription(id, filter, o))
		}
		return list
	}
	if !c.Offline(func(s *session.Session, _ *hook.Client) { list = read(s) }) {
		answer := make(chan []*adminpb.Subscription, 1)
		if err := inTurn(ctx, c, func(t registry.Turn) error {
			answer <- read(t.Session())
			return nil
		}); err != nil {
			return nil, err
		}
		list = <-answer
	}
	slices.SortFunc(list, func(a, b *adminpb.Subscription) int { return strings.Compare(a.GetFilter(), b.GetFilter()) })
	return list, nil
}

// inTurn runs fn in the client's turn and waits for it. When the client does not
// come to it in time, fn may still run later.
func inTurn(ctx context.Context, c *registry.Client, fn func(registry.Turn) error) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	gone := fmt.Errorf("client %q is not connected: %w", c.ClientID(), admin.ErrState)
	done := make(chan error, 1)
	if !c.Do(func(t registry.Turn) {
		if t == nil {
			done <- gone
			return
		}
		done <- fn(t)
	}) {
		return gone
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("client %q does not come to it: %w", c.ClientID(), ctx.Err())
	}
}

// ChangeSubscription implements admin.Topics.
func (k topics) ChangeSubscription(ctx context.Context, r *adminpb.ChangeSubscriptionRequest) error {
	sub := r.GetSubscription()
	if err := topic.ValidateFilter(sub.GetFilter()); err != nil {
		return fmt.Errorf("%w: %w", admin.ErrInvalid, err)
	}
	if sub.GetQos() > 2 || sub.GetRetainHandling() > 2 {
		return fmt.Errorf("QoS should be 0, 1, 2: %w", admin.ErrInvalid)
	}
	c, err := k.s.find(sub.GetClient())
	if err != nil {
		return err
	}
	return inTurn(ctx, c, func(t registry.Turn) error {
		if r.GetDelete() {
			if t.Unsubscribe(sub.GetFilter()) == packet.NoSubscriptionExisted {
				return fmt.Errorf("subscription to %q: %w", sub.GetFilter(), admin.ErrNotFound)
			}
			return nil
		}
		code := t.Subscribe(sub.GetFilter(), message.SubOptions{QoS: byte(sub.GetQos()), NoLocal: sub.GetNoLocal(),
			RetainAsPublished: sub.GetRetainAsPublished(), RetainHandling: byte(sub.GetRetainHandling())})
		if code.Failed() {
			return fmt.Errorf("refused with %v: %w", code, admin.ErrState)
		}
		return nil
	})
}

// ListRoutes implements admin.Topics.
func (k topics) ListRoutes(ctx context.Context, r *adminpb.ListRoutesRequest) (*adminpb.ListRoutesReply, error) {
	sv := sieve[*adminpb.Route]{after: r.GetCursor(), limit: int(r.GetLimit())}
	k.s.router.Filters(func(filter string, n int) bool {
		if (r.GetFilter() == "" || r.GetFilter() == filter) && sv.wants(filter) {
			sv.add(filter, &adminpb.Route{Filter: filter, Node: k.s.cfg.Node.Name, Subscriptions: int64(n)})
		}
		return ctx.Err() == nil
	})
	list, next := sv.page()
	if r.GetFilter() != "" && len(list) == 0 && ctx.Err() == nil {
		return nil, fmt.Errorf("route %q: %w", r.GetFilter(), admin.ErrNotFound)
	}
	return &adminpb.ListRoutesReply{Routes: list, Next: next}, ctx.Err()
}
