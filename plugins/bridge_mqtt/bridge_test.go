//go:build !wasip1

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"

	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
)

func routesOf(t *testing.T, text string) []route {
	t.Helper()
	var list []route
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if err := list[i].check(); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// Topics change their prefixes; the first line that matches counts.
func TestRoutes(t *testing.T) {
	rs := routesOf(t, `[{"filter":"a/#","local_prefix":"here/","remote_prefix":"there/","qos":2},{"filter":"b/+","direction":"in","remote_prefix":"r/"},
		{"filter":"c","direction":"both","qos":0},{"filter":"","local_prefix":"one","remote_prefix":"two"},{"filter":"#","local_prefix":"here/","qos":0}]`)
	for _, tc := range []struct{ from, out, in string }{
		{"here/a/x", "there/a/x 2", ""}, {"here/a", "there/a 2", ""}, {"a/x", "", ""}, {"here/z", "z 0", ""}, {"there/a/x", "", ""}, {"r/b/x", "", "b/x 1"},
		{"b/x", "", ""}, {"c", "c 0", "c 0"}, {"one", "two 1", ""}, {"two", "", ""}, {"$SYS/x", "", ""},
	} {
		say := func(topic string, qos byte, ok bool) string {
			if !ok {
				return ""
			}
			return fmt.Sprintf("%s %d", topic, qos)
		}
		if got := say(outward(rs, tc.from)); got != tc.out {
			t.Errorf("out %s: %q, want %q", tc.from, got, tc.out)
		}
		if got := say(inward(rs, tc.from)); got != tc.in {
			t.Errorf("in %s: %q, want %q", tc.from, got, tc.in)
		}
	}
}

// Faults name the bridge and what is wrong with it.
func TestFaults(t *testing.T) {
	const good = `"address":"tcp://h","topics":[{"filter":"a"}]`
	for keys, want := range map[string]string{
		`"topics":[{"filter":"a"}]`:                                          "address",
		`"address":"http://h","topics":[{"filter":"a"}]`:                     "want tcp:// or ssl://",
		`"address":"tcp://h"`:                                                "topics is missing",
		`"address":"tcp://h","topics":[{"filter":"a#"}]`:                     "not a topic filter",
		`"address":"tcp://h","topics":[{"filter":"a","qos":3}]`:              "qos = 3",
		`"address":"tcp://h","topics":[{"filter":"$share/g/a"}]`:             "share",
		`"address":"tcp://h","topics":[{"filter":"a","direction":"up"}]`:     "direction",
		`"address":"tcp://h","topics":[{"filter":"a","remote_prefix":"+/"}]`: "wildcards",
		good + `,"protocol":"3.1"`:                                           "protocol",
		good + `,"connections":2`:                                            "share",
		good + `,"connections":65,"share":"g"`:                               "connections = 65",
		good + `,"max_inflight":70000`:                                       "max_inflight",
		good + `,"queue_full":"deny"`:                                        "queue_full",
		good + `,"queue_bytes":10`:                                           "queue_bytes",
		good + `,"reconnect_min":"2m"`:                                       "reconnect_min",
		good + `,"keepalive":"10ms"`:                                         "keepalive",
		good + `,"keepalive":"soon"`:                                         "not a time span",
		good + `,"ca_file":"ca.pem"`:                                         "ssl://",
		`"address":"ssl://h","ca_file":"none","topics":[{"filter":"a"}]`:     "ca_file",
		good + `,"addresses":["tcp://g","ftp://x"]`:                          "addresses = \"ftp://x\"",
		good + `,"colour":1`:                                                 "colour",
	} {
		_, err := parse([]byte(`{"bridges":{"far":{`+keys+`}}}`), "n", t.TempDir())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", keys, err, want)
		}
	}
	all, err := parse([]byte(`{"bridges":{"far":{"address":"ssl://[::1]","topics":[{"filter":"a"}]}}}`), "node@h", "")
	if err != nil {
		t.Fatal(err)
	}
	if s := all["far"]; s.targets[0].network != "[::1]:8883" || s.targets[0].tls.ServerName != "::1" || s.ClientID != "node@h.far" || s.version != packet.V50 || !*s.Start || *s.Topics[0].QoS != 1 {
		t.Errorf("%+v", s)
	}
}

