package session

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
)

// fullSession returns a session with something in every part.
func fullSession() *Session {
	s := New("client", &Config{MaxInflight: 4, StoreQoS0: true, Priorities: map[string]uint8{"p": 3}}, epoch)
	var e Effects
	s.Subscribe("a/+", message.SubOptions{ID: 9, QoS: 1, NoLocal: true, RetainHandling: 2})
	s.Subscribe("$share/g/b", message.SubOptions{QoS: 2, RetainAsPublished: true})
	s.Receive(40_000, epoch)
	s.Receive(5, epoch)
	s.Attach(epoch, 0, false, &e)
	m := &message.Message{
		ID:       message.ID{Node: 1, Incarnation: 2, Seq: 3},
		Topic:    "a/b",
		Payload:  []byte("payload"),
		Props:    packet.Props{1, 1},
		From:     "publisher",
		Username: "user",
		Time:     epoch,
		Expiry:   epoch + 1000,
		QoS:      2,
		Retain:   true,
		Retained: true,
		Origin:   message.OriginWill,
		Hops:     2,
	}
	share := &message.Share{Group: "g", Filter: "b"}
	for i := range 6 {
		d := message.Delivery{Msg: m, Opts: message.SubOptions{QoS: byte(1 + i%2), ID: 9}}
		if i%3 == 0 {
			d.Share = share
		}
		s.Deliver(epoch, d, &e)
	}
	s.Deliver(epoch, fanOut("p", 1), &e)
	s.Pubrec(epoch, 2, 0, &e)
	s.Detach()
	s.Deliver(epoch, fanOut("a", 0), &e)
	s.Deliver(epoch+2000, message.Delivery{Msg: m}, &e) // expired: counted
	s.Attach(epoch, 0, false, &e)
	s.Detach()
	return s
}

// form returns the byte form.
func form(t testing.TB, s *Session) []byte {
	t.Helper()
	b, err := s.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// picture shows everything that a session does from here on.
func picture(s *Session) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %+v\n%v\n", s.ClientID(), s.Info(), s.Subscriptions())
	s.Undelivered(func(d message.Delivery, inflight bool) {
		share := message.Share{}
		if d.Share != nil {
			share = *d.Share
		}
		fmt.Fprintf(&b, "%+v %v %+v %v\n", *d.Msg, share, d.Opts, inflight)
	})
	var e Effects
	s.Attach(epoch, 0, true, &e)
	for i := range e.Send {
		o := &e.Send[i]
		fmt.Fprintf(&b, "%d %d %v %v\n", o.PacketID, o.QoS, o.Dup, o.Rel)
	}
	s.Deliver(epoch, fanOut("z", 1), &e)
	fmt.Fprintf(&b, "next %d drops %d\n", e.Send[len(e.Send)-1].PacketID, len(e.Drops))
	return b.String()
}

// TestBinaryRoundTrip: a restored session goes on exactly like the original.
func TestBinaryRoundTrip(t *testing.T) {
	s := fullSession()
	b := form(t, s)
	r := New("other", s.cfg, 0)
	if err := r.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	if again := form(t, r); !bytes.Equal(b, again) {
		t.Errorf("the form changes:\n%x\n%x", b, again)
	}
	if err := checkInvariants(r); err != nil {
		t.Error(err)
	}
	want, got := picture(s), picture(r)
	if want != got {
		t.Errorf("want\n%s\ngot\n%s", want, got)
	}
}

// TestBinaryAppends: what is in dst stays.
func TestBinaryAppends(t *testing.T) {
	s := New("c", &Config{}, epoch)
	b, _ := s.AppendBinary([]byte("head"))
	if !bytes.HasPrefix(b, []byte("head")) {
		t.Fatal("head is gone")
	}
	if err := s.UnmarshalBinary(b[4:]); err != nil {
		t.Fatal(err)
	}
}

