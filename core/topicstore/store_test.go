package topicstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/topic"
)

func msg(name, payload string) *message.Message {
	return &message.Message{Topic: name, Payload: []byte(payload), Retain: true}
}

// readAll reads a cursor to its end, n messages a call.
func readAll(t testing.TB, c *Cursor, now int64, n int) []string {
	t.Helper()
	var out []string
	var dst []*message.Message
	for range 1 << 20 {
		var done bool
		dst, done = c.Next(now, n, dst[:0])
		if len(dst) > n {
			t.Fatalf("Next(%d) gave %d", n, len(dst))
		}
		for _, m := range dst {
			out = append(out, m.Topic)
		}
		if done {
			return out
		}
	}
	t.Fatal("the cursor does not end")
	return nil
}

func mustPut(t testing.TB, s *Store, m *message.Message) {
	t.Helper()
	if err := s.Put(m, store.Memory); err != nil {
		t.Fatal(err)
	}
}

// checkList fails if the list's order, limits or counts are broken.
func checkList(t *testing.T, s *Store) {
	t.Helper()
	l, n, bytes, expiring, last := &s.list, 0, int64(0), 0, ""
	for i, c := range l.chunks {
		if len(c) == 0 || len(c) > chunkMax {
			t.Fatalf("chunk %d has %d messages", i, len(c))
		}
		if l.from[i] > c[0].topic || (i > 0 && l.from[i] <= last) || (i == 0 && l.from[0] != "") {
			t.Fatalf("chunk %d begins at %q, from %q, after %q", i, c[0].topic, l.from[i], last)
		}
		for _, it := range c {
			if it.topic <= last || it.topic != it.m.Topic {
				t.Fatalf("%q after %q", it.topic, last)
			}
			last = it.topic
			n++
			bytes += int64(it.m.Size())
			if it.m.Expiry != 0 {
				expiring++
			}
		}
	}
	if n != s.Count() || bytes != s.Bytes() || expiring != len(s.expiring.byTime) {
		t.Fatalf("%d messages, %d bytes, %d expiring; accounts say %d, %d, %d", n, bytes, expiring, s.Count(), s.Bytes(), len(s.expiring.byTime))
	}
}

func TestPutGetDelete(t *testing.T) {
	s := New(Config{})
	m := msg("a/b", "one")
	mustPut(t, s, m)
	m.Payload[0] = 'X'
	got := s.Get("a/b")
	if string(got.Payload) != "one" || !got.Retained || !got.Retain {
		t.Errorf("kept %+v: not a copy with the Retained flag", got)
	}
	mustPut(t, s, msg("a/b", "two"))
	if string(s.Get("a/b").Payload) != "two" || s.Count() != 1 || s.Bytes() != 6 {
		t.Errorf("replaced: count %d bytes %d", s.Count(), s.Bytes())
	}
	if s.Get("a") != nil || s.Delete("a", store.Memory) || !s.Delete("a/b", store.Memory) || s.Delete("a/b", store.Memory) || s.Get("a/b") != nil {
		t.Error("Delete is wrong")
	}
	if s.Count() != 0 || s.Bytes() != 0 {
		t.Errorf("empty: count %d bytes %d", s.Count(), s.Bytes())
	}
}

func TestLimits(t *testing.T) {
	s := New(Config{MaxMessages: 2, MaxBytes: 20})
	mustPut(t, s, msg("a", "123"))
	mustPut(t, s, msg("b", "123"))
	if err := s.Put(msg("c", ""), store.Memory); !errors.Is(err, ErrFull) {
		t.Errorf("third message: %v", err)
	}
	mustPut(t, s, msg("b", "12345")) // replaces though the store is full
	if err := s.Put(msg("b", strings.Repeat("x", 20)), store.Memory); !errors.Is(err, ErrFull) {
		t.Errorf("replacement beyond MaxBytes: %v", err)
	}
	if string(s.Get("b").Payload) != "12345" {
		t.Error("a refused replacement changed the message")
	}
	// What has expired makes room.
	old := msg("b", "1")
	old.Expiry = 100
	mustPut(t, s, old)
	late := msg("c", "1")
	late.Time = 100
	mustPut(t, s, late)
	if s.Get("b") != nil || s.Count() != 2 {
		t.Error("the expired message did not make room")
	}
	checkList(t, s)
}

