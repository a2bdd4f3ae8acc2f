package cluster

import (
	"errors"
	"fmt"

	"github.com/dunlinmq/dunlin/core/message"
)

// Single is the fabric of a node that is alone. It starts no goroutine and its
// KV ends with the process.
type Single struct {
	self   Member
	leases *leases
	kv     *kv
}

var _ Fabric = (*Single)(nil)

// NewSingle returns the fabric of the node with that id and name.
func NewSingle(id NodeID, name string) *Single {
	return &Single{
		self:   Member{ID: id, Name: name},
		leases: &leases{closed: make(chan struct{}), held: map[string]*lease{}},
		kv:     &kv{entries: map[string]Entry{}},
	}
}

// Members is this node.
func (s *Single) Members() Members { return alone{s.self} }

// Forwarder reaches nobody.
func (s *Single) Forwarder() Forwarder { return nobody{} }

// Leases are had by whoever asks first in this process.
func (s *Single) Leases() Leases { return s.leases }

// KV is in memory.
func (s *Single) KV() KV { return s.kv }

// Close ends all leases and watches.
func (s *Single) Close() error {
	s.leases.close()
	s.kv.close()
	return nil
}

// alone is the only member.
type alone struct{ self Member }

func (a alone) Self() Member   { return a.self }
func (a alone) List() []Member { return []Member{a.self} }

func (a alone) Watch(fn func(Member)) (stop func()) {
	fn(a.self)
	return func() {}
}

// nobody is the forwarder without other nodes.
type nobody struct{}

func (nobody) Send(nodes []uint32, batch []*message.Message, done Completion) {
	var errs []error
	for _, m := range batch {
		if m.Origin == message.OriginPeer {
			errs = append(errs, fmt.Errorf("%w: message %v came from a node", ErrConflict, m.ID))
			break
		}
	}
	for _, n := range nodes {
		errs = append(errs, fmt.Errorf("%w: %d", ErrNoNode, n))
	}
	if done != nil {
		done(errors.Join(errs...))
	}
}

func (nobody) Credit(uint32) int { return 0 }

func (nobody) Receive(func(NodeID, []*message.Message, Completion)) {}
