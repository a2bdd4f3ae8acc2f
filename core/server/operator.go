package server

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
)

// askTime is how long clients get to answer what an operator asks: one whose
// turn is held up by a plugin is left out.
const askTime = time.Second

// operator is what the admin service shows and changes.
func (s *Server) operator() admin.Operator {
	return admin.Operator{Clients: clients{s}, Topics: topics{s}, Bans: bans{s}, Facts: facts{s}, Levels: s.opts.Levels, Ports: doors{s}, Config: inForce{s}, Store: upkeep{s}, Commands: pluginAdmin{s}}
}

// clients implements admin.Clients.
type clients struct{ s *Server }

// ListClients implements admin.Clients.
func (k clients) ListClients(ctx context.Context, r *adminpb.ListClientsRequest) (*adminpb.ListClientsReply, error) {
	keep, err := wanted(r)
	if err != nil {
		return nil, err
	}
	page, next := k.s.registry.Page(r.GetCursor(), int(r.GetLimit()), keep)
	reply := &adminpb.ListClientsReply{Next: next, Clients: make([]*adminpb.ClientInfo, len(page))}
	for i, c := range page {
		info, connected := c.Facts()
		reply.Clients[i] = describe(c.ClientID(), info, connected)
	}
	if r.GetFigures() {
		for i, f := range sessionsOf(ctx, page) {
			reply.Clients[i].Session = f
		}
	}
	return reply, nil
}

// wanted is the filter of a request.
func wanted(r *adminpb.ListClientsRequest) (func(*registry.Client) bool, error) {
	var network netip.Prefix
	if text := r.GetAddress(); text != "" {
		var err error
		if network, err = parseNetwork(text); err != nil {
			return nil, fmt.Errorf("%w: address %q: %w", admin.ErrInvalid, text, err)
		}
	}
	facts := r.GetUsername() != "" || r.GetListener() != "" || network.IsValid() || r.GetOnline()
	return func(c *registry.Client) bool {
		if !strings.HasPrefix(c.ClientID(), r.GetPrefix()) {
			return false
		}
		if !facts {
			return true
		}
		info, connected := c.Facts()
		return info != nil && (connected || !r.GetOnline()) &&
			(r.GetUsername() == "" || info.Username == r.GetUsername()) &&
			(r.GetListener() == "" || info.Listener == r.GetListener()) &&
			(!network.IsValid() || network.Contains(info.Peer.Addr().Unmap()))
	}, nil
}

// parseNetwork reads an address or a network in CIDR notation.
func parseNetwork(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// describe is a client without its session; info may be nil.
func describe(id string, info *hook.Client, connected bool) *adminpb.ClientInfo {
	c := &adminpb.ClientInfo{Id: id, Connected: connected}
	if info == nil {
		return c
	}
	c.Username, c.Peer, c.Listener, c.Zone = info.Username, info.Peer.String(), info.Listener, info.Zone
	c.Protocol, c.CleanStart, c.Keepalive, c.Expiry = uint32(info.Protocol), info.CleanStart, uint32(info.KeepAlive), info.Expiry
	if !info.ConnectedAt.IsZero() {
		c.ConnectedAtMs = info.ConnectedAt.UnixMilli()
	}
	return c
}

func figuresOf(s *session.Session) *adminpb.SessionFigures {
	i := s.Info()
	return &adminpb.SessionFigures{
		CreatedAtMs: i.Created / int64(time.Millisecond), Subscriptions: uint32(i.Subscriptions), Inflight: uint32(i.Inflight),
		Queue: uint32(i.Queue), QueueBytes: i.QueueBytes, AwaitingRel: uint32(i.AwaitingRel), Dropped: i.Dropped,
	}
}

// sessionsOf asks all of page at once for their figures; nil where none came.
func sessionsOf(ctx context.Context, page []*registry.Client) []*adminpb.SessionFigures {
	type reply struct {
		i int
		f *adminpb.SessionFigures
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	list, asked := make([]*adminpb.SessionFigures, len(page)), 0
	replies := make(chan reply, len(page)) // nobody ever waits to answer
	for i, c := range page {
		if c.Offline(func(s *session.Session, _ *hook.Client) { list[i] = figuresOf(s) }) {
			continue
		}
		if c.Do(func(t registry.Turn) {
			var f *adminpb.SessionFigures
			if t != nil {
				f = figuresOf(t.Session())
			}
			replies <- reply{i, f}
		}) {
			asked++
		}
	}
	for ; asked > 0; asked-- {
		select {
		case r := <-replies:
			list[r.i] = r.f
		case <-ctx.Done():
			return list
		}
	}
	return list
}

// Client implements admin.Clients.
func (k clients) Client(ctx context.Context, id string) (*adminpb.ClientInfo, error) {
	c, err := k.s.find(id)
	if err != nil {
		return nil, err
	}
	info, connected := c.Facts()
	reply := describe(id, info, connected)
	reply.Session = sessionsOf(ctx, []*registry.Client{c})[0]
	return reply, nil
}

// find returns the session of an id.
func (s *Server) find(id string) (*registry.Client, error) {
	if c := s.registry.Lookup(id); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("client %q: %w", id, admin.ErrNotFound)
}

// Kick implements admin.Clients.
func (k clients) Kick(id string) error {
	c, err := k.s.find(id)
	if err != nil {
		return err
	}
	if c.Evict(packet.AdministrativeAction) {
		return nil
	}
	b := &router.Batch{Now: time.Now().UnixNano()}
	k.s.registry.End(b, id)
	k.s.ended(b)
	return nil
}

// CleanACLCache implements admin.Clients.
func (k clients) CleanACLCache(id string) error {
	forget := func(c *registry.Client) bool {
		c.Do(func(t registry.Turn) {
			if t != nil {
				t.ForgetACL()
			}
		})
		return true
	}
	if id == "" {
		k.s.registry.Each(forget)
		return nil
	}
	c, err := k.s.find(id)
	if err == nil {
		forget(c)
	}
	return err
}