// TestExpiry: [MQTT-3.3.2-5] for kept messages: expired ones are not yielded.
func TestExpiry(t *testing.T) {
	s := New(Config{})
	for i := range 1000 {
		m := msg(fmt.Sprintf("t/%04d", i), "x")
		m.Expiry = int64(i) // t/0000 never expires
		mustPut(t, s, m)
	}
	if got := readAll(t, s.Open("t/#"), 500, 7); len(got) != 500 || got[1] != "t/0501" {
		t.Errorf("%d unexpired at 500", len(got))
	}
	if n := s.Expire(500); n != 500 {
		t.Errorf("Expire removed %d", n)
	}
	checkList(t, s)
	if s.Expire(500) != 0 || s.Count() != 500 || s.CountFilter("#") != 500 {
		t.Errorf("%d left", s.Count())
	}
	mustPut(t, s, msg("t/0900", "never expires now"))
	if s.Expire(5000) != 498 || s.Count() != 2 {
		t.Errorf("%d left", s.Count())
	}
	checkList(t, s)
}

// randomTopics have levels around '/' in byte order, where a walk could err.
func randomTopic(rng *rand.Rand, words []string) string {
	levels := make([]string, 1+rng.IntN(4))
	for i := range levels {
		levels[i] = words[rng.IntN(len(words))]
	}
	if s := strings.Join(levels, "/"); s != "" {
		return s
	}
	return "/"
}

var (
	nameWords   = []string{"", "a", "a!", "a0", "b", "ab", "$s", "z", "!"}
	filterWords = append([]string{"+", "+", "+", "a!b"}, nameWords...)
)

func randomFilter(rng *rand.Rand) string {
	f := randomTopic(rng, filterWords)
	switch rng.IntN(6) {
	case 0:
		return f + "/#"
	case 1:
		return "#"
	}
	return f
}

// TestReadAgainstModel compares walks with the naive match of every topic.
func TestReadAgainstModel(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 2))
		s, topics := New(Config{}), map[string]bool{}
		for range rng.IntN(3000) {
			name := randomTopic(rng, nameWords)
			if rng.IntN(4) == 0 {
				if s.Delete(name, store.Memory) != topics[name] {
					t.Fatalf("Delete(%q)", name)
				}
				delete(topics, name)
				continue
			}
			mustPut(t, s, msg(name, name))
			topics[name] = true
		}
		checkList(t, s)
		for range 60 {
			f := randomFilter(rng)
			var want []string
			for name := range topics {
				if topic.Match(f, name) {
					want = append(want, name)
				}
			}
			slices.Sort(want)
			if got := readAll(t, s.Open(f), 0, 1+rng.IntN(50)); !slices.Equal(got, want) {
				t.Fatalf("seed %d filter %q:\n got %q\nwant %q", seed, f, got, want)
			}
			if n := s.CountFilter(f); n != len(want) {
				t.Fatalf("CountFilter(%q) = %d, want %d", f, n, len(want))
			}
		}
	}
}

// What the node says about itself is beside counts and limits.
func TestTheNodesOwnMessagesAreNotCounted(t *testing.T) {
	s := New(Config{MaxMessages: 1, MaxBytes: 100})
	own := func(topic string) *message.Message {
		return &message.Message{Topic: topic, Payload: make([]byte, 200), Origin: message.OriginSys}
	}
	for _, m := range []*message.Message{own("$SYS/a"), own("$SYS/b"), own("$SYS/a"), {Topic: "x", Payload: []byte("1")}} {
		if err := s.Put(m, store.Memory); err != nil {
			t.Fatalf("%s: %v", m.Topic, err)
		}
	}
	if s.Count() != 1 || s.Bytes() > 100 || s.CountFilter("$SYS/#") != 2 {
		t.Errorf("%d messages, %d bytes, %d of the node", s.Count(), s.Bytes(), s.CountFilter("$SYS/#"))
	}
	for _, topic := range []string{"y", "$SYS/a"} { // a client's in the place of the node's is one more
		if err := s.Put(&message.Message{Topic: topic}, store.Memory); err != ErrFull {
			t.Errorf("%s: %v, want ErrFull", topic, err)
		}
	}
	s.Delete("$SYS/a", store.Memory)
	s.Delete("x", store.Memory)
	if s.Count() != 0 || s.Bytes() != 0 {
		t.Errorf("%d messages, %d bytes are left", s.Count(), s.Bytes())
	}
}