// A message comes out of the queue as it went in; damaged bytes are told.
func TestRecord(t *testing.T) {
	n, rest := passed(packet.AppendUserProp(packet.AppendUserProp(nil, hops, "2"), "k", "v"))
	props := hop(rest, n+1)
	m := outgoing{topic: "a/b", payload: []byte("hello"), props: props, expiry: time.Now().Add(10 * time.Second).UnixNano(), qos: 2, retain: true}
	b := m.record()
	got, err := read(b)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(m) {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range len(b) - len(m.payload) {
		if _, err := read(b[:n]); !errors.Is(err, errRecord) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	p, ok := got.publish(packet.V50, time.Now())
	left, _ := p.Props.Uint32(packet.PropMessageExpiry)
	if u := p.Props.UserProperties(); !ok || left < 9 || left > 10 || len(u) != 2 || u[0] != [2]string{"k", "v"} || u[1] != [2]string{hops, "3"} {
		t.Errorf("%v %d %v", ok, left, p.Props.UserProperties())
	}
	if p, ok := got.publish(packet.V311, time.Now()); !ok || p.Props != nil || !p.Retain || p.QoS != 2 {
		t.Errorf("3.1.1: %+v", p)
	}
	if _, ok := got.publish(packet.V50, time.Now().Add(time.Minute)); ok {
		t.Error("it has expired")
	}
}

func FuzzRead(f *testing.F) {
	m := outgoing{topic: "t", payload: []byte("p"), qos: 1}
	f.Add(m.record())
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := read(b); err == nil {
			if again, err := read(m.record()); err != nil || again.topic != m.topic || string(again.payload) != string(m.payload) {
				t.Errorf("%x: %+v, %v", b, again, err)
			}
		}
	})
}

// What comes in loses what belongs to the connection, and stops after too many hops.
func TestInward(t *testing.T) {
	s := &settings{Address: "tcp://h", Topics: routesOf(t, `[{"filter":"a/#","direction":"in","qos":1,"local_prefix":"l/"}]`), MaxHops: 3}
	b := newBridge("far", s)
	props := packet.AppendVarintProp(packet.AppendUserProp(nil, "k", "v"), packet.PropSubscriptionID, 7)
	m := b.inward(&packet.Publish{Topic: "a/x", Payload: []byte("p"), QoS: 2, Retain: true, Props: packet.AppendUint32Prop(props, packet.PropMessageExpiry, 5)})
	if m == nil || m.Topic != "l/a/x" || m.QoS != 1 || !m.Retain || m.Expiry != 5*time.Second || string(m.Props) != string(packet.AppendUserProp(nil, "k", "v")) {
		t.Errorf("%+v", m)
	}
	for n, want := range map[string]bool{"0": true, "2": true, "3": false, "99": false, "x": true} {
		m := b.inward(&packet.Publish{Topic: "a/x", Props: packet.AppendUserProp(nil, hops, n)})
		if (m != nil) != want {
			t.Errorf("%s hops: %+v", n, m)
		}
	}
	if b.inward(&packet.Publish{Topic: "other"}) != nil || b.count.looped.Load() != 2 {
		t.Errorf("%d went round", b.count.looped.Load())
	}
}

