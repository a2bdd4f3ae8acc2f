package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// module is the setup of a broker with one bundled plugin and its file.
func module(name, file string) setup {
	return setup{plugins: []string{name}, etc: map[string]string{"etc/plugins/" + name + ".toml": file}}
}

// reconfigure writes the plugin's file and reloads the plugin.
func (b *broker) reconfigure(name, file string) (string, error) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.home, "etc/plugins", name+".toml"), []byte(file), 0o644); err != nil {
		b.t.Fatal(err)
	}
	return b.tryCtl("plugins", "reload", name)
}

// refused insists that a configuration is refused with want and that the one
// before stays.
func (b *broker) refused(name, file, want string) {
	b.t.Helper()
	if out, err := b.reconfigure(name, file); err == nil || !strings.Contains(out, want) {
		b.t.Errorf("a broken configuration: %v\n%s\nwant %s", err, out, want)
	}
}

// TestRewriteModule: topics are rewritten for publishers and subscribers, by
// rules that a reload replaces and a broken file does not.
func TestRewriteModule(t *testing.T) {
	t.Parallel()
	b := start(t, module("rewrite", `[plugin.hook.publish]
filters = ["in/#"]
[config]
pub.rule.1 = 'in/# ^in/(\w+)$ devices/%c/$1'
sub.rule.1 = 'mine/# ^mine/(.+)$ devices/%u/$1'
`))
	m := mosquitto{b: b, id: "tcp:external", version: v5}
	sub := m.sub(t, "-t", "mine/+", "-t", "in/#", "-u", "c1", "-P", "x")
	m.pub(t, "-i", "c1", "-t", "in/one", "-m", "rewritten", "-q", "1")
	sub.expect("devices/c1/one 0 0 rewritten")
	m.pub(t, "-i", "c1", "-t", "in/one/two", "-m", "as it was")
	sub.expect("in/one/two 0 0 as it was")

	b.refused("rewrite", "[config]\npub.rule.1 = 'in/# ^in/(\\w+$ x/$1'\n", "pub.rule.1: error parsing regexp: missing closing )")
	b.refused("rewrite", "[config]\npub.rule.1 = 'in/# ^in/(\\w+)$ x/$1'\npub.rule.2 = 'in/#'\n", "rewrite.toml:3:")
	m.pub(t, "-i", "c1", "-t", "in/two", "-m", "still", "-q", "1")
	sub.expect("devices/c1/two 0 0 still")

	if out, err := b.reconfigure("rewrite", "[config]\npub.rule.1 = 'in/# ^in/(\\w+)$ devices/c1/new$1'\n"); err != nil {
		t.Fatalf("reload: %v\n%s", err, out)
	}
	m.pub(t, "-i", "c2", "-t", "in/two", "-m", "other rules", "-q", "1")
	sub.expect("devices/c1/newtwo 0 0 other rules")
}

// TestSubscriptionModule: clients get the messages of the operator's list without
// a SUBSCRIBE, durable sessions once, others' names nothing.
func TestSubscriptionModule(t *testing.T) {
	t.Parallel()
	s := module("subscription", `[config]
1.topic = "inbox/%c/%u"
1.qos = 1
2.topic = "news"
2.qos = 2
`)
	s.plugins = append(s.plugins, "retainer")
	b := start(t, s)
	pub := b.dial(packet.V50)
	pub.connect("publisher")
	pub.publishWith(&packet.Publish{Topic: "news", Payload: []byte("kept"), Retain: true})
	pub.expect("news", "kept")

	login := func(v packet.Version, id, user string) *client {
		c := b.dial(v)
		c.connectWith(&packet.Connect{ClientID: id, HasUsername: true, Username: user, Props: expires(v)})
		return c
	}
	for _, v := range []packet.Version{packet.V311, packet.V50} {
		id := fmt.Sprintf("dev%d", v)
		c := login(v, id, "u1")
		c.expect("news", "kept")
		pub.publish("inbox/"+id+"/u1", "hello", 2)
		if m := c.expect("inbox/"+id+"/u1", "hello"); m.QoS != 1 {
			t.Errorf("QoS %d", m.QoS)
		}
		c.send(&packet.Disconnect{})
		c.closed()
		pub.publish("inbox/"+id+"/u1", "while away", 1)
		c = login(v, id, "u1")
		got := map[string]bool{string(c.message().Payload): true, string(c.message().Payload): true}
		if !got["while away"] || !got["kept"] { // in any order: they come from different places
			t.Errorf("%s: %v", id, got)
		}
		if n := strings.Count(b.ctl("subscriptions", "list", "-o", "json"), "inbox/"+id); n != 1 {
			t.Errorf("%s is subscribed %d times", id, n)
		}
	}
	wide := login(packet.V50, "+", "+")
	wide.expect("news", "kept")
	pub.publish("inbox/dev5/u1", "not for all", 1)
	if got := wide.ping(); len(got) != 0 {
		t.Errorf("a client named + got %v", got)
	}
	b.refused("subscription", "[config]\n1.topic = 'a#'\n", "1.topic = \"a#\": not a topic filter")
}

