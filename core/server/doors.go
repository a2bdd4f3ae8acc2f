package server

import (
	"fmt"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/config"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/listener"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/registry"
)

// doors implements admin.Ports.
type doors struct{ s *Server }

// StopListener implements admin.Ports. Whoever had not sent its CONNECT when the
// port was closed may still do so.
func (d doors) StopListener(id string, kick bool) error {
	err := d.with(id, (*listener.Listener).Stop)
	if err == nil && kick {
		sendAway(d.through(id))
	}
	return err
}

// StartListener implements admin.Ports.
func (d doors) StartListener(id string) error { return d.with(id, (*listener.Listener).Start) }

// RestartListener implements admin.Ports. Its clients go last, so that they find
// the port open when they come back.
func (d doors) RestartListener(id string, kick bool) error {
	var clients map[*registry.Client]*hook.Client
	if kick {
		clients = d.through(id)
	}
	err := d.with(id, (*listener.Listener).Restart)
	if err == nil {
		sendAway(clients)
	}
	return err
}

// through is the connections that came through a listener.
func (d doors) through(id string) map[*registry.Client]*hook.Client {
	list := map[*registry.Client]*hook.Client{}
	d.s.registry.Each(func(c *registry.Client) bool {
		if info := c.Info(); info != nil && info.Listener == id {
			list[c] = info
		}
		return true
	})
	return list
}

// sendAway kicks clients that still have the same connection.
func sendAway(list map[*registry.Client]*hook.Client) {
	for c, info := range list {
		if c.Info() == info {
			c.Evict(packet.AdministrativeAction)
		}
	}
}

func (d doors) with(id string, act func(*listener.Listener) error) error {
	d.s.ports.changing.Lock()
	defer d.s.ports.changing.Unlock()
	l := d.s.ports.find(id)
	if l == nil {
		return fmt.Errorf("listener %q: %w", id, admin.ErrNotFound)
	}
	return act(l)
}

// inForce implements admin.Settings.
type inForce struct{ s *Server }

// Values implements admin.Settings.
func (f inForce) Values() []*adminpb.ConfigValue {
	var list []*adminpb.ConfigValue
	for _, v := range f.s.Config().Values() {
		list = append(list, &adminpb.ConfigValue{Key: v.Key, Value: v.Text, Origin: v.Origin.String()})
	}
	return list
}

// Reload implements admin.Settings.
func (f inForce) Reload() (*adminpb.ReloadConfigReply, error) {
	done, err := f.s.Reload()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", admin.ErrState, err)
	}
	keys := func(ds []config.Difference) (list []string) {
		for _, d := range ds {
			list = append(list, d.Key)
		}
		return list
	}
	applied := keys(done.Applied)
	for _, name := range done.Plugins {
		applied = append(applied, "plugin "+name)
	}
	return &adminpb.ReloadConfigReply{Applied: applied, Restart: keys(done.Restart)}, nil
}
