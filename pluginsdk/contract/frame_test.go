package contract

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func publishFrame(t testing.TB, n int) (*Writer, []byte) {
	t.Helper()
	w := &Writer{}
	for range n {
		appendPublish(w)
	}
	return w, w.Frame()
}

func appendPublish(w *Writer) {
	w.Begin(Header{Hook: HookPublish, Conn: 7, Time: 1e18, Flags: Flags(0).WithQoS(1).WithVersion(5) | FlagRetain, Aux: 5})
	w.String(SlotClientID, "c1")
	w.String(SlotTopic, "a/b")
	w.Bytes(SlotPayload, []byte("hello"))
	w.Uint32(SlotExpiry, 30)
	w.Bytes(SlotProps, nil)
	w.End()
}

func TestRecordRoundTrip(t *testing.T) {
	_, frame := publishFrame(t, 3)
	if len(frame)%Align != 0 {
		t.Fatalf("frame of %d bytes is not aligned", len(frame))
	}
	if err := Check(frame, 3); err != nil {
		t.Fatal(err)
	}
	r, rest, err := Split(frame)
	if err != nil || len(rest) != len(frame)/3*2 {
		t.Fatalf("Split: %v, %d bytes left", err, len(rest))
	}
	want := Header{Hook: HookPublish, Conn: 7, Time: 1e18, Flags: Flags(0).WithQoS(1).WithVersion(5) | FlagRetain, Aux: 5}
	if r.Header() != want {
		t.Errorf("header %+v, want %+v", r.Header(), want)
	}
	if string(r.Slot(SlotTopic)) != "a/b" || string(r.Slot(SlotPayload)) != "hello" {
		t.Errorf("topic %q payload %q", r.Slot(SlotTopic), r.Slot(SlotPayload))
	}
	if v, ok := r.Uint32(SlotExpiry); !ok || v != 30 {
		t.Errorf("expiry %d %v", v, ok)
	}
	if _, ok := r.Lookup(SlotProps); !ok {
		t.Error("an empty slot is not present")
	}
	if _, ok := r.Lookup(SlotUsername); ok {
		t.Error("a slot that was not written is present")
	}
	if _, ok := r.Lookup(200); ok {
		t.Error("a slot behind the table is present")
	}
}

func TestWriterKeepsToFields(t *testing.T) {
	w := &Writer{Fields: 1 << SlotTopic}
	appendPublish(w)
	r, _, err := Split(w.Frame())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Lookup(SlotPayload); ok || string(r.Slot(SlotTopic)) != "a/b" {
		t.Errorf("payload %q topic %q", r.Slot(SlotPayload), r.Slot(SlotTopic))
	}
}

func TestVerdictRoundTrip(t *testing.T) {
	_, frame := publishFrame(t, 3)
	var w VerdictWriter
	w.Reset(nil, 3)
	w.Set(0, Deny, 0x87)
	w.Put(0, ExtText, []byte("no"))
	w.Set(2, Rewrite, 0)
	w.Put(2, ExtTopic, []byte("c/d"))
	w.Put(2, ExtPayload, nil)
	w.PutFlags(2, FlagRetain|FlagQoS, Flags(0).WithQoS(2))
	var v Verdicts
	if err := v.Load(frame, 3, w.Block()); err != nil {
		t.Fatal(err)
	}
	if d := v.At(0); d.Action != Deny || d.Reason != 0x87 || d.Text() != "no" {
		t.Errorf("%+v", d)
	}
	if d := v.At(1); d.Action != Next || d.Text() != "" {
		t.Errorf("%+v", d)
	}
	d := v.At(2)
	topic, _ := d.Ext(ExtTopic)
	payload, has := d.Ext(ExtPayload)
	if !bytes.Equal(topic, []byte("c/d")) || !has || len(payload) != 0 {
		t.Errorf("topic %q payload %q %v", topic, payload, has)
	}
	if f := d.NewFlags(FlagRetain | 1); f.QoS() != 2 || f.Has(FlagRetain) {
		t.Errorf("flags %x", f)
	}
	if w.Put(0, ExtText, nil) {
		t.Error("an extension of an earlier record was taken")
	}
}

