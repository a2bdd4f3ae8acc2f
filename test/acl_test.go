package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// shippedACL is what the operator gets: etc/acl.conf and etc/plugins/acl.toml.
func shippedACL(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"etc/acl.conf", "etc/plugins/acl.toml"} {
		text, err := os.ReadFile(filepath.Join(repo, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	return files
}

// withRules is the shipped configuration with other rules.
func withRules(t *testing.T, rules string) map[string]string {
	files := shippedACL(t)
	files["etc/acl.conf"] = rules
	return files
}

// codes subscribes and returns the codes of the SUBACK.
func (c *client) codes(filters ...string) []packet.ReasonCode {
	c.t.Helper()
	c.next++
	p := &packet.Subscribe{PacketID: c.next}
	for _, f := range filters {
		p.Filters = append(p.Filters, packet.Filter{Filter: f})
	}
	c.send(p)
	for {
		if s, ok := c.read().(*packet.Suback); ok {
			return s.Codes
		}
	}
}

// puback publishes with QoS 1 and returns the code of the PUBACK.
func (c *client) puback(topic string) packet.ReasonCode {
	c.t.Helper()
	c.next++
	c.send(&packet.Publish{Topic: topic, QoS: 1, PacketID: c.next, Payload: []byte("x")})
	for {
		if a, ok := c.read().(*packet.Ack); ok && a.Kind == packet.TypePuback {
			return a.Code
		}
	}
}

// TestShippedACL: with the rules that ship a client on this machine may do all.
func TestShippedACL(t *testing.T) {
	b := start(t, setup{plugins: []string{"acl", "retainer", "presence"}, etc: shippedACL(t)})
	c := b.dial(v5)
	c.connect("explorer")
	for i, code := range c.codes("#", "$SYS/#", "$share/g/a/#") {
		if code.Failed() {
			t.Errorf("filter %d: %v", i, code)
		}
	}
	if code := c.puback("a/b"); code.Failed() {
		t.Errorf("publish: %v", code)
	}
}

// TestACLRules: rules decide by user and client, for each version of the
// protocol; the plugin is called once for a connection.
func TestACLRules(t *testing.T) {
	const rules = `%% of the test
{allow, {user, "admin"}, pubsub, ["#"]}.
{allow, all, pubsub, ["u/%u/#", "c/%c/#"]}.
{deny, all, subscribe, [{eq, "open/#"}]}.
{allow, all, pubsub, ["open/#"]}.
{deny, all}.
`
	b := start(t, setup{plugins: []string{"acl"}, etc: withRules(t, rules)})
	for _, v := range []packet.Version{v311, v5} {
		c := b.dial(v)
		c.connectWith(&packet.Connect{ClientID: "dev", CleanStart: true, HasUsername: true, Username: "ann"})
		got := c.codes("u/ann/#", "c/dev/x", "u/bob/#", "open/#", "open/+", "secret", "$share/g/u/ann/x")
		for i, denied := range []bool{false, false, true, true, false, true, false} {
			if got[i].Failed() != denied {
				t.Errorf("%v: filter %d: %v", v, i, got[i])
			}
		}
		c.close()
	}
	c := b.dial(v5)
	c.connectWith(&packet.Connect{ClientID: "dev", CleanStart: true, HasUsername: true, Username: "ann"})
	before := b.pluginStatus("acl").Calls
	for range 50 {
		if code := c.puback("u/ann/t"); code.Failed() {
			t.Fatalf("publish: %v", code)
		}
		if code := c.puback("u/bob/t"); code != packet.NotAuthorized {
			t.Fatalf("publish: %v", code)
		}
	}
	if n := b.pluginStatus("acl").Calls - before; n != 1 {
		t.Errorf("%d calls for 100 messages of one connection", n)
	}
}

// TestACLReload: new rules hold at once for connected clients; a broken file is
// refused with its place and the old rules stay.
func TestACLReload(t *testing.T) {
	b := start(t, setup{plugins: []string{"acl"}, etc: withRules(t, "{allow, all}.\n")})
	c := b.dial(v5)
	c.connect("stays")
	write := func(rules string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(b.home, "etc/acl.conf"), []byte(rules), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if code := c.puback("a"); code.Failed() {
		t.Fatalf("publish: %v", code)
	}
	write("{deny, all, publish, [\"a\"]}.\n{allow, all}.\n")
	b.ctl("plugins", "reload", "acl")
	if code := c.puback("a"); code != packet.NotAuthorized {
		t.Errorf("publish after the reload: %v", code)
	}
	write("{allow, all}.\n{deny, all, publish, [a]}.\n")
	out, err := b.tryCtl("plugins", "reload", "acl")
	if err == nil || !strings.Contains(out, "acl.conf:2:23: want a topic in double quotes") {
		t.Errorf("a broken file: %v\n%s", err, out)
	}
	if code := c.puback("a"); code != packet.NotAuthorized {
		t.Errorf("publish after a refused reload: %v", code)
	}
	if code := c.puback("b"); code.Failed() {
		t.Errorf("publish of something else: %v", code)
	}
	if err := os.Remove(filepath.Join(b.home, "etc/acl.conf")); err != nil {
		t.Fatal(err)
	}
	if out, err := b.tryCtl("plugins", "reload", "acl"); err == nil || !strings.Contains(out, "acl.conf") {
		t.Errorf("a missing file: %v\n%s", err, out)
	}
	if code := c.puback("a"); code != packet.NotAuthorized {
		t.Errorf("publish after the file is gone: %v", code)
	}
}

// TestACLDisconnects: acl_deny_action says what a denied client sees.
func TestACLDisconnects(t *testing.T) {
	b := start(t, setup{plugins: []string{"acl"}, etc: withRules(t, "{deny, all, publish, [\"a\"]}. {allow, all}."),
		config: "[mqtt]\nacl_deny_action = \"disconnect\"\n"})
	c := b.dial(v5)
	c.connect("gone")
	c.publish("a", "x", 0)
	if code := c.closed(); code != packet.NotAuthorized {
		t.Errorf("closed with %v", code)
	}
}
