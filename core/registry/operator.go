package registry

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/session"
)

// Turn is what an operator may do in a connected client's turn.
type Turn interface {
	// Session is the client's; for the call only.
	Session() *session.Session
	// Subscribe subscribes as the client would, without asking hooks and acl.
	Subscribe(filter string, opts message.SubOptions) packet.ReasonCode
	// Unsubscribe returns 0x11 when there was no such subscription.
	Unsubscribe(filter string) packet.ReasonCode
	// ForgetACL drops the remembered verdicts.
	ForgetACL()
}

// Command is run once: in the turn of a connected client, or with a nil turn
// when the connection ends before. It must not block; with a nil turn it must
// call nobody, as locks are held.
type Command func(t Turn)

// Do makes cmd run in the client's turn soon. It returns false, and does
// nothing, when nobody is connected.
func (c *Client) Do(cmd Command) bool {
	c.mu.Lock()
	if c.runner == nil || c.closed {
		c.mu.Unlock()
		return false
	}
	if c.inbox == nil {
		c.inbox = mailboxes.Get().(*Mailbox)
	}
	c.inbox.Commands = append(c.inbox.Commands, cmd)
	runner, wake := c.runner, !c.woken
	c.woken = true
	c.mu.Unlock()
	if wake {
		runner.Wake(nil)
	}
	return true
}

// Offline calls fn with the session and the last connection's facts when nobody
// is connected, and tells whether it did. fn must only read, and call nobody.
func (c *Client) Offline(fn func(s *session.Session, last *hook.Client)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runner != nil || c.closed {
		return false
	}
	var last *hook.Client
	if c.offline != nil {
		last = c.offline.info
	}
	fn(c.sess, last)
	return true
}

// Facts is what is known of the client without asking its turn: the facts of its
// connection, or of its last one (nil: unknown), and whether it is connected.
func (c *Client) Facts() (info *hook.Client, connected bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runner == nil && c.offline != nil {
		return c.offline.info, false
	}
	return c.info, c.runner != nil
}

// Page collects at most limit clients that keep wants and that come after
// cursor; next is the cursor of the following page, "" at the end. The order is
// the same on each call while the process lives; clients that come and go
// meanwhile are seen or not. One shard is locked at a time, for a copy of its
// pointers; keep runs without locks.
func (r *Registry) Page(cursor string, limit int, keep func(*Client) bool) (page []*Client, next string) {
	at, after := parseCursor(cursor)
	for ; at < shards; at++ {
		for _, c := range r.shards[at].sorted(after) {
			if !keep(c) {
				continue
			}
			if len(page) == limit {
				return page, next
			}
			page = append(page, c)
			next = strconv.Itoa(at) + ":" + c.id
		}
		after = ""
	}
	return page, ""
}

// parseCursor splits "<shard>:<client id>"; what is none starts at the start.
func parseCursor(cursor string) (shard int, after string) {
	n, id, ok := strings.Cut(cursor, ":")
	at, err := strconv.Atoi(n)
	if !ok || err != nil || at < 0 {
		return 0, ""
	}
	return at, id
}

// sorted is the shard's clients with an id above after, in order.
func (sh *shard) sorted(after string) []*Client {
	sh.mu.Lock()
	some := make([]*Client, 0, len(sh.clients))
	for id, c := range sh.clients {
		if id > after {
			some = append(some, c)
		}
	}
	sh.mu.Unlock()
	slices.SortFunc(some, func(a, b *Client) int { return cmp.Compare(a.id, b.id) })
	return some
}
