package session

// arm makes sure that the retry timer looks at a packet sent at now.
func (s *Session) arm(now int64) {
	if s.resend && s.retryAt == 0 && s.cfg.RetryInterval > 0 {
		s.retryAt = now + int64(s.cfg.RetryInterval)
	}
}

// NextTick is when Tick has work, Unix nanoseconds; 0: never. It may be in the
// past: then at once.
func (s *Session) NextTick() int64 {
	if !s.attached {
		return 0
	}
	at := s.moreAt
	if s.held {
		at = 0 // Hold(false) pumps
	}
	if s.retryAt != 0 && (at == 0 || s.retryAt < at) {
		at = s.retryAt
	}
	if s.awaiting.count > 0 && s.cfg.AwaitRelTimeout > 0 {
		if t := s.awaiting.oldest + int64(s.cfg.AwaitRelTimeout); at == 0 || t < at {
			at = t
		}
	}
	return at
}

// Tick does what is due at now: it sends unacknowledged packets again that are
// older than RetryInterval, if Attach allowed it, forgets inbound QoS 2
// identifiers whose PUBREL did not come, and goes on with a pump that stopped at
// its budget. A QoS 1 message that has expired is not sent again, but its
// identifier stays taken, because PUBACK may still come. Without a connection
// no time passes for identifiers: exactly once outlives a long absence.
func (s *Session) Tick(now int64, e *Effects) {
	if !s.attached {
		return
	}
	s.awaiting.expire(now, s.cfg.AwaitRelTimeout, e)
	if s.retryAt != 0 && s.retryAt <= now {
		s.retry(now, e)
	}
	if s.moreAt != 0 {
		s.Pump(now, e)
	}
}

// retry sends again, in order, what is older than RetryInterval, and sets the
// time of the next look.
func (s *Session) retry(now int64, e *Effects) {
	interval := int64(s.cfg.RetryInterval)
	s.retryAt = 0
	if s.held {
		s.retryAt = now + interval
		return
	}
	next := int64(0)
	s.inflight.each(func(en *entry) {
		if en.flags&flagUnsent != 0 {
			return
		}
		if en.sentAt+interval <= now {
			switch {
			case en.flags&flagRel != 0:
				s.sendRel(now, en, e)
			case !en.stale(now):
				e.Send = append(e.Send, Outgoing{Delivery: en.msg, PacketID: en.id, QoS: en.qos, Dup: true})
			}
			en.sentAt = now
		}
		if t := en.sentAt + interval; next == 0 || t < next {
			next = t
		}
	})
	s.retryAt = next
}
