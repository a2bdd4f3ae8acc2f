package registry

import (
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
)

// messages reads what waits for clients, or is under way to them.
func (s *reading) messages() error {
	if s.to.Message == nil {
		return nil
	}
	return s.scan(keyPlace, func(client string, rest, value []byte) (bad, stop error) {
		seq, rest, ok := store.CutUint64(rest)
		if !ok || len(rest) > 0 || len(value) == 0 {
			return errKey, nil
		}
		var l session.Loaded
		if value[0] != kindReceived {
			if l, bad = session.ReadDelivery(value[1:]); bad != nil {
				return bad, nil
			}
		}
		l.Seq = seq
		return nil, s.to.Message(client, l)
	})
}
