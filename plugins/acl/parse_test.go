//go:build !wasip1

package main

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// one reads a single rule.
func one(t *testing.T, src string) rule {
	t.Helper()
	rules, faults := parse(src)
	if len(faults) != 0 || len(rules) != 1 {
		t.Fatalf("%s: %d rules, faults %v", src, len(rules), faults)
	}
	return rules[0]
}

// show writes a rule so that its addresses can be read.
func show(r rule) string {
	who := fmt.Sprint(r.who)
	if n, ok := r.who.(nets); ok {
		who = fmt.Sprint([]netip.Prefix(n))
	}
	return fmt.Sprint("{", r.allow, " ", who, " ", r.publish, " ", r.subscribe, " ", r.everything, " ", r.topics, "}")
}

// Every form of emqx4 §5.1.
func TestForms(t *testing.T) {
	for src, want := range map[string]string{
		`{allow, all}.`:                                                        "{true {} true true true []}",
		"{deny,all}.":                                                          "{false {} true true true []}",
		`{allow, all, publish, ["a"]}.`:                                        `{true {} true false false [{a false false}]}`,
		`{deny, all, subscribe, ["a/+", "#"]}.`:                                `{false {} false true false [{a/+ false false} {# false false}]}`,
		`{allow, all, pubsub, <<"a">>}.`:                                       `{true {} true true false [{a false false}]}`,
		`{allow, all, pubsub, [<<"a/é"/utf8>>]}.`:                              `{true {} true true false [{a/é false false}]}`,
		`{allow, all, pubsub, []}.`:                                            `{true {} true true false []}`,
		`{allow, {user, "u"}, publish, ["a"]}.`:                                `{true u true false false [{a false false}]}`,
		`{allow, {user, <<"u">>}, publish, ["a"]}.`:                            `{true u true false false [{a false false}]}`,
		`{allow, {user, all}, publish, ["a"]}.`:                                `{true {} true false false [{a false false}]}`,
		`{allow, {client, "c"}, publish, ["a"]}.`:                              `{true c true false false [{a false false}]}`,
		`{allow, {client, all}, publish, ["a"]}.`:                              `{true {} true false false [{a false false}]}`,
		`{allow, {ipaddr, "127.0.0.1"}, publish, ["a"]}.`:                      `{true [127.0.0.1/32] true false false [{a false false}]}`,
		`{allow, {ipaddr, "10.1.2.3/8"}, publish, ["a"]}.`:                     `{true [10.0.0.0/8] true false false [{a false false}]}`,
		`{allow, {ipaddr, "2001:db8::/32"}, publish, ["a"]}.`:                  `{true [2001:db8::/32] true false false [{a false false}]}`,
		`{allow, {ipaddrs, ["::1", "10.0.0.0/8"]}, publish, ["a"]}.`:           `{true [::1/128 10.0.0.0/8] true false false [{a false false}]}`,
		`{allow, {'and', [{user, "u"}, {client, "c"}]}, publish, ["a"]}.`:      `{true [u c] true false false [{a false false}]}`,
		`{allow, {'or', [{user, "u"}, {'and', [all, all]}]}, publish, ["a"]}.`: `{true [u [{} {}]] true false false [{a false false}]}`,
		`{allow, all, publish, ["u/%u/%c", "x%u", {eq, "a/#"}, {eq, "%c"}]}.`:  `{true {} true false false [{u/%u/%c false true} {x%u false false} {a/# true false} {%c true false}]}`,
		"%% c\n{allow, % why\n\tall}\n  . % end":                               "{true {} true true true []}",
		`{'allow', 'all', 'publish', ["a\"b\\c\x{e9}\s"]}.`:                    `{true {} true false false [{a"b\cé  false false}]}`,
		"\xef\xbb\xbf{allow, all}.":                                            "{true {} true true true []}",
		`{allow, {ipaddr, "::ffff:192.0.2.1"}, publish, ["$SYS/#"]}.`:          `{true [192.0.2.1/32] true false false [{$SYS/# false false}]}`,
	} {
		if got := show(one(t, src)); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", src, got, want)
		}
	}
}

