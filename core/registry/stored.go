package registry

import (
	"errors"
	"math"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
)

// StoredSession is what a store has of a session itself.
type StoredSession struct{ record }

// NeverEnds tells whether the session outlives any absence.
func (s *StoredSession) NeverEnds() bool { return s.Expiry == math.MaxUint32 }

// Stored is who is told what a store which no node uses has of sessions. A nil
// function is told nothing, and what it would be told is not read. What one returns
// ends the reading, if it is an error.
type Stored struct {
	Client       string // only the session of this client id; "": all
	Session      func(*StoredSession) error
	Subscription func(client, filter string, o message.SubOptions) error
	// Message is told of a message that waits or is under way, and of its place;
	// a nil Msg: the client has the QoS 2 message, and PUBREL is owed.
	Message func(client string, m session.Loaded) error
	Inbound func(client string, packetID uint16) error // QoS 2, between PUBLISH and PUBREL
}

// ReadStored reads a store: sessions, then what belongs to them, each in the order of
// their beginning, but messages in the order of their coming. What belongs to no session is left out: the next start removes it.
// What cannot be understood is passed over; the error that tells of it comes at the end.
func ReadStored(r store.Reader, to Stored) error {
	if err := room.Same(r); err != nil {
		return err
	}
	s := reading{r: r, to: to, clients: map[uint64]string{}}
	for _, read := range []func() error{s.sessions, s.subscriptions, s.messages, s.inbound} {
		if err := read(); err != nil {
			return errors.Join(err, s.broken.Err())
		}
	}
	return s.broken.Err()
}

// reading is a ReadStored under way.
type reading struct {
	r       store.Reader
	to      Stored
	clients map[uint64]string // by the session's number
	broken  store.Broken
}

// scan calls fn for the keys with a letter whose session is wanted. An error of fn
// that is stop ends the scan, another is of the key.
func (s *reading) scan(letter byte, fn func(sid uint64, rest, value []byte) (bad, stop error)) error {
	var stop error
	err := s.r.Scan(store.Prefix([]byte{letter}), func(key, value []byte) bool {
		sid, rest, ok := cutKey(key)
		if !ok {
			s.broken.Add(key, errKey)
			return true
		}
		if _, wanted := s.clients[sid]; !wanted {
			return true
		}
		var bad error
		if bad, stop = fn(sid, rest, value); bad != nil {
			s.broken.Add(key, bad)
		}
		return stop == nil
	})
	return errors.Join(stop, err)
}

var errKey = errors.New("not a key of a session")

func (s *reading) sessions() error {
	var stop error
	err := s.r.Scan(store.Prefix([]byte{keySession}), func(key, value []byte) bool {
		sid, _, ok := cutKey(key)
		rec, err := readRecord(value)
		switch {
		case !ok:
			err = errKey
			fallthrough
		case err != nil:
			s.broken.Add(key, err)
			return true
		case s.to.Client != "" && s.to.Client != rec.ClientID:
			return true
		}
		s.clients[sid] = rec.ClientID
		if s.to.Session != nil {
			stop = s.to.Session(&StoredSession{rec})
		}
		return stop == nil
	})
	return errors.Join(stop, err)
}

func (s *reading) subscriptions() error {
	if s.to.Subscription == nil {
		return nil
	}
	return s.scan(keyFilter, func(sid uint64, rest, value []byte) (bad, stop error) {
		o, err := session.ReadOptions(value)
		if err != nil {
			return err, nil
		}
		return nil, s.to.Subscription(s.clients[sid], string(rest), o)
	})
}

func (s *reading) inbound() error {
	if s.to.Inbound == nil {
		return nil
	}
	return s.scan(keyInbound, func(sid uint64, rest, _ []byte) (bad, stop error) {
		if len(rest) != 2 {
			return errKey, nil
		}
		return nil, s.to.Inbound(s.clients[sid], uint16(rest[0])<<8|uint16(rest[1]))
	})
}
