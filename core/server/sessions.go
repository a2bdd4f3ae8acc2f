package server

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/session"
)

// defaultZone is where sessions belong whose zone is gone.
const defaultZone = "external"

// recoverSessions brings back the sessions that the store has. Nobody can connect
// yet.
func (s *Server) recoverSessions(ctx context.Context) error {
	began, told := time.Now(), time.Now()
	log := func(what string, r registry.Recovered) {
		s.opts.Log.Info(what, zap.Int("sessions", r.Sessions), zap.Int("subscriptions", r.Subscriptions),
			zap.Int("messages", r.Messages), zap.Duration("after", time.Since(began).Round(time.Millisecond)))
	}
	done, err := s.registry.Recover(ctx, began.UnixNano(), func(r registry.Recovered) {
		if time.Since(told) >= time.Second {
			told = time.Now()
			log("recovering sessions", r)
		}
	})
	if err != nil {
		return err
	}
	if done.Sessions > 0 {
		log("sessions are recovered", done)
	}
	return nil
}

// zoneOf finds the zone of a recovered session.
func (s *Server) zoneOf(name string, v packet.Version) (*session.Config, any) {
	zones := s.Config().Zones
	z := zones[name]
	if z == nil {
		z = zones[defaultZone]
	}
	return z.SessionConfig(v), z
}
