package contract

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// frameOf is a frame with one record of hook h.
func frameOf(h Hook, flags Flags, aux uint32) []byte {
	var w Writer
	w.Begin(Header{Hook: h, Flags: flags, Aux: aux})
	w.String(SlotClientID, "c")
	w.End()
	return w.Frame()
}

// one is a block with one verdict.
func one(a Action, reason byte, exts ...any) []byte {
	var w VerdictWriter
	w.Reset(nil, 1)
	w.Set(0, a, reason)
	for i := 0; i < len(exts); i += 2 {
		w.Put(0, exts[i].(Ext), exts[i+1].([]byte))
	}
	return w.Block()
}

func u32(vs ...uint32) (b []byte) {
	for _, v := range vs {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

func publishRecord(topic string, flags Flags) []byte {
	var w Writer
	w.Begin(Header{Hook: HookPublish, Flags: flags})
	w.String(SlotTopic, topic)
	w.End()
	return w.Frame()
}

var long = strings.Repeat("x", 65536)

// Each row is a verdict that a host must take ("") or refuse (part of the error).
func TestVerdictsAreCheckedAgainstTheirHook(t *testing.T) {
	subs := AppendSubscription(AppendSubscription(nil, "a/+", 1), "$share/g/b", 2)
	for _, c := range []struct {
		name  string
		frame []byte
		block []byte
		want  string
	}{
		{"empty", frameOf(HookACL, 0, 0), nil, ""},
		{"short", frameOf(HookACL, 0, 0), make([]byte, 15), "for 1 records"},
		{"allow", frameOf(HookACL, 0, 0), one(Allow, 0), ""},
		{"deny", frameOf(HookACL, 0, 0), one(Deny, 0x87), ""},
		{"deny without code", frameOf(HookACL, 0, 0), one(Deny, 0), ""},
		{"code of success", frameOf(HookACL, 0, 0), one(Deny, 0x10), "reason code"},
		{"CONNACK code for acl", frameOf(HookACL, 0, 0), one(Deny, 0x86), "reason code"},
		{"CONNACK code", frameOf(HookAuthenticate, 0, 0), one(Deny, 0x86), ""},
		{"SUBACK code for publish", frameOf(HookPublish, 0, 0), one(Deny, 0x9E), "reason code"},
		{"code with allow", frameOf(HookACL, 0, 0), one(Allow, 0x87), "with action"},
		{"drop for acl", frameOf(HookACL, 0, 0), one(Drop, 0), "not allowed"},
		{"pending", frameOf(HookAuthenticate, 0, 0), one(Pending, 0, ExtPending, AppendPending(nil, 7, 60_000)), ""},
		{"pending without a token", frameOf(HookAuthenticate, 0, 0), one(Pending, 0), "missing"},
		{"pending for ever", frameOf(HookAuthenticate, 0, 0), one(Pending, 0, ExtPending, AppendPending(nil, 7, 60_001)), "60,000"},
		{"pending for no time", frameOf(HookACL, 0, 0), one(Pending, 0, ExtPending, AppendPending(nil, 7, 0)), "60,000"},
		{"subscriptions", frameOf(HookConnect, 0, 0), one(Next, 0, ExtSubscriptions, AppendSubscription(nil, "a/%c", 2)), ""},
		{"a bad subscription", frameOf(HookConnect, 0, 0), one(Next, 0, ExtSubscriptions, AppendSubscription(nil, "a#", 2)), "not a topic filter"},
		{"subscription options", frameOf(HookConnect, 0, 0), one(Next, 0, ExtSubscriptions, AppendSubscription(nil, "a", 0x30)), "not a topic filter"},
		{"half a subscription", frameOf(HookConnect, 0, 0), one(Next, 0, ExtSubscriptions, AppendSubscription(nil, "a", 1)[:3]), "3 bytes left"},
		{"too many subscriptions", frameOf(HookConnect, 0, 0), one(Next, 0, ExtSubscriptions, bytes.Repeat(AppendSubscription(nil, "a", 1), 257)), "at most 256"},
		{"subscriptions at login", frameOf(HookAuthenticate, 0, 0), one(Next, 0, ExtSubscriptions, AppendSubscription(nil, "a", 1)), "not allowed"},
		{"short pending", frameOf(HookACL, 0, 0), one(Pending, 0, ExtPending, []byte{1}), "missing"},
		{"a token with Allow", frameOf(HookConnect, 0, 0), one(Allow, 0, ExtPending, AppendPending(nil, 7, 10)), "out of place"},
		{"a will cannot wait", frameOf(HookWill, 0, 0), one(Pending, 0, ExtPending, AppendPending(nil, 7, 10)), "not allowed"},
		{"unsubscribe cannot wait", frameOf(HookUnsubscribe, 0, 1), one(Pending, 0, ExtPending, AppendPending(nil, 7, 10)), "not allowed"},
		{"action 99", frameOf(HookPublish, 0, 0), one(99, 0), "not allowed"},
		{"deny for deliver", frameOf(HookDeliver, 0, 0), one(Deny, 0x87), "not allowed"},
		{"drop a retained one", frameOf(HookRetainedStore, 0, 0), one(Drop, 0), ""},
		{"next for an observer", frameOf(HookConnected, 0, 0), one(Next, 0), ""},
		{"deny for an observer", frameOf(HookConnected, 0, 0), one(Deny, 0x87), "not allowed"},
		{"no such hook", frameOf(15, 0, 0), one(Next, 0), "no hook"},
		{"topic", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtTopic, []byte("a/b")), ""},
		{"topic with wildcard", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtTopic, []byte("a/#")), "topic name"},
		{"empty topic", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtTopic, []byte{}), "topic name"},
		{"topic not UTF-8", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtTopic, []byte("a\xff")), "topic name"},
		{"topic with NUL", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtTopic, []byte("a\x00")), "topic name"},
		{"long topic", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtTopic, []byte(long)), "topic name"},
		{"topic for acl", frameOf(HookACL, 0, 0), one(Allow, 0, ExtTopic, []byte("a")), "not allowed"},
		{"text", frameOf(HookACL, 0, 0), one(Deny, 0x87, ExtText, []byte("é")), ""},
		{"text not UTF-8", frameOf(HookACL, 0, 0), one(Deny, 0x87, ExtText, []byte("\xc3")), "UTF-8"},
		{"qos 2", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtFlags, u32(3, 2)), ""},
		{"qos 3", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtFlags, u32(3, 3)), "QoS 3"},
		{"qos 3 of 1 and 2", frameOf(HookPublish, 1, 0), one(Rewrite, 0, ExtFlags, u32(2, 2)), "QoS 3"},
		{"dup", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtFlags, u32(8, 8)), "may not change"},
		{"short flags", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtFlags, u32(3)), "length"},
		{"expiry", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtExpiry, u32(3)), ""},
		{"short expiry", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtExpiry, []byte{1}), "length"},
		{"props", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtProps, []byte{1, 1, 0x26, 0, 1, 'k', 0, 1, 'v', 0x26, 0, 0, 0, 0}), ""},
		{"props twice", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtProps, []byte{1, 1, 1, 0}), "properties"},
		{"topic alias", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtProps, []byte{0x23, 0, 1}), "properties"},
		{"props cut", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtProps, []byte{3, 0, 5, 'a'}), "properties"},
		{"response topic", frameOf(HookPublish, 0, 0), one(Rewrite, 0, ExtProps, []byte{8, 0, 1, '#'}), "properties"},
		{"publishes", frameOf(HookPublish, 0, 0), one(Next, 0, ExtPublishes, publishRecord("a", 1)), ""},
		{"publishes to +", frameOf(HookPublish, 0, 0), one(Next, 0, ExtPublishes, publishRecord("+", 1)), "topic name"},
		{"publishes QoS 3", frameOf(HookPublish, 0, 0), one(Next, 0, ExtPublishes, publishRecord("a", 3)), "QoS 3"},
		{"publishes an acl", frameOf(HookPublish, 0, 0), one(Next, 0, ExtPublishes, frameOf(HookACL, 0, 0)), "not publish"},
		{"publishes noise", frameOf(HookPublish, 0, 0), one(Next, 0, ExtPublishes, []byte("noise")), "bad frame"},
		{"codes", frameOf(HookSubscribe, 0, 2), one(Rewrite, 0, ExtCodes, []byte{2, 0x87}), ""},
		{"keep a code", frameOf(HookUnsubscribe, 0, 1), one(Rewrite, 0, ExtCodes, []byte{KeepCode}), ""},
		{"too few codes", frameOf(HookSubscribe, 0, 2), one(Rewrite, 0, ExtCodes, []byte{0}), "codes for"},
		{"code 3", frameOf(HookSubscribe, 0, 1), one(Rewrite, 0, ExtCodes, []byte{3}), "code"},
		{"granted in UNSUBACK", frameOf(HookUnsubscribe, 0, 1), one(Rewrite, 0, ExtCodes, []byte{1}), "code"},
		{"filters", frameOf(HookSubscribe, 0, 2), one(Rewrite, 0, ExtFilters, subs), ""},
		{"too few filters", frameOf(HookSubscribe, 0, 3), one(Rewrite, 0, ExtFilters, subs), "filters for"},
		{"bad filter", frameOf(HookUnsubscribe, 0, 1), one(Rewrite, 0, ExtFilters, AppendFilter(nil, "a#")), "filter"},
		{"bad options", frameOf(HookSubscribe, 0, 1), one(Rewrite, 0, ExtFilters, AppendSubscription(nil, "a", 3)), "filter"},
		{"cut filters", frameOf(HookSubscribe, 0, 1), one(Rewrite, 0, ExtFilters, subs[:len(subs)-3]), "bytes left"},
		{"limits", frameOf(HookConnect, 0, 0), one(Next, 0, ExtLimits, AppendLimits(nil, Limits{20, KeepLimit, 60, 0})), ""},
		{"receive maximum 0", frameOf(HookConnect, 0, 0), one(Next, 0, ExtLimits, AppendLimits(nil, Limits{0, 1, 1, 1})), "receive"},
		{"packet size 0", frameOf(HookConnect, 0, 0), one(Next, 0, ExtLimits, AppendLimits(nil, Limits{1, 0, 1, 1})), "packet size"},
		{"keep alive", frameOf(HookConnect, 0, 0), one(Next, 0, ExtLimits, AppendLimits(nil, Limits{1, 1, 70000, 1})), "keep alive"},
		{"short limits", frameOf(HookConnect, 0, 0), one(Next, 0, ExtLimits, u32(1, 1)), "length"},
		{"permission", frameOf(HookAuthenticate, 0, 0), one(Allow, 0, ExtPermissions, AppendPermission(nil, Permission{Filter: "a/#"})), ""},
		{"bad permission", frameOf(HookAuthenticate, 0, 0), one(Allow, 0, ExtPermissions, AppendPermission(nil, Permission{Filter: "#a"})), "filter"},
		{"cut permission", frameOf(HookAuthenticate, 0, 0), one(Allow, 0, ExtPermissions, []byte{9, 0, 0, 0}), "length"},
		{"attributes", frameOf(HookAuthenticate, 0, 0), one(Allow, 0, ExtAttributes, AppendPair(nil, "k", "v")), ""},
		{"cut attributes", frameOf(HookAuthenticate, 0, 0), one(Allow, 0, ExtAttributes, []byte{1, 0, 'k'}), "pair"},
		{"expires", frameOf(HookAuthenticate, 0, 0), one(Allow, 0, ExtExpiresAt, u32(1)), "length"},
		{"long reply", frameOf(HookAuthenticate, 0, 0), one(Continue, 0, ExtReply, []byte(long)), "length"},
		{"cache filter", frameOf(HookACL, 0, 0), one(Allow, 0, ExtCacheFilter, []byte("a/#")), ""},
		{"bad cache filter", frameOf(HookACL, 0, 0), one(Allow, 0, ExtCacheFilter, []byte("a/#/b")), "filter"},
	} {
		err := CheckVerdicts(c.frame, 1, c.block)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrVerdict)):
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestBlockBoundsAreChecked(t *testing.T) {
	frame := frameOf(HookPublish, 0, 0)
	good := one(Rewrite, 0, ExtTopic, []byte("a"), ExtPayload, []byte("p"))
	for name, change := range map[string]func(b []byte){
		"extension inside the entries": func(b []byte) { binary.LittleEndian.PutUint32(b[4:], 8) },
		"extension not aligned":        func(b []byte) { binary.LittleEndian.PutUint32(b[4:], 17) },
		"extension behind the block":   func(b []byte) { binary.LittleEndian.PutUint32(b[4:], 1<<31) },
		"extension too long":           func(b []byte) { binary.LittleEndian.PutUint32(b[8:], 1<<32-1) },
		"extension without a head":     func(b []byte) { binary.LittleEndian.PutUint32(b[8:], 4) },
		"extension slots":              func(b []byte) { binary.LittleEndian.PutUint32(b[16:], 1<<31) },
		"slot in the head":             func(b []byte) { binary.LittleEndian.PutUint32(b[24+int(ExtTopic)*8:], 4) },
		"slot too long":                func(b []byte) { binary.LittleEndian.PutUint32(b[24+int(ExtTopic)*8+4:], 1<<32-1) },
		"cache scope":                  func(b []byte) { b[2] = 3 },
	} {
		b := bytes.Clone(good)
		change(b)
		if err := CheckVerdicts(frame, 1, b); !errors.Is(err, ErrVerdict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := 1; n < len(good); n++ {
		if err := CheckVerdicts(frame, 1, good[:n]); err == nil {
			t.Errorf("cut to %d bytes: no error", n)
		}
	}
}

func TestLoadOfABadBlockIsNext(t *testing.T) {
	var v Verdicts
	frame := frameOf(HookACL, 0, 0)
	if err := v.Load(frame, 1, one(Allow, 0)); err != nil || v.At(0).Action != Allow || v.Len() != 1 {
		t.Fatal(err)
	}
	if err := v.Load(frame, 1, one(Drop, 0)); err == nil || v.At(0).Action != Next {
		t.Errorf("%v, %v", err, v.At(0).Action)
	}
	if err := v.Load([]byte("x"), 1, one(Allow, 0)); !errors.Is(err, ErrFrame) {
		t.Errorf("bad frame: %v", err)
	}
	v.Clear(3)
	if v.Len() != 3 || v.At(2).Action != Next || v.At(-1).Action != Next || v.At(9).Action != Next {
		t.Error("not Next after Clear")
	}
}

func TestLoadKeepsItsOwnCopy(t *testing.T) {
	var v Verdicts
	block := one(Deny, 0x87, ExtText, []byte("text"))
	if err := v.Load(frameOf(HookACL, 0, 0), 1, block); err != nil {
		t.Fatal(err)
	}
	clear(block)
	if d := v.At(0); d.Action != Deny || d.Text() != "text" {
		t.Errorf("%+v %q", d, d.Text())
	}
}

func TestLoginExtensionsRoundTrip(t *testing.T) {
	perms := []Permission{
		{Filter: "a/#", Publish: true, Allow: true, MaxQoS: 1},
		{Filter: "b", Subscribe: true, Retain: true, MaxQoS: 2},
	}
	var list, pairs []byte
	for _, p := range perms {
		list = AppendPermission(list, p)
	}
	list = AppendPermission(list, Permission{Filter: long}) // cannot match anything: left out
	pairs = AppendPair(AppendPair(nil, "k", "v"), "é", "")
	var v Verdicts
	if err := v.Load(frameOf(HookAuthenticate, 0, 0), 1, one(Allow, 0, ExtPermissions, list, ExtAttributes, pairs)); err != nil {
		t.Fatal(err)
	}
	if got, ok := v.At(0).Permissions(); !ok || !reflect.DeepEqual(got, perms) {
		t.Errorf("%+v", got)
	}
	if got := v.At(0).Attributes(); !reflect.DeepEqual(got, map[string]string{"k": "v", "é": ""}) {
		t.Errorf("%+v", got)
	}
	if _, ok := (Verdict{}).Permissions(); ok || (Verdict{}).Attributes() != nil {
		t.Error("a verdict without extensions has some")
	}
	if err := v.Load(frameOf(HookAuthenticate, 0, 0), 1, one(Allow, 0, ExtPermissions, []byte{})); err != nil {
		t.Fatal(err)
	}
	if got, ok := v.At(0).Permissions(); !ok || len(got) != 0 {
		t.Error("an empty list is not a missing one")
	}
}

func TestWriterRefusesWhatIsNotThere(t *testing.T) {
	var w VerdictWriter
	w.Reset(nil, 2)
	w.Set(2, Deny, 0)
	w.SetFlags(-1, 1)
	w.SetCacheTTL(7, 1)
	if w.Put(2, ExtText, nil) || w.Put(0, numExts, nil) || !w.PutUint32(1, ExtThrottle, 5) || w.PutUint64(0, ExtExpiresAt, 1) {
		t.Error("an extension went astray")
	}
	if d := VerdictAt(w.Block(), 1); d.Action != Next {
		t.Errorf("%+v", d)
	} else if v, ok := d.Uint32(ExtThrottle); !ok || v != 5 {
		t.Errorf("throttle %d %v", v, ok)
	}
}

func TestLimits(t *testing.T) {
	d := VerdictAt(one(Next, 0, ExtLimits, AppendLimits(nil, Limits{1, 2, 3, 4})), 0)
	if l, ok := d.Limits(); !ok || l != (Limits{1, 2, 3, 4}) {
		t.Errorf("%+v %v", l, ok)
	}
	if l, ok := (Verdict{}).Limits(); ok || l.KeepAlive != KeepLimit {
		t.Errorf("%+v %v", l, ok)
	}
}

// A block of a later version has extensions that we do not know.
func TestLaterExtensionsAreIgnored(t *testing.T) {
	block := make([]byte, VerdictSize)
	block[0] = byte(Rewrite)
	ext := u32(40, 0)
	ext = append(ext, make([]byte, 40*SlotSize)...)
	binary.LittleEndian.PutUint32(ext[extHeadSize+39*SlotSize:], uint32(len(ext)))
	binary.LittleEndian.PutUint32(ext[extHeadSize+39*SlotSize+4:], 1)
	ext = append(ext, 'x')
	binary.LittleEndian.PutUint32(block[4:], VerdictSize)
	binary.LittleEndian.PutUint32(block[8:], uint32(len(ext)))
	if err := CheckVerdicts(frameOf(HookPublish, 0, 0), 1, append(block, ext...)); err != nil {
		t.Error(err)
	}
}

func TestFilters(t *testing.T) {
	for f, want := range map[string]bool{
		"a": true, "#": true, "+": true, "a/#": true, "+/+/#": true, "/": true, "$share/g/a/+": true, "$queue/a": true, "a b": true,
		"": false, "a#": false, "#/a": false, "a+": false, "+a": false, "a/b#": false, "$share/g": false, "$share//a": false,
		"$share/g/": false, "$share/+/a": false, "$share/g/#a": false, "a\x00": false, "\xff": false, long: false,
	} {
		if ValidFilter([]byte(f)) != want {
			t.Errorf("%.20q: %v", f, !want)
		}
	}
}

// Whatever a guest returns, the host's check neither panics nor passes what
// the accessors then trip over.
func FuzzVerdicts(f *testing.F) {
	f.Add(uint8(HookPublish), uint32(0), one(Rewrite, 0, ExtTopic, []byte("a"), ExtPublishes, publishRecord("a", 0)))
	f.Add(uint8(HookAuthenticate), uint32(0), one(Allow, 0, ExtPermissions, AppendPermission(nil, Permission{Filter: "a"})))
	f.Add(uint8(HookSubscribe), uint32(1), one(Rewrite, 0, ExtFilters, AppendSubscription(nil, "a", 1), ExtCodes, []byte{1}))
	f.Fuzz(func(t *testing.T, hook uint8, aux uint32, block []byte) {
		var v Verdicts
		frame := frameOf(Hook(hook), 1, aux)
		err := v.Load(frame, 1, block)
		for _, d := range []Verdict{v.At(0), VerdictAt(block, 0)} {
			for x := range Ext(40) {
				d.Ext(x)
			}
			d.Permissions()
			d.Attributes()
			d.Limits()
			if err == nil && d.NewFlags(1).QoS() == 3 {
				t.Error("QoS 3")
			}
		}
		if topic, ok := v.At(0).Ext(ExtTopic); ok && !ValidTopic(topic) {
			t.Errorf("topic %q passed", topic)
		}
	})
}

// A verdict that comes later is checked against the record's header.
func TestResumedVerdict(t *testing.T) {
	h := Header{Hook: HookSubscribe, Aux: 2}
	for name, c := range map[string]struct {
		block []byte
		ok    bool
	}{
		"next":          {one(Next, 0), true},
		"codes":         {one(Rewrite, 0, ExtCodes, []byte{1, 0x87}), true},
		"too few codes": {one(Rewrite, 0, ExtCodes, []byte{1}), false},
		"empty":         {nil, false},
		"again":         {one(Pending, 0, ExtPending, AppendPending(nil, 1, 1)), false},
		"drop":          {one(Drop, 0), false},
	} {
		if err := CheckResume(h, c.block); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrVerdict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var v Verdicts
	if err := v.Load(frameOf(HookACL, 0, 0), 1, one(Pending, 0, ExtPending, AppendPending(nil, 1<<40, 250))); err != nil {
		t.Fatal(err)
	}
	if token, ms, ok := v.At(0).Pending(); token != 1<<40 || ms != 250 || !ok {
		t.Errorf("token %d for %d ms, %v", token, ms, ok)
	}
}
