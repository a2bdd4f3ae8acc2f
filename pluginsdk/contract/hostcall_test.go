package contract

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestHostCallRoundTrip(t *testing.T) {
	want := HostCall{Call: CallStorePut, Record: 3, Seq: 1 << 40, Arg: -5, Data: []byte("x")}
	b := AppendHostCall(nil, want)
	got, err := ParseHostCall(b)
	if err != nil || got.Call != want.Call || got.Record != 3 || got.Seq != want.Seq || got.Arg != -5 || string(got.Data) != "x" {
		t.Errorf("%+v %v", got, err)
	}
	for n := range HostCallSize {
		if _, err := ParseHostCall(b[:n]); !errors.Is(err, ErrFrame) {
			t.Errorf("cut to %d: %v", n, err)
		}
	}
	r, data, err := ParseHostReply(AppendHostReply(nil, int64(ErrnoQuota), []byte("y")))
	if err != nil || Errno(r) != ErrnoQuota || string(data) != "y" {
		t.Errorf("%d %q %v", r, data, err)
	}
	if _, _, err := ParseHostReply(make([]byte, HostReplySize-1)); !errors.Is(err, ErrFrame) {
		t.Error(err)
	}
}

func TestCallsThatAreAnswered(t *testing.T) {
	if CallLog.Replies() || CallMetricAdd.Replies() || !CallPublish.Replies() || !CallMetricPut.Replies() || !CallStoreCount.Replies() {
		t.Error("the wrong calls are answered")
	}
}

func TestErrnoInWords(t *testing.T) {
	seen := map[string]bool{}
	for e := ErrnoInternal; e < 0; e++ {
		if text := e.Error(); text == "" || seen[text] || text == "unknown error" {
			t.Errorf("%d: %q", e, text)
		} else {
			seen[text] = true
		}
	}
	if Errno(0).Error() != "success" || Errno(-99).Error() != "unknown error" {
		t.Error("wrong words")
	}
}

func TestInitMessageIsTheSpecifiedJSON(t *testing.T) {
	b, err := json.Marshal(InitMessage{Instances: 2, Node: "n", Version: "0.1.0"})
	const want = `{"features":0,"instance":0,"instances":2,"node":"n","version":"0.1.0","config":{}}`
	if err != nil || string(b) != want {
		t.Errorf("%s %v", b, err)
	}
	var m InitMessage
	if err := json.Unmarshal([]byte(`{"instance":1,"config":{"a":1},"later":true}`), &m); err != nil || string(m.Config) != `{"a":1}` || m.Instance != 1 {
		t.Errorf("%+v %v", m, err)
	}
}

func TestPack(t *testing.T) {
	if p, n := Unpack(Pack(1<<31, 7)); p != 1<<31 || n != 7 {
		t.Error(p, n)
	}
}