// TestShortTables: a table is no longer than what is in it, and reads as a long one.
func TestShortTables(t *testing.T) {
	_, frame := publishFrame(t, 3)
	var m Writer
	m.BeginShort(Header{Hook: HookPublish}, int(SlotPayload)+1)
	m.String(SlotTopic, "a")
	m.String(SlotPayload, "b")
	m.String(SlotProps, "lost") // it has no room
	m.End()
	var w VerdictWriter
	w.Reset(nil, 3)
	if !w.PutOnly(0, ExtPublishes, m.Frame()) || !w.Put(1, ExtText, []byte("x")) || w.PutOnly(1, ExtPublishes, m.Frame()) {
		t.Error("not taken, or too much")
	}
	if !w.PutOnly(2, ExtPublishes, m.Frame()) || w.Put(2, ExtText, nil) || w.PutOnly(1, ExtText, nil) {
		t.Error("a sealed extension was written")
	}
	var v Verdicts
	if err := v.Load(frame, 3, w.Block()); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 2} {
		list, _ := v.At(i).Ext(ExtPublishes)
		r, rest, err := Split(list)
		if err != nil || len(rest) > 0 || CheckPublish(r) != nil || string(r.Slot(SlotTopic)) != "a" || string(r.Slot(SlotPayload)) != "b" || r.Slot(SlotProps) != nil {
			t.Errorf("verdict %d: %q, %v", i, list, err)
		}
	}
	if v.At(1).Text() != "x" {
		t.Error("the long one is not there")
	}
}

// The example of the specification, byte for byte.
func TestSpecificationExample(t *testing.T) {
	var w Writer
	w.Begin(Header{Hook: HookPublish, Conn: 7, Time: 1e18, Flags: Flags(0).WithQoS(1).WithVersion(5), Aux: 2})
	w.String(SlotTopic, "a")
	w.String(SlotPayload, "hi")
	w.End()
	text, err := os.ReadFile("../../docs/plugin-contract.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "128 bytes):\n\n```\n")
	block, _, _ = strings.Cut(block, "```")
	var want []byte
	for _, line := range strings.Split(strings.TrimSpace(block), "\n") {
		part := hexPairs.FindString(line)
		b, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		times := 1
		if m := repeated.FindStringSubmatch(line); m != nil {
			times, _ = strconv.Atoi(m[1])
		}
		want = append(want, bytes.Repeat(b, times)...)
	}
	if !bytes.Equal(w.Frame(), want) {
		t.Errorf("written  % x\nspecified % x", w.Frame(), want)
	}
}

var (
	hexPairs = regexp.MustCompile(`^([0-9a-f]{2} +)+`)
	repeated = regexp.MustCompile(`\((\d) times`)
)

