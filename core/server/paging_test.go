package server

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/admin"
	"github.com/dunlinmq/dunlin/core/admin/adminpb"
	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/registry"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
)

// bystander is a connection that never does anything.
type bystander struct{}

func (bystander) Wake(*router.Batch) {}

// tally is a subscriber that counts.
type tally struct{ n atomic.Int64 }

func (s *tally) ClientID() string                        { return "tally" }
func (s *tally) Online() bool                            { return true }
func (s *tally) Deliver(*router.Batch, message.Delivery) { s.n.Add(1) }

// populate connects n clients without sockets.
func (n *node) populate(t *testing.T, count int) {
	t.Helper()
	b := &router.Batch{Now: time.Now().UnixNano()}
	cfg := &session.Config{MaxInflight: 32}
	for i := range count {
		id := fmt.Sprintf("device-%06d", i)
		info := &hook.Client{ID: id, Listener: "tcp:a", Zone: "external", Peer: netip.MustParseAddrPort("192.0.2.1:1")}
		if _, done := n.registry.Claim(b, &registry.ClaimRequest{ID: id, Runner: bystander{}, Session: cfg, Info: info}); !done {
			t.Fatal("a claim waits")
		}
	}
}

// A hundred thousand clients are listed page by page over the admin socket while
// messages go on: each client once, each page of bounded work.
func TestManyClientsAreListed(t *testing.T) {
	const count, limit = 100_000, 1000
	n := runNode(t, oneListener)
	n.populate(t, count)
	var got tally
	n.router.Subscribe(&router.Subscription{Filter: "traffic", To: &got})
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				n.publishAll([]*message.Message{{Topic: "traffic", Payload: []byte("x"), Origin: message.OriginPlugin}})
			}
		}
	}()
	c, err := admin.Dial(n.cfg.Node.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	seen, cursor := make(map[string]bool, count), ""
	var slowest, all time.Duration
	pages := 0
	before := got.n.Load()
	for more := true; more; more = cursor != "" {
		begun := time.Now()
		reply, err := c.ListClients(t.Context(), &adminpb.ListClientsRequest{Cursor: cursor, Limit: limit})
		took := time.Since(begun)
		if err != nil {
			t.Fatal(err)
		}
		slowest, all, pages = max(slowest, took), all+took, pages+1
		if len(reply.GetClients()) > limit {
			t.Fatalf("a page has %d clients", len(reply.GetClients()))
		}
		for _, k := range reply.GetClients() {
			if seen[k.GetId()] {
				t.Fatalf("%s is listed twice", k.GetId())
			}
			seen[k.GetId()] = true
		}
		cursor = reply.GetNext()
	}
	close(stop)
	<-ended
	if len(seen) != count || pages > count/limit+1 {
		t.Errorf("%d of %d clients on %d pages", len(seen), count, pages)
	}
	if got.n.Load() == before {
		t.Error("no message was delivered meanwhile")
	}
	t.Logf("%d pages of %d clients: %v each, the slowest %v; %d messages meanwhile", pages, limit, all/time.Duration(pages), slowest, got.n.Load()-before)
}

// A page looks at no more clients than it shows and one, and at those that it
// leaves out by its filter.
func TestAPageIsBoundedWork(t *testing.T) {
	n := runNode(t, oneListener)
	n.populate(t, 10_000)
	asked := 0
	page, next := n.registry.Page("", 100, func(*registry.Client) bool { asked++; return true })
	if len(page) != 100 || next == "" || asked > 101 {
		t.Errorf("%d clients, next %q, %d were looked at", len(page), next, asked)
	}
}