// mosquitto's connection blocks become configuration that this plugin takes.
func TestImport(t *testing.T) {
	text, notes, err := fromMosquitto(`
listener 1883
# a comment
connection cloud
address broker.example:8883
topic sensors/# out 1 "" site1/
topic commands/# in 2 local/ ""
topic plain
bridge_cafile /etc/ca.crt
bridge_insecure true
remote_username me
remote_password it's secret
remote_clientid site1
cleansession false
keepalive_interval 30
restart_timeout 5 30
start_type lazy
try_private false
bridge_attempt_unsubscribe false
connection second
addresses 192.0.2.1 192.0.2.2:1884
bridge_protocol_version mqttv50
notifications false
topic # both
`)
	if err != nil {
		t.Fatal(err)
	}
	want := `[config.bridges.'cloud']
address = 'ssl://broker.example:8883'
protocol = "3.1.1"
client_id = 'site1'
username = 'me'
presence = '$SYS/broker/connection/cloud/state'
ca_file = '/etc/ca.crt'
insecure = true
password = "it's secret"
clean = false
keepalive = "30s"
reconnect_min = "5s"
reconnect_max = "30s"
start = false
bridge_mode = false
topics = [
  {filter = 'sensors/#', direction = "out", qos = 1, local_prefix = '', remote_prefix = 'site1/'},
  {filter = 'commands/#', direction = "in", qos = 2, local_prefix = 'local/', remote_prefix = ''},
  {filter = 'plain', direction = "out", qos = 0, local_prefix = '', remote_prefix = ''},
]

[config.bridges.'second']
address = 'tcp://192.0.2.1:1883'
addresses = ['tcp://192.0.2.2:1884']
protocol = "5.0"
topics = [
  {filter = '#', direction = "both", qos = 0, local_prefix = '', remote_prefix = ''},
]

`
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if got := strings.Join(notes, "\n"); len(notes) != 2 || !strings.Contains(got, "lazy") || !strings.Contains(got, "bridge_attempt_unsubscribe") {
		t.Errorf("notes:\n%s", got)
	}
	for text, want := range map[string]string{
		"listener 1883\n": "no connection block", "connection x\n": "has no address", "connection x\naddress h\ntopic a out 7\n": "qos",
		"connection x\naddress h\n": "has no topic", "connection x\naddress h\ntopic a b c d e f\n": "line 3", "connection x\nkeepalive_interval soon\n": "line 2", "connection x\nbridge_protocol_version 6\n": "line 2",
	} {
		if _, _, err := fromMosquitto(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// Each option of a bridge in mosquitto.conf is taken over or told of, by its line.
func TestImportAllOptions(t *testing.T) {
	taken := []string{
		"bridge_cafile ca.pem", "bridge_certfile c.pem", "bridge_keyfile k.pem", "bridge_insecure false", "cleansession true", "bridge_protocol_version mqttv311",
		"keepalive_interval 60", "notifications true", "notification_topic n/t", "remote_clientid r", "remote_username u", "remote_password p",
		"restart_timeout 10", "round_robin true", "start_type automatic", "try_private true", "topic a/# both 2", "max_inflight_messages 7",
	}
	var text strings.Builder
	text.WriteString("connection all\naddresses 192.0.2.1 [2001:db8::1]:8884 broker.example\n")
	for _, line := range taken {
		text.WriteString(line + "\n")
	}
	first := strings.Count(text.String(), "\n") + 1
	keys := slices.Sorted(maps.Keys(left))
	for _, key := range keys {
		text.WriteString(key + " false\n")
	}
	text.WriteString("colour red\nlistener 1883\nmax_connections 5\n")
	out, notes, err := fromMosquitto(text.String())
	if err != nil || len(notes) != len(keys)+1 {
		t.Fatalf("%d notes for %d keys, %v:\n%s", len(notes), len(keys)+1, err, strings.Join(notes, "\n"))
	}
	for i, key := range append(keys, "colour") {
		if want := fmt.Sprintf("line %d: %s is ", first+i, key); !strings.HasPrefix(notes[i], want) {
			t.Errorf("note %q, want %q", notes[i], want)
		}
	}
	for _, want := range []string{"address = 'ssl://192.0.2.1:8883'\naddresses = ['ssl://[2001:db8::1]:8884', 'ssl://broker.example:8883']\n", "round_robin = true\n", "max_inflight = 7\n", "presence = 'n/t'\n", "clean = true\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

// A queue that is full holds up the frame, or loses the message, as the operator wants.
func TestFullQueue(t *testing.T) {
	buf, err := buffer.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = buf.Close() }()
	for full, want := range map[string]bool{"wait": true, "drop": false} {
		b := newBridge(full, &settings{QueueFull: full, Connections: 1, QueueBytes: 100})
		if b.queue, err = buf.Queue(full, 100); err != nil {
			t.Fatal(err)
		}
		p := &Plugin{tx: buf.Begin(), now: &bridges{}}
		m := outgoing{topic: "t", payload: make([]byte, 60), qos: 1}
		p.queue(b, &m)
		p.queue(b, &m)
		m.qos = 0
		p.queue(b, &m)
		err := p.AfterFrame()
		if (err != nil) != want {
			t.Errorf("%s: %v", full, err)
		}
		if n, _ := b.queue.Len(); want && n != 0 || !want && n != 1 {
			t.Errorf("%s: %d in the queue", full, n)
		}
		if err := p.AfterFrame(); err != nil {
			t.Errorf("%s: the next frame: %v", full, err)
		}
	}
}

// Commands say what is wrong with them.
func TestCommands(t *testing.T) {
	p, far := &Plugin{}, newBridge("far", &settings{Connections: 1, targets: []target{{text: "tcp://h"}}})
	p.set.Store(&bridges{named: map[string]*bridge{"far": far}, list: []*bridge{far}})
	for name, want := range map[string]error{"bridges.start": sdk.ErrDenied, "bridges.stop": sdk.ErrDenied, "bridges.none": sdk.ErrNotFound, "bridges.import": sdk.ErrInvalid} {
		if _, err := p.OnCommand(name, []byte(`{"name":"far"}`)); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.OnCommand("bridges.show", []byte(`{"name":"near"}`)); !errors.Is(err, sdk.ErrNotFound) || !strings.Contains(err.Error(), "there are: far") {
		t.Errorf("%v", err)
	}
	if _, err := p.OnCommand("bridges.list", []byte(`{`)); !errors.Is(err, sdk.ErrInvalid) {
		t.Errorf("%v", err)
	}
	var list []status
	if out, err := p.OnCommand("bridges.list", nil); err != nil || json.Unmarshal(out, &list) != nil || len(list) != 1 || list[0].State != "stopped" {
		t.Errorf("%s, %v", out, err)
	}
}

// The keys of the schema are those of the settings.
func TestSchema(t *testing.T) {
	text, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties struct {
			Bridges struct {
				AdditionalProperties struct{ Properties map[string]any }
			}
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	all, err := json.Marshal(settings{})
	if err != nil || json.Unmarshal(all, &keys) != nil {
		t.Fatal(err)
	}
	props := schema.Properties.Bridges.AdditionalProperties.Properties
	for k := range keys {
		if props[k] == nil {
			t.Errorf("the schema lacks %s", k)
		}
	}
	for k := range props {
		if _, ok := keys[k]; !ok {
			t.Errorf("the schema has %s, the settings do not", k)
		}
	}
}
