package test

import (
	"encoding/json"
	"strings"
	"testing"
)

// topicMetrics is what the plugin says of a topic; nil: it is not registered.
func (b *broker) topicMetrics(topic string) map[string]float64 {
	b.t.Helper()
	var list []struct {
		Topic   string
		Metrics map[string]float64
	}
	if err := json.Unmarshal([]byte(b.ctl("plugins", "command", "topic_metrics", "topic_metrics.list")), &list); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range list {
		if v.Topic == topic {
			return v.Metrics
		}
	}
	return nil
}

// counted waits until the counts of a topic that are not zero are want.
func (b *broker) counted(topic string, want map[string]float64) {
	b.t.Helper()
	var got map[string]float64
	b.eventually("the counts of "+topic, func() bool {
		got = b.topicMetrics(topic)
		for name, n := range got {
			if strings.HasSuffix(name, ".count") && n != want[name] {
				b.t.Logf("%s %s: %g, want %g", topic, name, n, want[name])
				return false
			}
		}
		return got != nil
	})
}

// TestTopicMetrics: real clients publish and subscribe, and the counts of the topics
// of the file and of those registered later are exact; other topics are not told to
// the plugin at all.
func TestTopicMetrics(t *testing.T) {
	t.Parallel()
	const file = "[plugin]\ngrant = [\"metric\", \"timer\", \"kv\"]\n[config]\ntopics = [\"hall/temp\"]\n"
	b := start(t, module("topic_metrics", file))
	sub, pub := b.dial(v5), b.dial(v5)
	sub.connect("sub")
	sub.subscribe("hall/#", 1) // QoS 2 is lowered: out is counted as it was sent
	pub.connect("pub")
	for qos, n := range []int{5, 3, 2} {
		for range n {
			pub.publish("hall/temp", "x", byte(qos))
			sub.expect("hall/temp", "x")
			pub.publish("hall/other", "x", byte(qos))
			sub.expect("hall/other", "x")
		}
	}
	b.counted("hall/temp", map[string]float64{
		"messages.in.count": 10, "messages.out.count": 10,
		"messages.qos0.in.count": 5, "messages.qos1.in.count": 3, "messages.qos2.in.count": 2,
		"messages.qos0.out.count": 5, "messages.qos1.out.count": 5,
	})
	b.eventually("a rate", func() bool { return b.topicMetrics("hall/temp")["messages.in.rate"] > 0 })
	b.eventually("the plugin's metrics", func() bool {
		return strings.Contains(b.ctl("plugins", "show", "topic_metrics"), "messages.qos1.in.count/hall/temp = 3")
	})

	// Registered at run time: what is published from then on counts.
	command := func(name, body string) (string, error) {
		return b.tryCtl("plugins", "command", "topic_metrics", "topic_metrics."+name, body)
	}
	pub.publish("attic", "before", 1)
	pub.ping()
	if out, err := command("register", `{"topic":"attic"}`); err != nil {
		t.Fatal(err, out)
	}
	for range 4 {
		pub.publish("attic", "nobody has it", 1)
	}
	b.counted("attic", map[string]float64{"messages.in.count": 4, "messages.qos1.in.count": 4, "messages.dropped.count": 4})
	if out, err := command("register", `{"topic":"attic/+"}`); err == nil || !strings.Contains(out, "wildcard") {
		t.Error(out, err)
	}
	if out, err := command("reset", `{"topic":"attic"}`); err != nil {
		t.Fatal(err, out)
	}
	b.counted("attic", nil)
	if out, err := command("unregister", `{"topic":"attic"}`); err != nil {
		t.Fatal(err, out)
	}
	if b.topicMetrics("attic") != nil {
		t.Error("it is still counted")
	}
	b.eventually("its metrics are gone", func() bool { return !strings.Contains(b.ctl("plugins", "show", "topic_metrics"), "/attic") })

	// Only what is registered reached the plugin: 10 in and 10 out, 4 in and 4 dropped.
	var figures map[string]json.Number
	if err := json.Unmarshal([]byte(b.ctl("plugins", "metrics", "-o", "json")), &figures); err != nil {
		t.Fatal(err)
	}
	var records int64 // a frame may mix hooks, and counts for that of its first record
	for _, hook := range []string{"published", "delivered", "dropped"} {
		n, err := figures["topic_metrics.hooks."+hook+".records"].Int64()
		if err != nil {
			t.Fatal(err)
		}
		records += n
	}
	if records != 28 {
		t.Errorf("the plugin was told of %d messages, want 28", records)
	}

	// A reload with the same file goes on: counts, and what was registered meanwhile.
	if out, err := command("register", `{"topic":"cellar"}`); err != nil {
		t.Fatal(err, out)
	}
	pub.publish("cellar", "nobody has it", 0)
	b.counted("cellar", map[string]float64{"messages.in.count": 1, "messages.qos0.in.count": 1, "messages.dropped.count": 1})
	b.ctl("plugins", "reload", "topic_metrics")
	if b.topicMetrics("hall/temp")["messages.in.count"] != 10 || b.topicMetrics("cellar")["messages.in.count"] != 1 {
		t.Error("a reload has lost counts")
	}
	pub.publish("cellar", "nobody has it", 0)
	b.counted("cellar", map[string]float64{"messages.in.count": 2, "messages.qos0.in.count": 2, "messages.dropped.count": 2})

	b.refused("topic_metrics", strings.Replace(file, "hall/temp", "hall/+", 1), "topics[0]")
	if b.topicMetrics("hall/temp")["messages.in.count"] != 10 {
		t.Error("a refused file has changed the counts")
	}
	if out, err := b.reconfigure("topic_metrics", strings.Replace(file, "hall/temp", "hall/new", 1)); err != nil {
		t.Fatal(err, out)
	}
	b.eventually("metrics of the file before are gone", func() bool {
		show := b.ctl("plugins", "show", "topic_metrics")
		return strings.Contains(show, "/hall/new") && !strings.Contains(show, "/hall/temp")
	})
}