// A fault says where it is and what would be right; there are no rules then.
func TestFaults(t *testing.T) {
	for src, want := range map[string]string{
		"":                                                "1:1: there is no rule",
		"% only a comment\n":                              "1:1: there is no rule",
		"{allow, all}":                                    "1:13: want a full stop after the rule, found the end of the file",
		"{allow, all}\n{deny, all}.":                      "2:1: want a full stop after the rule, found '{'",
		"{allow, all}.\n{alow, all}.":                     "2:2: want allow or deny",
		"{allow all}.":                                    "1:8: want ',' or '}', found 'a'",
		"{allow, everybody}.":                             "1:9: want all, or three terms",
		"{allow, all, publish}.":                          "1:1: want {allow, Who, Access, Topics}",
		"allow.":                                          "1:1: want {allow, Who, Access, Topics}",
		`{allow, all, pub, ["a"]}.`:                       "1:14: want publish, subscribe or pubsub",
		`{allow, all, publish, "a"}.`:                     "1:23: want a list of topics",
		`{allow, all, publish, [a]}.`:                     "1:24: want a topic in double quotes",
		`{allow, all, publish, ["$share/g/a"]}.`:          "1:24: shared subscriptions are compared without",
		`{allow, all, publish, ["a#"]}.`:                  `1:24: "a#" is not a topic filter`,
		`{allow, all, publish, [""]}.`:                    `1:24: "" is not a topic filter`,
		`{allow, all, publish, [{eq, "a/#/b"}]}.`:         `1:29: "a/#/b" is not a topic filter`,
		`{allow, all, publish, ["a/%cna"]}.`:              "1:24: %cna is not known here",
		`{allow, {usr, "u"}, publish, ["a"]}.`:            `1:10: want all, {user, "name"}`,
		`{allow, {clientid, "u"}, publish, ["a"]}.`:       "1:10: want client",
		`{allow, {user, u}, publish, ["a"]}.`:             "1:16: want all, or a text",
		`{allow, nobody, publish, ["a"]}.`:                "1:9: want all, {user",
		`{allow, {and, [all]}, publish, ["a"]}.`:          "1:10: want 'and' in single quotes",
		`{allow, {'and', []}, publish, ["a"]}.`:           "1:17: want a list of conditions",
		`{allow, {'or', all}, publish, ["a"]}.`:           "1:16: want a list of conditions",
		`{allow, {ipaddrs, []}, publish, ["a"]}.`:         "1:19: want a list of addresses",
		`{allow, {ipaddr, "10.0.0/8"}, publish, ["a"]}.`:  "1:18: want an address",
		`{allow, {ipaddr, "fe80::1%eth0"}, publish, []}.`: "1:18: want an address",
		`{allow, {ipaddr, "10.0.0.0/33"}, publish, []}.`:  "1:18: want an address",
		"{allow, all, publish, [\"a]}.\n{allow, all}.":    `1:24: the closing " is missing`,
		`{allow, all, publish, ["a\q"]}.`:                 `1:26: unknown escape \q`,
		`{allow, all, publish, ["a\x{zz}"]}.`:             `1:26: want \x{...}`,
		`{allow, all, publish, [<<a>>]}.`:                 "1:26: want a text after <<, found 'a'",
		`{allow, all, publish, [<<"a">]}.`:                "1:29: want '>>', found '>'",
		"{allow, all}.\n{deny, All}.":                     "2:8: want a term, found 'A'",
		"{allow, all}. \xff":                              "1:15: want a term, found '�'",
	} {
		rules, faults := parse(src)
		if rules != nil || len(faults) == 0 {
			t.Errorf("%s: %d rules", src, len(rules))
			continue
		}
		if got := place(src, faults[0].at) + ": " + faults[0].text; !strings.HasPrefix(got, want) {
			t.Errorf("%s\ngot  %s\nwant %s", src, got, want)
		}
	}
	deep := "{allow, " + strings.Repeat("{'or', [", 40) + "all" + strings.Repeat("]}", 40) + ", publish, [\"a\"]}."
	if _, faults := parse(deep); len(faults) != 1 || !strings.Contains(faults[0].text, "too deeply") {
		t.Errorf("%v", faults)
	}
	if _, faults := parse(strings.Repeat(" ", maxText+1)); len(faults) != 1 || !strings.Contains(faults[0].text, "longer") {
		t.Errorf("%v", faults)
	}
}

// All faults of a file are told at once, up to a bound.
func TestAllFaultsAtOnce(t *testing.T) {
	a := &ACL{}
	err := a.Configure([]byte(`{"rules":"{alow, all}.\n{deny, all, pub, [\"a#\"]}.\n{allow, all}.","name":"x.conf"}`))
	if err == nil || err.Error() != "x.conf:1:2: want allow or deny\nx.conf:2:13: want publish, subscribe or pubsub\nx.conf:2:19: \"a#\" is not a topic filter" {
		t.Errorf("error %v", err)
	}
	err = a.Configure([]byte(`{"rules":"` + strings.Repeat("x. ", 50) + `"}`))
	if err == nil || !strings.HasSuffix(err.Error(), "\nand 30 more") || a.rules != nil {
		t.Errorf("error %v", err)
	}
	for _, config := range []string{`{"rules":7}`, `{"nam":"x"}`, `{}`, `[]`} {
		if a.Configure([]byte(config)) == nil {
			t.Errorf("%s was taken", config)
		}
	}
}

// The file that ships parses.
func TestShippedFile(t *testing.T) {
	text, err := os.ReadFile("../../etc/acl.conf")
	if err != nil {
		t.Fatal(err)
	}
	if rules, faults := parse(string(text)); len(rules) != 4 || len(faults) != 0 {
		t.Errorf("%d rules, faults %v", len(rules), faults)
	}
}

// No text breaks the parser, and a text with faults has no rules.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("../../etc/acl.conf")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{
		string(text), `{allow, {'and', [{user, <<"u">>}, {ipaddr, "10.0.0.0/8"}]}, pubsub, [{eq, "a/%c"}, "%u/#"]}.`, "{allow", "<<\"", `"\x{`, "'", "{}.", "[].", "%",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		rules, faults := parse(src)
		if (len(rules) == 0) == (len(faults) == 0) {
			t.Fatalf("%d rules and %d faults", len(rules), len(faults))
		}
		for _, f := range faults {
			if f.at < 0 || f.at > len(src) {
				t.Fatalf("fault at %d of %d", f.at, len(src))
			}
			place(src, f.at)
		}
		c := client{id: "+", username: "a/b", named: true}
		compile(nil, rules, &c)
	})
}
