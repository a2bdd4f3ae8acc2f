package router

import "github.com/dunlinmq/dunlin/core/message"

// SetStrategies changes the strategies of all shared groups, those that exist
// included; of cfg nothing else counts. A message that is being published
// meanwhile may still be shared out by the old one.
func (r *Router) SetStrategies(cfg Config) {
	next := *r.cfg.Load()
	next.Strategy, next.GroupStrategies = cfg.Strategy, cfg.GroupStrategies
	r.cfg.Store(&next)
	r.lockAll()
	defer r.unlockAll()
	r.routes(func(e *entry) {
		c := e.many.Load()
		if c == nil {
			return
		}
		eachPlace(c.groups.walk(), func(g *Group) bool {
			g.strategy.Store(uint32(r.strategy(g.Share)))
			return true
		})
	})
}

// strategy is the strategy of a group; share may be nil.
func (r *Router) strategy(share *message.Share) Strategy {
	cfg := r.cfg.Load()
	if share != nil {
		if s, ok := cfg.GroupStrategies[share.Group]; ok {
			return s
		}
	}
	return cfg.Strategy
}
