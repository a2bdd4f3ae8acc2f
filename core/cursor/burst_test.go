package cursor_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/cursor"
	"github.com/dunlinmq/dunlin/core/journal"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
	"github.com/dunlinmq/dunlin/core/store/storetest"
)

// TestBehindTheTail: a consumer that is far behind reads the disk, one that has come
// near reads what is in memory, and both see the same.
func TestBehindTheTail(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		logs := n.open()
		g := logs.Log("c", cursor.Config{})
		record := func(i uint64) []byte { return []byte(strings.Repeat(fmt.Sprint(i%10), 9000)) }
		const count = 3000 // 27 MB
		for i := uint64(1); i <= count; i += 3 {
			if _, err := g.Append(nil, record(i), record(i+1), record(i+2)); err != nil {
				t.Fatal(err)
			}
		}
		n.barrier()
		next := uint64(1)
		for next <= count {
			was := next
			if err := g.Read(next-1, func(seq uint64, r []byte) bool {
				if seq != next || string(r) != string(record(seq)) {
					t.Fatalf("record %d is %.10q, want %d", seq, r, next)
				}
				next++
				return next%50 != 0
			}); err != nil {
				t.Fatal(err)
			}
			if next == was {
				t.Fatalf("nothing after %d", next-1)
			}
			if next%100 == 0 {
				if err := g.Ack(next - 10); err != nil {
					t.Fatal(err)
				}
			}
		}
		if st := g.State(); st.Bytes != int64(st.Last-st.First+1)*(9000+cursor.Overhead) {
			t.Errorf("%+v", st)
		}
	})
}

// TestWithinBursts: what was appended together is read, acknowledged and dropped by
// the record, also across the bounds of a burst, and counts as before.
func TestWithinBursts(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		const size = 3000
		logs := n.open()
		g := logs.Log("c", cursor.Config{})
		var burst []string
		for i := range size {
			burst = append(burst, fmt.Sprint(i+1))
		}
		appendTo(t, g, burst...)
		appendTo(t, g, strings.Repeat("x", 300<<10), "after")
		n.barrier()
		bytes := g.State().Bytes
		for _, done := range []uint64{1, 511, 512, 513, 1400, size - 1} {
			if err := g.Ack(done); err != nil {
				t.Fatal(err)
			}
			next := ""
			if err := g.Read(0, func(seq uint64, r []byte) bool {
				next = fmt.Sprintf("%d=%s", seq, r)
				return false
			}); err != nil {
				t.Fatal(err)
			}
			want(t, next, fmt.Sprintf("%d=%d", done+1, done+1))
			gone := int64(0)
			for _, r := range burst[:done] {
				gone += int64(len(r)) + cursor.Overhead
			}
			if st := g.State(); st.Bytes != bytes-gone || st.First != done+1 || st.Last != size+2 {
				t.Errorf("after %d: %+v, want %d bytes", done, st, bytes-gone)
			}
			g = n.restart().Log("c", cursor.Config{})
		}
		if err := g.Ack(size + 1); err != nil {
			t.Fatal(err)
		}
		want(t, read(t, g, 0), fmt.Sprintf("%d=after", size+2))
	})
}

// TestFormatOfSingleRecords: what format 1 has left, each record by itself, is there
// after an upgrade, also after one that was cut off.
func TestFormatOfSingleRecords(t *testing.T) {
	each(t, func(t *testing.T, n *node) {
		key := func(kind string, seq uint64) []byte {
			k := store.AppendString([]byte("c"+kind), "rules")
			if kind == "r" {
				k = store.AppendUint64(k, seq)
			}
			return k
		}
		const count = 5000
		if err := n.j.Apply(t.Context(), store.Sync, func(tx *journal.Tx) {
			tx.Put(store.Sync, []byte("\x00format/cursors"), []byte{1})
			total := uint64(0)
			for i := range uint64(count) {
				r := strings.Repeat(fmt.Sprint(i%10), 500)
				total += uint64(len(r)) + cursor.Overhead
				tx.Put(store.Sync, key("r", i+1), append(store.AppendUint64(nil, total), r...))
			}
			var head []byte
			for _, v := range []uint64{2, 2 * (500 + cursor.Overhead), count, total, 0} {
				head = binary.AppendUvarint(head, v)
			}
			tx.Put(store.Sync, key("h", 0), head)
			tx.Delete(key("r", 1))
			tx.Delete(key("r", 2))
		}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			g := n.restart().Log("rules", cursor.Config{})
			next := uint64(3)
			if err := g.Read(0, func(seq uint64, r []byte) bool {
				if seq != next || string(r) != strings.Repeat(fmt.Sprint((seq-1)%10), 500) {
					t.Fatalf("record %d is %.20q, wanted %d", seq, r, next)
				}
				next++
				return true
			}); err != nil {
				t.Fatal(err)
			}
			if st := g.State(); next != count+1 || st.Bytes != (count-2)*(500+cursor.Overhead) {
				t.Errorf("up to %d, %+v", next, st)
			}
			// As if the step had been cut off behind its first batches.
			if err := n.j.Apply(t.Context(), store.Sync, func(tx *journal.Tx) {
				tx.Put(store.Sync, []byte("\x00format/cursors"), []byte{1})
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestStrangeBurstsAreRefused: no value of the disk is believed.
func TestStrangeBurstsAreRefused(t *testing.T) {
	good := "\x00\x00\x00\x00\x00\x00\x00\x42" + "\x00\x00\x00\x02" + "\x00\x00\x00\x01a" + "\x00\x00\x00\x01b"
	for value, sound := range map[string]bool{
		good: true, "": false, good[:8]: false, good[:12]: false, good[:len(good)-1]: false, good + "x": false,
		good[:12] + "\xff\xff\xff\xff\x00\x00\x00\x01": false,
		good[:8] + "\xff\xff\xff\xff" + good[12:]:      false, // more than its number allows
		good[:7] + "\x41" + good[8:]:                   false, // ends before its records
	} {
		j := journal.New(mem.New())
		if err := j.Apply(t.Context(), store.Async, func(tx *journal.Tx) {
			tx.Put(store.Async, store.AppendUint64(store.AppendString([]byte("cb"), "x"), 2), []byte(value))
			tx.Put(store.Async, store.AppendString([]byte("ch"), "x"), []byte{0, 0, 2, 0x42, 0})
		}); err != nil {
			t.Fatal(err)
		}
		logs, err := cursor.Open(t.Context(), j)
		if err != nil {
			t.Fatal(err)
		}
		err = logs.Log("x", cursor.Config{}).Read(0, func(uint64, []byte) bool { return true })
		if sound != (err == nil) || !sound && !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// TestWhatTheDiskRefuses: what a disk has not taken is read by nobody, and holds nobody
// up who reads on.
func TestWhatTheDiskRefuses(t *testing.T) {
	gate := storetest.NewGate(mem.New())
	j := journal.New(gate)
	var logs *cursor.Logs
	if err := open(gate, func() (err error) { logs, err = cursor.Open(t.Context(), j); return err }); err != nil {
		t.Fatal(err)
	}
	g := logs.Log("c", cursor.Config{})
	appendTo(t, g, "a", "b")
	if err := gate.Release(-1); err != nil {
		t.Fatal(err)
	}
	appendTo(t, g, "c")
	want(t, read(t, g, 0), "1=a 2=b")
	gate.Fail(store.ErrReadOnly)
	want(t, read(t, g, 0), "1=a 2=b")
	want(t, read(t, g, 1), "2=b")
	want(t, read(t, g, 2), "")
}
