package buffer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T, dir string) *Buffer {
	t.Helper()
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func queue(t *testing.T, b *Buffer, name string, limit int64) *Queue {
	t.Helper()
	q, err := b.Queue(name, limit)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func add(t *testing.T, b *Buffer, q *Queue, records ...string) {
	t.Helper()
	tx := b.Begin()
	for _, r := range records {
		if err := tx.Add(q, []byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

func all(t *testing.T, q *Queue) (texts []string, rs []Record) {
	t.Helper()
	rs, err := q.Peek(0, 1000, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		texts = append(texts, string(r.Data))
	}
	return texts, rs
}

func TestRecordsSurviveAndKeepTheirOrder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "b")
	b := open(t, dir)
	q, other := queue(t, b, "pg", 0), queue(t, b, "redis", 0)
	add(t, b, q, "1", "2", "3")
	add(t, b, other, "x")
	_, rs := all(t, q)
	if err := q.Remove(rs[:1]); err != nil {
		t.Fatal(err)
	}
	add(t, b, q, "4")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, dir)
	q = queue(t, b, "pg", 0)
	if got, _ := all(t, q); fmt.Sprint(got) != "[2 3 4]" {
		t.Errorf("after reopening: %v", got)
	}
	if n, bytes := q.Len(); n != 3 || bytes != 3 {
		t.Errorf("Len %d, %d", n, bytes)
	}
	add(t, b, q, "5")
	got, rs := all(t, q)
	if fmt.Sprint(got) != "[2 3 4 5]" || rs[3].Seq <= rs[2].Seq {
		t.Errorf("a record added after reopening is not last: %v", got)
	}
	select {
	case <-q.Ready():
	default:
		t.Error("Ready does not tell of the records of the last run")
	}
	if err := b.Drop("redis"); err != nil {
		t.Fatal(err)
	}
	if names := b.Names(); len(names) != 1 || names[0] != "pg" {
		t.Errorf("names %v", names)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPeekGoesOnBehindWhatIsUnderWay(t *testing.T) {
	b := open(t, t.TempDir())
	defer func() { _ = b.Close() }()
	q := queue(t, b, "q", 0)
	add(t, b, q, "aaaa", "bbbb", "cccc")
	rs, err := q.Peek(0, 10, 6)
	if err != nil || len(rs) != 1 {
		t.Fatalf("6 bytes hold one record, not %d (%v)", len(rs), err)
	}
	if rs, err = q.Peek(rs[0].Seq, 1, 1); err != nil || len(rs) != 1 || string(rs[0].Data) != "bbbb" {
		t.Errorf("at least one record, however large: %v %v", rs, err)
	}
}

func TestLimitAndDropOldest(t *testing.T) {
	b := open(t, t.TempDir())
	defer func() { _ = b.Close() }()
	q := queue(t, b, "q", 10)
	add(t, b, q, "1234", "5678")
	tx := b.Begin()
	if err := tx.Add(q, []byte("abc")); !errors.Is(err, ErrFull) {
		t.Fatalf("11 bytes of 10: %v", err)
	}
	if err := tx.Add(q, []byte("ab")); err != nil {
		t.Fatal(err)
	}
	tx.Cancel()
	if n, bytes := q.Len(); n != 2 || bytes != 8 {
		t.Errorf("after Cancel: %d records, %d bytes", n, bytes)
	}
	if n, err := q.DropOldest(6); n != 1 || err != nil {
		t.Errorf("DropOldest: %d %v", n, err)
	}
	add(t, b, q, "abcdef")
	if got, _ := all(t, q); fmt.Sprint(got) != "[5678 abcdef]" {
		t.Errorf("got %v", got)
	}
}

// Two that add at once: a reader that removes what it sees never skips a record.
func TestConcurrentAddersLoseNothing(t *testing.T) {
	b := open(t, t.TempDir())
	defer func() { _ = b.Close() }()
	q := queue(t, b, "q", 0)
	const writers, each = 4, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				add(t, b, q, fmt.Sprintf("%d/%d", w, i))
			}
		})
	}
	defer wg.Wait()
	next := map[int]int{}
	for got := 0; got < writers*each; {
		<-q.Ready()
		for {
			_, rs := all(t, q)
			if len(rs) == 0 {
				break
			}
			for _, r := range rs {
				var w, i int
				if _, err := fmt.Sscanf(string(r.Data), "%d/%d", &w, &i); err != nil || i != next[w] {
					t.Fatalf("%s where %d is next", r.Data, next[w])
				}
				next[w]++
				got++
			}
			if err := q.Remove(rs); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestModesAndFormat(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "b")
	b := open(t, dir)
	if err := b.db.Set(keyFormat, []byte{format + 1}, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != fs.FileMode(0o700) {
		t.Errorf("mode %v %v", info.Mode(), err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a newer format was opened")
	}
}

// A queue goes on where it was, whatever of what was removed is still on the disk,
// and numbers are never used twice.
func TestRemovedStaysRemoved(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	q := queue(t, b, "q", 0)
	last := uint64(0)
	for range 3 * purgeStep / 1000 {
		texts := make([]string, 1000)
		for i := range texts {
			texts[i] = "x"
		}
		add(t, b, q, texts...)
		rs, err := q.Peek(last, 1000, 1<<20)
		if err != nil || len(rs) != 1000 || rs[0].Seq != last+1 {
			t.Fatalf("%d records, %v", len(rs), err)
		}
		last = rs[999].Seq
		if err := q.Remove(rs); err != nil {
			t.Fatal(err)
		}
	}
	if n, bytes := q.Len(); n != 0 || bytes != 0 {
		t.Errorf("Len %d, %d", n, bytes)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, dir)
	defer func() { _ = b.Close() }()
	q = queue(t, b, "q", 0)
	if n, _ := q.Len(); n != 0 {
		t.Errorf("%d records are back", n)
	}
	add(t, b, q, "next")
	if _, rs := all(t, q); len(rs) != 1 || rs[0].Seq != last+1 {
		t.Errorf("the next record is %v, want number %d", rs, last+1)
	}
}

// A reader that has fallen behind reads the disk, then the memory, each record once.
func TestReaderBehind(t *testing.T) {
	b := open(t, t.TempDir())
	defer func() { _ = b.Close() }()
	q := queue(t, b, "q", 0)
	big := strings.Repeat("x", maxTail/10)
	for i := range 25 {
		add(t, b, q, fmt.Sprintf("%d %s", i, big))
	}
	if q.tailBytes > maxTail || q.fresh == 1 {
		t.Errorf("%d bytes in memory from %d on", q.tailBytes, q.fresh)
	}
	after := uint64(0)
	for i := range 25 {
		rs, err := q.Peek(after, 1, 1<<20)
		if err != nil || len(rs) != 1 || !strings.HasPrefix(string(rs[0].Data), fmt.Sprintf("%d ", i)) {
			t.Fatalf("record %d: %v", i, err)
		}
		after = rs[0].Seq
		if i%3 == 0 {
			if err := q.Remove(rs); err != nil {
				t.Fatal(err)
			}
		}
	}
	if rs, err := q.Peek(after, 1, 1<<20); err != nil || len(rs) != 0 {
		t.Errorf("behind the last: %v, %v", rs, err)
	}
}

// Notes are kept with the records, and go with those that they belong to.
func TestNotes(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	q, other := queue(t, b, "q", 0), queue(t, b, "other", 0)
	tx := b.Begin()
	for _, key := range []string{"a1", "a2", "b1"} {
		tx.Note(q, []byte(key), []byte("v"+key))
	}
	tx.Note(other, []byte("a3"), []byte{})
	if err := errors.Join(tx.Add(q, []byte("r")), tx.Commit()); err != nil {
		t.Fatal(err)
	}
	tx.Note(q, []byte("a2"), nil)
	tx.Note(q, []byte("gone"), []byte("x"))
	tx.Cancel()
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	notes := func(q *Queue, prefix string) (list []string) {
		t.Helper()
		if err := q.Notes([]byte(prefix), func(key, value []byte) { list = append(list, string(key)+"="+string(value)) }); err != nil {
			t.Fatal(err)
		}
		return list
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, dir)
	defer func() { _ = b.Close() }()
	q, other = queue(t, b, "q", 0), queue(t, b, "other", 0)
	if got := fmt.Sprint(notes(q, "a"), notes(q, "b"), notes(q, ""), notes(other, "")); got != "[a1=va1 a2=va2] [b1=vb1] [a1=va1 a2=va2 b1=vb1] [a3=]" {
		t.Errorf("notes %s", got)
	}
	_, rs := all(t, q)
	if err := q.RemoveNoted(rs, [][]byte{[]byte("a1")}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(notes(q, "")); got != "[a2=va2 b1=vb1]" {
		t.Errorf("notes %s", got)
	}
	if err := b.Drop("q"); err != nil {
		t.Fatal(err)
	}
	if got := notes(q, ""); len(got) != 0 {
		t.Errorf("a queue that is gone has notes: %v", got)
	}
}
