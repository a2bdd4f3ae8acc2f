// Package clustertest is the suite that every cluster.Fabric passes. It owns
// what the contract means for one node; a fabric of many nodes adds its own.
package clustertest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/cluster"
	"github.com/dunlinmq/dunlin/core/message"
)

// patience is how long the suite waits for what has to come.
const patience = 10 * time.Second

// Run tests the fabrics that open makes: each is one node of a cluster of its
// own. The suite closes them.
func Run(t *testing.T, open func(t *testing.T) cluster.Fabric) {
	for name, test := range map[string]func(*testing.T, cluster.Fabric){
		"Members":       members,
		"Forward":       forward,
		"Lease":         lease,
		"LeaseClosed":   leaseClosed,
		"KV":            keyValue,
		"KVConditions":  keyValueConditions,
		"KVWatch":       keyValueWatch,
		"KVWatchNested": keyValueWatchNested,
		"Closed":        closed,
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t)
			test(t, f)
			for range 2 {
				if err := f.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
		})
	}
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func members(t *testing.T, f cluster.Fabric) {
	m := f.Members()
	self := m.Self()
	if self.ID.Node == 0 || self.ID.Incarnation == 0 || self.Name == "" || self.Health != cluster.Alive {
		t.Errorf("Self() = %+v", self)
	}
	if !slices.Contains(m.List(), self) {
		t.Errorf("List() = %+v lacks this node", m.List())
	}
	seen := make(chan cluster.Member, 1)
	stop := m.Watch(func(m cluster.Member) {
		if m == self {
			seen <- m
		}
	})
	defer stop()
	receive(t, seen, "this node in Watch")
}

func forward(t *testing.T, f cluster.Fabric) {
	fw := f.Forwarder()
	fw.Receive(func(cluster.NodeID, []*message.Message, cluster.Completion) { t.Error("a message from nowhere") })
	unknown := f.Members().Self().ID.Node + 1000
	if c := fw.Credit(unknown); c != 0 {
		t.Errorf("Credit(unknown) = %d", c)
	}
	batch := []*message.Message{{Topic: "a"}}
	fw.Send(nil, batch, nil)
	for _, c := range []struct {
		what  string
		nodes []uint32
		batch []*message.Message
		want  error
	}{
		{"no node", nil, batch, nil},
		{"an unknown node", []uint32{unknown}, batch, cluster.ErrNoNode},
		{"a peer's message", nil, []*message.Message{{Topic: "a", Origin: message.OriginPeer}}, cluster.ErrConflict},
	} {
		done := make(chan error, 2)
		fw.Send(c.nodes, c.batch, func(err error) { done <- err })
		if err := receive(t, done, c.what); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

func lease(t *testing.T, f cluster.Fabric) {
	ctx := deadline(t)
	first, err := f.Leases().Acquire(ctx, "bridge")
	if err != nil {
		t.Fatal(err)
	}
	other, err := f.Leases().Acquire(ctx, "other")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Release()
	short, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := f.Leases().Acquire(short, "bridge"); !errors.Is(err, context.Canceled) {
		t.Errorf("a held lease: %v", err)
	}
	second := make(chan cluster.Lease, 1)
	go func() {
		l, _ := f.Leases().Acquire(ctx, "bridge")
		second <- l
	}()
	select {
	case <-first.Lost():
		t.Fatal("the lease is lost while it is held")
	case <-second:
		t.Fatal("two holders")
	default:
	}
	first.Release()
	first.Release()
	receive(t, first.Lost(), "the end of the first lease")
	l := receive(t, second, "the second holder")
	if l == nil || l.Token() <= first.Token() {
		t.Fatalf("second lease %v after token %d", l, first.Token())
	}
	first.Release() // is no longer its to give
	select {
	case <-l.Lost():
		t.Error("the first holder released the second's lease")
	default:
	}
	l.Release()
}

func leaseClosed(t *testing.T, f cluster.Fabric) {
	ctx := deadline(t)
	l, err := f.Leases().Acquire(ctx, "x")
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := f.Leases().Acquire(ctx, "x")
		waiting <- err
	}()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	receive(t, l.Lost(), "the end of the lease")
	if err := receive(t, waiting, "the waiting one"); !errors.Is(err, cluster.ErrClosed) {
		t.Errorf("Acquire after Close: %v", err)
	}
	l.Release()
}

// receive waits for a value.
func receive[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s does not come", what)
	}
	return v
}
