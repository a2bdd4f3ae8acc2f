package contract

import (
	"bytes"
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
