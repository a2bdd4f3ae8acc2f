// Package cluster is what the broker asks of the fabric between nodes, and the
// answer of a node that is alone. It refuses to know routes, sessions and the
// wire: those who use it bring bytes and messages.
package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/dunlinmq/dunlin/core/message"
)

// The errors of the fabric. They come wrapped; test with errors.Is.
var (
	ErrNoNode   = errors.New("cluster: no such node")
	ErrNoKey    = errors.New("cluster: no such key")
	ErrConflict = errors.New("cluster: another revision or owner") // somebody else was first
	ErrClosed   = errors.New("cluster: closed")
)

// NodeID names one life of a node. Messages, frames and leases of an earlier
// life are told apart by the incarnation.
type NodeID struct {
	Node        uint32 // from 1; the same in every life
	Incarnation uint32 // the node's start count, from 1
}

// String is "node.incarnation".
func (id NodeID) String() string { return fmt.Sprintf("%d.%d", id.Node, id.Incarnation) }

// Health is what is known of a member.
type Health byte

// The states of a member.
const (
	Alive   Health = iota
	Suspect        // silent: its routes stay, nobody waits for its acknowledgements
	Dead           // silent for long, or replaced by its next incarnation
)

// Member is one node.
type Member struct {
	ID     NodeID
	Name   string // for example "dunlin@10.0.0.1"; unique in the cluster
	Health Health
}

// Members knows who is in the cluster.
type Members interface {
	// Self is this node; it is Alive.
	Self() Member
	// List is all members but the dead, this node included, sorted by node number.
	List() []Member
	// Watch calls fn with the members that there are and then with every one that
	// changes, in order and never twice at the same time, until stop. fn must not
	// block.
	Watch(fn func(Member)) (stop func())
}

// Completion is called once, on any goroutine, when something that was sent is
// stored or handed over by all whom it was for, or never will be.
type Completion func(err error)

// Forwarder carries messages to other nodes. Messages keep their order for one
// publisher and one destination.
type Forwarder interface {
	// Send takes the batch for the nodes; it never blocks, and keeps the messages,
	// not the slices. Messages of [message.OriginPeer] are refused with
	// ErrConflict: a message is forwarded once. done may be nil for QoS 0. An
	// unknown or dead node is ErrNoNode, and the others get the batch nevertheless.
	Send(nodes []uint32, batch []*message.Message, done Completion)
	// Credit is how many bytes the node's queue still takes; 0 for a node that
	// there is not. At 0, QoS 0 is dropped and publishers of QoS 1 and 2 wait.
	Credit(node uint32) int
	// Receive sets the function that takes what other nodes send. fn must not
	// block; done releases the sender's completion. Set once, before traffic.
	Receive(fn func(from NodeID, batch []*message.Message, done Completion))
}

// Lease is a right that one node at most has at a time.
type Lease interface {
	// Token is larger than that of every earlier holder: whoever writes under the
	// lease sends it along, and refuses smaller ones.
	Token() uint64
	// Lost is closed when the lease has ended, by Release or by force.
	Lost() <-chan struct{}
	// Release gives the lease back. Idempotent.
	Release()
}

// Leases hands out leases by name.
type Leases interface {
	// Acquire waits until this node has the lease or ctx ends. The errors are
	// ctx's and ErrClosed.
	Acquire(ctx context.Context, name string) (Lease, error)
}

// Entry is a key's value at one revision.
type Entry struct {
	Key      string
	Value    []byte // nil when Deleted
	Revision uint64 // grows with every change of any key; 0: the key does not exist
	Deleted  bool   // in a Watch: the key was removed
}

// Any is the revision that means "whatever there is" in a Put or Delete.
const Any = ^uint64(0)

// KV keeps small values that all nodes share: configuration, rules, users.
type KV interface {
	// Get returns a key's entry. The error is ErrNoKey. The value is the caller's.
	Get(ctx context.Context, key string) (Entry, error)
	// Put writes a copy of value if the key has revision was (0: does not exist;
	// Any), and returns the new revision. The error is ErrConflict.
	Put(ctx context.Context, key string, value []byte, was uint64) (uint64, error)
	// Delete removes the key if it has revision was (or Any). The errors are
	// ErrConflict and ErrNoKey.
	Delete(ctx context.Context, key string, was uint64) error
	// Watch calls fn with the entries whose key begins with prefix, in the order
	// of the keys, and then with every change of one, in order and never twice at
	// the same time, until stop. fn must not block.
	Watch(prefix string, fn func(Entry)) (stop func())
}

// Fabric is everything that the broker needs from the cluster.
type Fabric interface {
	Members() Members
	Forwarder() Forwarder
	Leases() Leases
	KV() KV
	// Close leaves the cluster: leases end, watches fall silent. Idempotent.
	Close() error
}
