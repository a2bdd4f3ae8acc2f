package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/router"
	"github.com/dunlinmq/dunlin/core/session"
)

// sleeper is a runner whose turns the test runs itself.
type sleeper struct{ woken int }

func (s *sleeper) Wake(*router.Batch) { s.woken++ }

func crowd(t testing.TB, n int) (*Registry, *router.Batch) {
	t.Helper()
	hooks := new(hook.Points)
	r := New(Config{Hooks: hooks, Router: router.New(router.Config{}), PublishWill: func(*router.Batch, *Will) {}})
	b := &router.Batch{Now: time.Now().UnixNano()}
	cfg := &session.Config{}
	for i := range n {
		id := fmt.Sprintf("c%06d", i)
		if _, done := r.Claim(b, &ClaimRequest{ID: id, Runner: &sleeper{}, Session: cfg, Info: &hook.Client{ID: id}}); !done {
			t.Fatal("a fresh client waits")
		}
	}
	return r, b
}

func all(*Client) bool { return true }

func TestPagesShowEveryClientOnce(t *testing.T) {
	r, _ := crowd(t, 1000)
	seen := map[string]bool{}
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		page, next := r.Page(cursor, 7, all)
		if len(page) > 7 || pages > 143 || len(page) == 0 {
			t.Fatalf("page %d has %d clients", pages, len(page))
		}
		for _, c := range page {
			if seen[c.ClientID()] {
				t.Errorf("%s is seen twice", c.ClientID())
			}
			seen[c.ClientID()] = true
		}
		cursor = next
	}
	if len(seen) != 1000 {
		t.Errorf("%d clients are seen", len(seen))
	}
	if page, next := r.Page("", 10, func(c *Client) bool { return c.ClientID() == "c000500" }); len(page) != 1 || next != "" {
		t.Errorf("filter: %d clients, next %q", len(page), next)
	}
	for _, cursor := range []string{"nonsense", "-1:x", "99:x", ":"} {
		r.Page(cursor, 1, all) // must not fail
	}
}

// A page of 100 k clients takes far less than the 100 ms that operators may
// wait, and no lock is held for longer than a shard's pointers are copied.
func TestPageOfManyClientsIsQuick(t *testing.T) {
	r, _ := crowd(t, 100_000)
	begin := time.Now()
	page, next := r.Page("", 100, all)
	took := time.Since(begin)
	t.Logf("a page of 100 of 100 k clients: %v", took)
	if len(page) != 100 || next == "" || took > 100*time.Millisecond {
		t.Errorf("%d clients, next %q, %v", len(page), next, took)
	}
}

func TestCommandsRunInTheTurnOrEndWithIt(t *testing.T) {
	r, b := crowd(t, 1)
	c := r.Lookup("c000000")
	ran := 0
	cmd := func(turn Turn) {
		if turn != nil {
			t.Error("a turn, but the connection is gone")
		}
		ran++
	}
	if first, second := c.Do(cmd), c.Do(cmd); !first || !second || ran != 0 {
		t.Fatalf("commands are not kept: %d ran", ran)
	}
	box, _ := c.Drain()
	if len(box.Commands) != 2 || len(box.Deliveries) != 0 {
		t.Fatalf("mailbox has %d commands, %d deliveries", len(box.Commands), len(box.Deliveries))
	}
	c.Do(cmd)
	c.PutBack(box)
	r.Release(b, c, Departure{Info: &hook.Client{ID: "c000000"}, Expiry: NeverExpires})
	if ran != 3 {
		t.Errorf("%d of 3 commands are answered when the connection ends", ran)
	}
	if c.Do(cmd) {
		t.Error("Do of an offline client")
	}
	if !c.Offline(func(s *session.Session, last *hook.Client) {
		if s == nil || last.ID != "c000000" {
			t.Errorf("last is %v", last)
		}
	}) {
		t.Error("the client is not offline")
	}
	if info, connected := c.Facts(); connected || info.ID != "c000000" {
		t.Errorf("facts are %v, %v", info, connected)
	}
}
