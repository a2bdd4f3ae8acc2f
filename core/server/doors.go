package server

import (
	"fmt"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/config"
	"github.com/dunlinmq/dunlin/core/listener"
)

// doors implements admin.Ports.
type doors struct{ s *Server }

// StopListener implements admin.Ports. Connected clients stay.
func (d doors) StopListener(id string) error { return d.with(id, (*listener.Listener).Stop) }

// StartListener implements admin.Ports.
func (d doors) StartListener(id string) error { return d.with(id, (*listener.Listener).Start) }

// RestartListener implements admin.Ports.
func (d doors) RestartListener(id string) error { return d.with(id, (*listener.Listener).Restart) }

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
	return &adminpb.ReloadConfigReply{Applied: keys(done.Applied), Restart: keys(done.Restart)}, nil
}
