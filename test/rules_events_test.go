package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// TestRulesOfAnswers: rules see how CONNECTs are answered and what access rules decide,
// and only while one names the event.
func TestRulesOfAnswers(t *testing.T) {
	t.Parallel()
	s := ruleFiles(t, map[string]string{"answers.toml": `
[rule.connack]
sql = 'SELECT clientid, reason_code FROM "$events/client_connack"'
[[rule.connack.action]]
name = "republish"
params = { target_topic = "said", target_qos = 1, payload_tmpl = "connack ${clientid} ${reason_code}" }

[rule.checked]
sql = """SELECT * FROM "$events/client_check_acl_complete" WHERE clientid = 'dev' and action = 'publish'"""
[[rule.checked.action]]
name = "republish"
params = { target_topic = "said", target_qos = 1, payload_tmpl = "acl ${topic} ${result} ${is_cache}" }
`})
	for name, text := range withRules(t, "{deny, {client, \"dev\"}, publish, [\"secret\"]}.\n{allow, all}.\n") {
		s.etc[name] = text
	}
	s.plugins = []string{"acl", "rule_engine"}
	b := start(t, s)
	watch := b.dial(v5)
	watch.connect("watch")
	watch.subscribe("said", 1)
	expect := func(want string) {
		t.Helper()
		for {
			if got := string(watch.message().Payload); got == want {
				return
			} else if !strings.HasPrefix(got, "connack watch") {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
	nobody := b.dial(v311)
	if ack, err := nobody.tryConnect(&packet.Connect{CleanStart: false}); err != nil || ack.Code == packet.Success {
		t.Fatalf("%v, %v", ack, err)
	}
	expect("connack  client_identifier_not_valid")
	dev := b.dial(v5)
	dev.connect("dev")
	expect("connack dev success")
	for i, topic := range []string{"secret", "open", "secret"} {
		if code := dev.puback(topic); code.Failed() != (topic == "secret") {
			t.Errorf("%s: %v", topic, code)
		}
		// The plugin acl answers by a permission list, which is no cache.
		expect([]string{"acl secret deny false", "acl open allow false", "acl secret deny false"}[i])
	}
	if err := os.Remove(filepath.Join(b.home, "etc/rules/answers.toml")); err != nil {
		t.Fatal(err)
	}
	b.eventually("no rule is left", func() bool { return !strings.Contains(b.ctl("rules", "list", "-o", "json"), "checked") })
	dev.puback("open")
	for _, p := range watch.ping() {
		t.Errorf("then %s", p.Payload)
	}
}