func TestSplitRefusesLengthsThatLie(t *testing.T) {
	_, frame := publishFrame(t, 1)
	for name, change := range map[string]func(b []byte) []byte{
		"short":          func(b []byte) []byte { return b[:HeaderSize-1] },
		"cut":            func(b []byte) []byte { return b[:len(b)-Align] },
		"longer":         func(b []byte) []byte { b[0] += Align; return b },
		"not aligned":    func(b []byte) []byte { b[0]--; return b },
		"zero":           func(b []byte) []byte { b[0], b[1] = 0, 0; return b },
		"too many slots": func(b []byte) []byte { b[6], b[7] = 0xFF, 0xFF; return b },
	} {
		if _, _, err := Split(change(bytes.Clone(frame))); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSlotsOutsideTheRecordAreAbsent(t *testing.T) {
	_, frame := publishFrame(t, 1)
	at := HeaderSize + int(SlotTopic)*SlotSize
	for name, off := range map[string]uint32{"head": 8, "table": HeaderSize, "behind": uint32(len(frame)), "far": 1<<32 - 1} {
		b := bytes.Clone(frame)
		binary.LittleEndian.PutUint32(b[at:], off)
		binary.LittleEndian.PutUint32(b[at+4:], 4)
		r, _, err := Split(b)
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := r.Lookup(SlotTopic); ok {
			t.Errorf("%s: slot reads as %q", name, v)
		}
		if err := r.Check(); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: Check says %v", name, err)
		}
	}
}

func TestCheckFrame(t *testing.T) {
	_, frame := publishFrame(t, 2)
	if err := Check(frame, 1); !errors.Is(err, ErrFrame) {
		t.Errorf("one of two records: %v", err)
	}
	if err := Check(frame, 3); !errors.Is(err, ErrFrame) {
		t.Errorf("three of two records: %v", err)
	}
	for n := range frame {
		if err := Check(frame[:n], 2); err == nil {
			t.Errorf("cut to %d bytes: no error", n)
		}
	}
}

func TestWriterTakesBackRecords(t *testing.T) {
	w, frame := publishFrame(t, 1)
	size, n := w.Len(), w.Count()
	appendPublish(w)
	w.Truncate(n, size)
	if w.Count() != 1 || !bytes.Equal(w.Frame(), frame) {
		t.Errorf("%d records, %d bytes", w.Count(), w.Len())
	}
	w.Reset(nil)
	if w.Count() != 0 || w.Len() != 0 {
		t.Error("not empty after Reset")
	}
}

func TestZeroRecordReadsAsNothing(t *testing.T) {
	var r Record
	if r.Hook() != 0 || r.NumSlots() != 0 || r.Slot(0) != nil || r.Conn() != 0 || r.Time() != 0 || r.Aux() != 0 || r.Check() != nil {
		t.Error("a zero record has something")
	}
}

// A record of a later version has more slots than we know.
func TestLaterSlotsAreIgnored(t *testing.T) {
	_, frame := publishFrame(t, 1)
	r, _, _ := Split(frame)
	extra := 3 * SlotSize
	b := append(bytes.Clone(frame[:int(r.head())]), make([]byte, extra)...)
	b = append(b, frame[int(r.head()):]...)
	for s := range r.NumSlots() {
		at := HeaderSize + s*SlotSize
		if off := binary.LittleEndian.Uint32(b[at:]); off != 0 {
			binary.LittleEndian.PutUint32(b[at:], off+uint32(extra))
		}
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint16(b[6:], uint16(r.NumSlots()+3))
	later, _, err := Split(b)
	if err != nil || later.Check() != nil || string(later.Slot(SlotTopic)) != "a/b" {
		t.Errorf("%v, topic %q", err, later.Slot(SlotTopic))
	}
}

func TestFramesCostNoAllocation(t *testing.T) {
	w, frame := publishFrame(t, 8)
	var vw VerdictWriter
	var v Verdicts
	text := []byte("no")
	run := func() {
		w.Reset(nil)
		for range 8 {
			appendPublish(w)
		}
		b := frame
		for range 8 {
			r, rest, _ := Split(b)
			_, _ = r.Slot(SlotTopic), r.Slot(SlotPayload)
			b = rest
		}
		vw.Reset(nil, 8)
		vw.Set(3, Deny, 0x87)
		vw.Put(3, ExtText, text)
		if err := v.Load(frame, 8, vw.Block()); err != nil || v.At(3).Action != Deny {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever the bytes, reading them neither panics nor leaves them.
func FuzzRecord(f *testing.F) {
	_, frame := publishFrame(f, 2)
	f.Add(frame, 2)
	f.Add(frame[:40], 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		checked := Check(b, min(n, 600))
		for range 600 {
			r, rest, err := Split(b)
			if err != nil {
				if checked == nil && n > 0 && n <= 600 && len(b) > 0 {
					t.Errorf("Check passes what Split refuses: %v", err)
				}
				return
			}
			for s := range min(r.NumSlots(), 256) {
				if v, ok := r.Lookup(Slot(s)); ok && cap(v) != len(v) {
					t.Error("a slot can grow over its neighbour")
				}
			}
			_, _ = r.Uint32(SlotExpiry)
			_ = CheckPublish(r)
			for range (FilterList{r.Slot(SlotFilters), true}).All {
			}
			b = rest
		}
	})
}

func BenchmarkWriteRecord(b *testing.B) {
	var w Writer
	b.ReportAllocs()
	for b.Loop() {
		w.Reset(nil)
		appendPublish(&w)
	}
}

func BenchmarkReadRecord(b *testing.B) {
	_, frame := publishFrame(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		r, _, _ := Split(frame)
		if len(r.Slot(SlotTopic)) == 0 || len(r.Slot(SlotClientID)) == 0 {
			b.Fatal("empty")
		}
	}
}

func BenchmarkCheckVerdicts64(b *testing.B) {
	_, frame := publishFrame(b, 64)
	var w VerdictWriter
	w.Reset(nil, 64)
	w.Set(9, Deny, 0x87)
	b.ReportAllocs()
	for b.Loop() {
		if err := CheckVerdicts(frame, 64, w.Block()); err != nil {
			b.Fatal(err)
		}
	}
}