// TestBinaryVersion1 reads a form that is kept in the repository: later programs
// must still read it, and as long as 1 is current must write the same.
func TestBinaryVersion1(t *testing.T) {
	const file = "testdata/version1.hex"
	s := fullSession()
	if *rewrite {
		text := hex.EncodeToString(form(t, s)) + "\n"
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, form(t, s)) {
		t.Error("the form differs from version 1: give it a new version")
	}
	r := New("", s.cfg, 0)
	if err := r.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	if want, got := picture(s), picture(r); want != got {
		t.Errorf("want\n%s\ngot\n%s", want, got)
	}
}

// TestBinaryTruncated: every truncation is an error and changes nothing.
func TestBinaryTruncated(t *testing.T) {
	b := form(t, fullSession())
	s := New("keep", &Config{}, epoch)
	s.Subscribe("x", message.SubOptions{})
	for n := range b {
		if err := s.UnmarshalBinary(b[:n]); err == nil {
			t.Fatalf("%d of %d bytes are enough", n, len(b))
		}
		if s.ClientID() != "keep" || s.Info().Subscriptions != 1 {
			t.Fatalf("%d bytes: the session changed", n)
		}
	}
	if err := s.UnmarshalBinary(append(b, 0)); err == nil {
		t.Error("a byte too many is taken")
	}
}

// TestBinaryVersionUnknown: a newer program's form is refused by name.
func TestBinaryVersionUnknown(t *testing.T) {
	b := form(t, fullSession())
	b[0]++
	err := New("c", &Config{}, epoch).UnmarshalBinary(b)
	if err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("error %v", err)
	}
}

// TestBinaryRefuses what no session can have written.
func TestBinaryRefuses(t *testing.T) {
	head := func() []byte { return appendString([]byte{formatVersion}, "c") }
	msg := appendDelivery(nil, &message.Delivery{Msg: &message.Message{Topic: "t", QoS: 1}})
	cases := map[string][]byte{
		"no subscriptions for the count": append(head(), 0, 0, 200, 1, 'a'),
		"a subscription twice":           append(head(), 0, 0, 2, 1, 'a', 0, 0, 0, 0, 1, 'a', 0, 0, 0, 0),
		"a granted QoS of 3":             append(head(), 0, 0, 1, 1, 'a', 0, 3, 0, 0),
		"a retain handling of 3":         append(head(), 0, 0, 1, 1, 'a', 0, 0, 3, 0),
		"option flags":                   append(head(), 0, 0, 1, 1, 'a', 0, 0, 0, 4),
		"a subscription id too large":    append(head(), 0, 0, 1, 1, 'a', 0x80, 0x80, 0x80, 0x80, 1, 0, 0, 0),
		"inbound identifier 0":           append(head(), 0, 0, 0, 1, 0),
		"an inbound identifier twice":    append(head(), 0, 0, 0, 2, 5, 5),
		"an identifier over 16 bits":     append(head(), 0, 0, 0, 1, 0x80, 0x80, 4),
		"inflight identifier 0":          append(head(), 0, 0, 0, 0, 0, 1, 0, 2, formRel, 0),
		"inflight identifier twice":      append(head(), 0, 0, 0, 0, 0, 2, 1, 2, formRel, 1, 2, formRel, 0),
		"inflight QoS 0":                 append(append(head(), 0, 0, 0, 0, 0, 1, 1, 0, 0), append(msg, 0)...),
		"inflight QoS 3":                 append(append(head(), 0, 0, 0, 0, 0, 1, 1, 3, 0), append(msg, 0)...),
		"PUBREL of QoS 1":                append(head(), 0, 0, 0, 0, 0, 1, 1, 1, formRel, 0),
		"inflight flags":                 append(append(head(), 0, 0, 0, 0, 0, 1, 1, 1, 8), append(msg, 0)...),
		"delivery flags":                 append(head(), 0, 0, 0, 0, 0, 0, 1, 1, 1),
		"queued QoS 3":                   append(append(head(), 0, 0, 0, 0, 0, 0, 1, 3), msg...),
		"message origin":                 append(append(append(head(), 0, 0, 0, 0, 0, 0, 1, 1), msg[:len(msg)-2]...), 99, 0),
		"message flags":                  append(append(append(head(), 0, 0, 0, 0, 0, 0, 1, 1), msg[:len(msg)-3]...), 4, 0, 0),
		"a varint without end":           append(head(), 0x80),
	}
	for name, data := range cases {
		if err := New("c", &Config{}, epoch).UnmarshalBinary(data); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	good := append(head(), 0, 0, 1, 1, 'a', 0, 2, 2, 3, 1, 5, 0, 1, 1, 2, formRel, 1, 1)
	if err := New("c", &Config{}, epoch).UnmarshalBinary(append(good, msg...)); err != nil {
		t.Errorf("a good form is refused: %v", err)
	}
}

// TestBinaryRestoresLargeWindow: identifiers that were chosen in a large window
// come back in order.
func TestBinaryRestoresLargeWindow(t *testing.T) {
	s := New("c", &Config{}, epoch)
	var e Effects
	s.Attach(epoch, 0, false, &e)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		s.Deliver(epoch, fanOut("t", 1), &e)
	}
	for range 4000 {
		s.Puback(epoch, uint16(1+rng.IntN(5000)), &e)
	}
	s.Detach()
	r := New("c", &Config{}, epoch)
	if err := r.UnmarshalBinary(form(t, s)); err != nil {
		t.Fatal(err)
	}
	if err := checkInvariants(r); err != nil {
		t.Fatal(err)
	}
	if want, got := picture(s), picture(r); want != got {
		t.Error("the restored session goes on differently")
	}
}

