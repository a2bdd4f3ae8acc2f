package server

import (
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/sys"
)

// fullListeners names listeners that have all the connections they may have.
func (s *Server) fullListeners() (wrong []sys.Condition) {
	for _, l := range s.ports.list() {
		cfg, st := l.Config(), l.Stats()
		if cfg.MaxConnections > 0 && st.Current >= int64(cfg.MaxConnections) {
			wrong = append(wrong, sys.Condition{
				Name: "listener/" + cfg.ID() + "/max_connections", Message: "the listener has max_connections: more are closed at once",
				Details: map[string]any{"listener": cfg.ID(), "max_connections": cfg.MaxConnections, "refused": st.Refused},
			})
		}
	}
	return wrong
}

// brokenPlugins names plugins that were shut out after too many faults.
func (s *Server) brokenPlugins() (wrong []sys.Condition) {
	for _, p := range s.plugins.List() {
		if p.Status.State == plugin.StateQuarantined {
			wrong = append(wrong, sys.Condition{
				Name: "plugin/" + p.Name + "/quarantined", Message: "the plugin has failed too often and is not called until it is reloaded",
				Details: map[string]any{"plugin": p.Name, "faults": p.Status.Faults, "last_fault": p.Status.LastFault},
			})
		}
	}
	return wrong
}

// failedLogins tells whether addresses have to wait because of failed logins.
func (s *Server) failedLogins() []sys.Condition {
	n := s.guards.logins.Waiting(time.Now().UnixNano())
	if n == 0 {
		return nil
	}
	return []sys.Condition{{
		Name: "login_backoff", Message: "addresses are refused after too many failed logins", Details: map[string]any{"addresses": n},
	}}
}

// fullStores names what holds as much as it may.
func (s *Server) fullStores() (wrong []sys.Condition) {
	c := s.Config()
	if n := c.Store.MaxMessages; n > 0 && s.retained.Count() >= n {
		wrong = append(wrong, sys.Condition{
			Name: "topicstore/max_messages", Message: "no more topics can have a retained message", Details: map[string]any{"max_messages": n},
		})
	}
	if n := c.Store.MaxBytes; n > 0 && s.retained.Bytes() >= n-n/20 {
		wrong = append(wrong, sys.Condition{
			Name: "topicstore/max_bytes", Message: "retained messages take 95 % of the bytes they may take", Details: map[string]any{"max_bytes": n},
		})
	}
	if n := c.Access.MaxBans; s.guards.bans.Len() >= n {
		wrong = append(wrong, sys.Condition{
			Name: "access/max_bans", Message: "the banned list is full: nobody else can be banned", Details: map[string]any{"max_bans": n},
		})
	}
	return wrong
}

// calm is how long a protection must not have been needed for its alarm to end.
const calm = time.Minute

// manyTimeouts is how many connections within that time make an alarm because
// they sent no CONNECT. A few are nothing: ports are scanned.
const manyTimeouts = 10

// surge looks at a number that grows while a protection is at work.
type surge struct {
	base        int64 // the number at since
	since, last time.Time
}

// on tells whether the number has grown by least within the time, at now or not
// long ago.
func (s *surge) on(n, least int64, now time.Time) bool {
	switch {
	case n-s.base >= least:
		s.base, s.since, s.last = n, now, now
	case now.Sub(s.since) >= calm:
		s.base, s.since = n, now
	}
	return !s.last.IsZero() && now.Sub(s.last) < calm
}

// surges remembers when protections were last at work. Owned by the watch.
type surges struct {
	s     *Server
	known map[string]*surge // by alarm
}

// look is the condition of the name, if it is one now.
func (k *surges) look(c sys.Condition, n, least int64) []sys.Condition {
	s := k.known[c.Name]
	if s == nil {
		s = new(surge)
		k.known[c.Name] = s
	}
	if !s.on(n, least, time.Now()) {
		return nil
	}
	c.Details["count"] = n
	return []sys.Condition{c}
}

func (k *surges) check() (wrong []sys.Condition) {
	for _, l := range k.s.ports.list() {
		cfg, st := l.Config(), l.Stats()
		at := func(limit string, value any, message string, n int64) {
			wrong = append(wrong, k.look(sys.Condition{
				Name: "listener/" + cfg.ID() + "/" + limit, Message: message, Details: map[string]any{"listener": cfg.ID(), limit: value},
			}, n, 1)...)
		}
		at("max_conn_per_address", cfg.MaxConnPerAddress, "an address has max_conn_per_address: more are closed at once", st.Crowded)
		at("max_conn_rate", cfg.MaxConnRate, "connections come faster than max_conn_rate: they wait", st.Slowed)
		at("max_handshakes", cfg.MaxHandshakes, "more handshakes at once than max_handshakes: the oldest are closed", st.PushedOut)
	}
	wrong = append(wrong, k.look(sys.Condition{
		Name: "max_mqueue_bytes", Message: "queues of sessions have max_mqueue_bytes: messages are dropped (ctl clients list -o wide shows mqueue_bytes)",
		Details: map[string]any{},
	}, int64(k.s.env.Metrics.Totals().DeliveryDroppedQueueBytes), 1)...)
	return append(wrong, k.look(sys.Condition{
		Name: "connect_timeout", Message: "connections are closed that send no CONNECT within idle_timeout", Details: map[string]any{},
	}, int64(k.s.env.Late()), manyTimeouts)...)
}
