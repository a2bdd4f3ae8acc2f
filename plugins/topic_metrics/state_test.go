//go:build !wasip1

package main

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// A guest in place of one that was lost goes on with its topics and counts; with
// another file, topics that are in both keep their counts, and the metrics of the
// others go. So does a version that a reload has made.
func TestGoesOn(t *testing.T) {
	p, r, b := counting(t, "a", "b")
	tell(r, contract.HookPublished, "a", 1, 3)
	for _, c := range []struct{ name, topic string }{{"register", "c"}, {"unregister", "b"}} {
		if out, err := command(t, p, c.name, `{"topic":"`+c.topic+`"}`); err != nil {
			t.Fatal(out, err)
		}
	}
	tell(r, contract.HookDelivered, "c", 2, 4)
	p.tick(epoch.Add(time.Second))
	kept, state := b.keys[pageKey(0)], p.SaveState()
	if kept != string(state) {
		t.Error("what is saved is not what is handed on")
	}
	names := func(p *Plugin) (out string) {
		for _, v := range p.views(t) {
			out += v.Topic
		}
		return out
	}
	same, _, sb := counting(t, "a", "b")
	if err := same.RestoreState(state); err != nil || names(same) != "ac" || of(t, same, "a")["messages.qos1.in.count"] != 3 || of(t, same, "c")["messages.qos2.out.count"] != 4 {
		t.Error(err, names(same))
	}
	if got := strings.Join(sb.wants[contract.HookPublished], ""); got != "ac" {
		t.Errorf("it wants %s", got)
	}
	same.tick(epoch.Add(2 * time.Second))
	if rate := of(t, same, "a")["messages.in.rate"]; rate != 0 {
		t.Errorf("a rate of %g of what came before", rate)
	}

	other, _, ob := counting(t, "b", "c")
	ob.metrics = b.metrics
	if err := other.RestoreState(state); err != nil || names(other) != "bc" || of(t, other, "c")["messages.out.count"] != 4 || of(t, other, "b")["messages.in.count"] != 0 {
		t.Error(err, names(other))
	}
	other.tick(epoch.Add(time.Second))
	if len(ob.metrics) != 2*int(metrics) || ob.metrics["messages.qos2.out.count/c"] != 4 {
		t.Error(ob.metrics)
	}
	for n := range state { // cut short, or none: it goes on with what it understands
		if err := other.RestoreState(state[:n]); err != nil {
			t.Fatal(n, err)
		}
	}
}

// All topics with the longest names fit into the pages of the keys, each whole.
func TestPages(t *testing.T) {
	var all []string
	for i := range MaxTopics {
		all = append(all, fmt.Sprintf("%s/%d", strings.Repeat("t", MaxTopic-4), 100+i))
	}
	p, r, b := counting(t, all...)
	tell(r, contract.HookPublished, all[MaxTopics-1], 0, 7)
	p.tick(epoch)
	if len(b.keys) < 2 {
		t.Fatal(len(b.keys), "pages")
	}
	keys := maps.Clone(b.keys)
	if _, err := command(t, p, "unregister", `{"all":true}`); err != nil || len(b.keys) != 1 || len(b.metrics) != 0 {
		t.Error(err, len(b.keys), len(b.metrics))
	}
	next, _, _ := counting(t, all...)
	for i := range len(keys) {
		if len(keys[pageKey(i)]) > pageSize {
			t.Errorf("page %d has %d bytes", i, len(keys[pageKey(i)]))
		}
		next.resume([]byte(keys[pageKey(i)]), epoch, i == 0)
	}
	if len(next.topics) != MaxTopics || of(t, next, all[MaxTopics-1])["messages.in.count"] != 7 {
		t.Error(len(next.topics), "topics")
	}
}