// TestBinaryShrunkConfig: a session that was stored under wider limits keeps its
// messages and stays within the new window.
func TestBinaryShrunkConfig(t *testing.T) {
	s := New("c", &Config{MaxInflight: 10}, epoch)
	var e Effects
	s.Attach(epoch, 0, false, &e)
	for range 20 {
		s.Deliver(epoch, fanOut("t", 1), &e)
	}
	r := New("c", &Config{MaxInflight: 2, MaxQueueLen: 3}, epoch)
	if err := r.UnmarshalBinary(form(t, s)); err != nil {
		t.Fatal(err)
	}
	if i := r.Info(); i.Inflight != 10 || i.Queue != 10 {
		t.Fatalf("%+v", i)
	}
	e.Reset()
	r.Attach(epoch, 0, false, &e)
	if len(e.Send) != 2 {
		t.Fatalf("sends %d, the window is 2", len(e.Send))
	}
	total := 0
	for len(e.Send) > 0 {
		id := e.Send[0].PacketID
		e.Send = e.Send[1:]
		total++
		if !r.Puback(epoch, id, &e) {
			t.Fatalf("Puback(%d)", id)
		}
	}
	if total != 20 {
		t.Errorf("%d messages came, want 20", total)
	}
}

// FuzzUnmarshalBinary: no bytes bring a session into a state that it cannot go on
// from, and what is taken is written back in a form that is taken.
func FuzzUnmarshalBinary(f *testing.F) {
	f.Add(form(f, fullSession()))
	f.Add(form(f, New("c", &Config{}, epoch)))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg := &Config{MaxInflight: 3, MaxQueueLen: 5, StoreQoS0: true, Priorities: map[string]uint8{"p": 3}}
		s := New("c", cfg, epoch)
		if err := s.UnmarshalBinary(data); err != nil {
			return
		}
		if err := checkInvariants(s); err != nil {
			t.Fatal(err)
		}
		b := form(t, s)
		r := New("c", cfg, epoch)
		if err := r.UnmarshalBinary(b); err != nil {
			t.Fatalf("own form is refused: %v", err)
		}
		if !bytes.Equal(b, form(t, r)) {
			t.Fatal("the form changes")
		}
		var e Effects
		s.Attach(epoch, 2, true, &e)
		for i := 0; i < len(e.Send) && i < 1000; i++ {
			o := &e.Send[i]
			switch {
			case o.Rel:
				s.Pubcomp(epoch, o.PacketID, &e)
			case o.QoS == 1:
				s.Puback(epoch, o.PacketID, &e)
			case o.QoS == 2:
				s.Pubrec(epoch, o.PacketID, 0, &e)
			}
		}
		if err := checkInvariants(s); err != nil {
			t.Fatal(err)
		}
	})
}
