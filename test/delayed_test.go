package test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// TestDelayedVerbs: ctl lists what waits in the order of time, in pages or whole, shows
// one of them far behind, and cancels it.
func TestDelayedVerbs(t *testing.T) {
	t.Parallel()
	b := start(t, module("delayed", "[plugin]\ngrant = [\"schedule\"]\n"))
	pub := b.dial(v5)
	pub.connect("publisher")
	const many = 130 // the plugin names 64 at once
	for i := range many {
		pub.publishWith(&packet.Publish{Topic: fmt.Sprintf("$delayed/%d/t/%03d", 4000000-i, many-1-i), Payload: []byte("secret"), QoS: 1})
		pub.read()
	}
	type message struct {
		Number, Due, Size int64
		Topic, From       string
		QoS               int
		Retain            bool
	}
	type page struct {
		Items []message
		Next  string
	}
	list := func(args ...string) (p page) {
		t.Helper()
		out := b.ctl(append([]string{"delayed", "list", "-o", "json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &p); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return p
	}
	all := list("--all")
	if len(all.Items) != many || all.Next != "" {
		t.Fatalf("%d messages, next %q", len(all.Items), all.Next)
	}
	for i, m := range all.Items {
		if m.Topic != fmt.Sprintf("t/%03d", i) || m.From != "publisher" || m.QoS != 1 || m.Number == 0 || m.Due == 0 {
			t.Fatalf("%d: %+v", i, m)
		}
	}
	var got []message
	for cursor, first := "", true; first || cursor != ""; first = false {
		p := list("--limit", "65", "--cursor", cursor)
		if len(p.Items) != 65 {
			t.Fatalf("%d messages behind %q", len(p.Items), cursor)
		}
		got, cursor = append(got, p.Items...), p.Next
	}
	if fmt.Sprint(got) != fmt.Sprint(all.Items) {
		t.Errorf("page by page: %v", got)
	}
	if out := b.ctl("delayed", "list", "-o", "wide", "--limit", "1"); !strings.Contains(out, "RETAIN") || !strings.Contains(out, "There are more: --cursor '") {
		t.Errorf("as a table: %s", out)
	}
	number := fmt.Sprint(all.Items[100].Number)
	if out := b.ctl("delayed", "show", number); !strings.Contains(out, "t/100") || strings.Contains(out, "secret") {
		t.Errorf("show: %s", out)
	}
	if out := b.ctl("delayed", "cancel", number); out != "ok\n" {
		t.Errorf("cancel: %s", out)
	}
	if n := len(list("--all").Items); n != many-1 {
		t.Errorf("%d wait after one was cancelled", n)
	}
	for _, bad := range [][]string{{"list", "--limit", "0"}, {"list", "--cursor", "7"}, {"show", "x"}, {"cancel", number}, {"show", number}} {
		if out, err := b.tryCtl(append([]string{"delayed"}, bad...)...); err == nil {
			t.Errorf("%v: %s", bad, out)
		}
	}
}
