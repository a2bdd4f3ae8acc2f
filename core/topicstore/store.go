// Package topicstore keeps one message for each topic name and reads them by
// filter: the service that the provider of retained messages stands on. It
// refuses policy: what is kept, for how long and who may read it is the
// plugin's business.
package topicstore

import (
	"errors"
	"sync"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/store"
)

// ErrFull is returned by [Store.Put] when a limit stands against the message.
var ErrFull = errors.New("topicstore: full")

// Config is a store's limits.
type Config struct {
	MaxMessages int   // 0: no limit
	MaxBytes    int64 // of topics, properties and payloads; 0: no limit
}

// Store is the set of messages. All methods may be called by any goroutine;
// none holds the lock for longer than a few hundred steps.
type Store struct {
	mu       sync.RWMutex
	cfg      Config   // guarded by mu
	list     list     // guarded by mu
	expiring expiring // guarded by mu
	bytes    int64    // guarded by mu
	own      int      // messages of the node itself; guarded by mu
	disk     disk     // guarded by mu
}

// New returns an empty store in memory; see [Open].
func New(cfg Config) *Store { return &Store{cfg: cfg} }

// SetLimits changes the limits for messages to come. What is kept stays, also
// when it is more.
func (s *Store) SetLimits(cfg Config) {
	s.mu.Lock()
	s.cfg = cfg
	s.mu.Unlock()
}

// Put keeps a copy of m as the message of its topic. A message of the same
// topic is replaced even when the store has its maximum of messages; MaxBytes
// holds for every Put that would make the store larger. What has expired at
// m.Time makes room first. The error is ErrFull.
//
// What the node says about itself (message.OriginSys) is kept beside the others:
// it is in no count and no limit, and clients cannot make it more.
//
// The copy has the Retained flag: it is made to be sent to new subscribers.
//
// In a store that was opened on a disk m is there, as safe as need, when what the
// caller commits next has ended; with store.Memory, and when it is the node's own,
// it is not there. While the disk takes nothing the error is store.ErrFull,
// store.ErrReadOnly or store.ErrClosed.
func (s *Store) Put(m *message.Message, need store.Durability) error {
	m = m.Detach()
	m.Retained = true
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.disk.refuses(need); err != nil {
		return err
	}
	at, ok := s.list.find(m.Topic)
	if !s.fits(m, s.list.at(at, ok)) {
		s.expire(m.Time, expireStep)
		at, ok = s.list.find(m.Topic)
		if !s.fits(m, s.list.at(at, ok)) {
			return ErrFull
		}
	}
	old := s.list.at(at, ok)
	if ok {
		s.forget(old)
		s.list.set(at, m)
	} else {
		s.list.insert(at, m)
	}
	s.enter(m)
	s.disk.put(m, old, need)
	return nil
}

// enter puts m into the accounts. mu is held, or nobody else has s yet.
func (s *Store) enter(m *message.Message) {
	if m.Origin == message.OriginSys {
		s.own++
	} else {
		s.bytes += int64(m.Size())
	}
	if m.Expiry != 0 {
		s.expiring.add(m)
	}
}

// fits tells whether m may take the place of old (nil: an additional message).
// mu is held.
func (s *Store) fits(m, old *message.Message) bool {
	if m.Origin == message.OriginSys {
		return true
	}
	grow := int64(m.Size())
	if old != nil && old.Origin != message.OriginSys {
		grow -= int64(old.Size())
	} else if s.cfg.MaxMessages > 0 && s.list.n-s.own >= s.cfg.MaxMessages {
		return false
	}
	return s.cfg.MaxBytes <= 0 || grow <= 0 || s.bytes+grow <= s.cfg.MaxBytes
}

// forget takes m out of the accounts. mu is held.
func (s *Store) forget(m *message.Message) {
	if m.Origin == message.OriginSys {
		s.own--
	} else {
		s.bytes -= int64(m.Size())
	}
	if m.Expiry != 0 {
		s.expiring.remove(m)
	}
}

// Delete removes the message of a topic and tells whether there was one. It is
// gone from the disk, as safe as need, when what the caller commits next has
// ended; a disk that is full takes it.
func (s *Store) Delete(topic string, need store.Durability) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.remove(topic)
	if m == nil {
		return false
	}
	s.disk.remove(need, m)
	return true
}

// remove takes the message of a topic out of memory; nil: there was none. mu is held.
func (s *Store) remove(topic string) *message.Message {
	at, ok := s.list.find(topic)
	if !ok {
		return nil
	}
	m := s.list.at(at, ok)
	s.forget(m)
	s.list.remove(at)
	return m
}

// Get returns the message of a topic, or nil. It may have expired.
func (s *Store) Get(topic string) *message.Message {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.list.at(s.list.find(topic))
}

// Count is the number of messages, expired ones that are still kept included,
// those of the node itself not.
func (s *Store) Count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.list.n - s.own
}

// Bytes is the sum of the messages' topics, properties and payloads, those of
// the node itself left out.
func (s *Store) Bytes() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.bytes
}

// CountFilter is the number of messages whose topic matches filter, expired
// ones that are still kept included. It reads as a cursor does.
func (s *Store) CountFilter(filter string) int {
	n := 0
	w := newWalk(filter)
	for !w.done {
		s.read(&w, func(*message.Message) bool { n++; return true })
	}
	return n
}
