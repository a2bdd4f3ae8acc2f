package channel_test

import (
	"io"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/router"
)

// begin opens a connection and gives it bytes within b, without ending b.
func (w *world) begin(b *router.Batch, name, line string) *link {
	l := w.open(name, "", "", "")
	k := parseWords(strings.Fields(line))
	l.version = packet.Version(pick(k, "v", int(packet.V50)))
	l.rest, _ = l.encode("connect", k)
	l.step(b, l.feed)
	return l
}

// shown is what all clients were sent since the last look.
func (w *world) shown() string {
	w.out.Reset()
	w.settle()
	return w.out.String()
}

// TestSupersededConnect: of two CONNECTs that wait for one session the newer
// gets it. The older is refused with a code that a CONNACK may carry
// [MQTT-3.2.2-8]; in 3.1.1 none says it, so it is closed on [MQTT-3.2.2-6].
func TestSupersededConnect(t *testing.T) {
	w := newWorld()
	owner := w.begin(w.batch(), "owner", "id=x expiry=100")
	w.shown()
	b := w.batch()
	w.begin(b, "old", "id=x resume expiry=100")
	w.begin(b, "old3", "v=4 id=x resume")
	w.begin(b, "new", "id=x resume expiry=100")
	if owner.closed {
		t.Fatal("the owner left before its turn")
	}
	b.Flush()
	want := `owner < disconnect code=0x8e
owner closed
old < connack code=0x80 reason=a newer connection has the same client id
old closed
old3 closed
new < connack present recvmax=100 retainavailable=0 maxpacket=1048576 aliasmax=10
`
	if got := w.shown(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if n := w.env.Registry.Sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// TestLostWhileWaiting: a connection that ends while it waits for a session gives
// it back, with all that belongs to it [MQTT-3.1.2-23], and leaves no will.
func TestLostWhileWaiting(t *testing.T) {
	w := newWorld()
	for _, line := range []string{
		"s connect id=s", "s subscribe id=1 f=will/#:0",
		"owner connect id=x expiry=100 will=will/owner willdelay=50", "owner subscribe id=1 f=t:1",
	} {
		if _, err := w.do(line); err != nil {
			t.Fatal(err)
		}
	}
	b := w.batch()
	waiting := w.begin(b, "waiting", "id=x resume expiry=60 will=will/waiting")
	waiting.step(b, func(i *channel.IO) {
		waiting.closed = true
		waiting.m.Lost(i, io.EOF)
	})
	b.Flush()
	if got, want := w.shown(), "owner < disconnect code=0x8e\nowner closed\nwaiting closed\n"; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if c := w.env.Registry.Lookup("x"); c == nil || c.Online() {
		t.Fatal("the session is gone, or somebody has it")
	}
	out := ""
	for _, line := range []string{"broker t=t p=kept q=1", "advance 59s", "again connect id=x resume", "again lost"} {
		got, err := w.do(line)
		if err != nil {
			t.Fatal(err)
		}
		out += got
	}
	if want := `again < connack present recvmax=100 retainavailable=0 maxpacket=1048576 aliasmax=10
again < publish t=t q=1 id=1 p=kept
again closed
`; out != want {
		t.Errorf("got:\n%s\nwant:\n%s", out, want)
	}
}