// expires keeps the session of a 5.0 client for a minute.
func expires(v packet.Version) packet.Props {
	if v != packet.V50 {
		return nil
	}
	return packet.AppendUint32Prop(nil, packet.PropSessionExpiry, 60)
}

// TestDelayedModule: messages wait for their time over kill -9, the access rules are
// asked about the topic behind $delayed, and what cannot be taken is told.
func TestDelayedModule(t *testing.T) {
	t.Parallel()
	s := module("delayed", "[plugin]\ngrant = [\"schedule\"]\n[config]\nmax_delayed_messages = 4\n")
	s.plugins = []string{"acl", "delayed", "retainer"}
	for name, text := range withRules(t, "{deny, all, publish, [\"closed/#\"]}.\n{allow, all}.\n") {
		s.etc[name] = text
	}
	b := start(t, s)
	sub := b.dial(v5)
	sub.resume("listener")
	sub.subscribe("#", 2)

	pub := b.dial(v5)
	pub.connect("publisher")
	code := func(topic string, qos byte) packet.ReasonCode {
		t.Helper()
		pub.publishWith(&packet.Publish{Topic: topic, Payload: []byte(topic), QoS: qos, Retain: strings.HasSuffix(topic, "kept")})
		for {
			switch p := pub.read().(type) {
			case nil:
				t.Fatal("the broker has closed")
			case *packet.Ack:
				if err := pub.answer(p); err != nil {
					t.Fatal(err)
				}
				if p.Kind == packet.TypePuback || p.Kind == packet.TypePubrec {
					return p.Code
				}
			}
		}
	}
	for topic, want := range map[string]packet.ReasonCode{
		"$delayed/0/closed/a": packet.NotAuthorized, "$delayed/1/$delayed/1/closed/a": packet.NotAuthorized, "$delayed/soon/open/a": packet.TopicNameInvalid,
	} {
		if got := code(topic, 1); got != want {
			t.Errorf("%s: %v, want %v", topic, got, want)
		}
	}
	for _, topic := range []string{"$delayed/4/open/second", "$delayed/2/open/first", "$delayed/4/open/kept", "$delayed/4000000/open/never"} {
		if got := code(topic, 1+byte(len(topic)%2)); got != packet.Success {
			t.Errorf("%s: %v", topic, got)
		}
	}
	if got := code("$delayed/4/open/much", 1); got != packet.QuotaExceeded {
		t.Errorf("one more than may wait: %v", got)
	}
	if n := b.ctl("broker", "stats"); !strings.Contains(n, "delayed.count") {
		t.Errorf("no figure:\n%s", n)
	}
	b.kill()
	b.run()
	sub = b.dial(v5)
	if !sub.resume("listener").SessionPresent {
		t.Fatal("the session is gone")
	}
	for _, want := range []string{"open/first", "open/second", "open/kept"} {
		if m := sub.message(); m.Topic != want || !strings.HasSuffix(string(m.Payload), want) {
			t.Errorf("%s %s, want %s", m.Topic, m.Payload, want)
		}
	}
	late := b.dial(v5)
	late.connect("late")
	late.subscribe("open/#", 0)
	if m := late.expect("open/kept", "$delayed/4/open/kept"); !m.Retain {
		t.Error("the retain flag is lost")
	}
	if got := sub.ping(); len(got) != 0 {
		t.Errorf("more came: %v", got)
	}
}
