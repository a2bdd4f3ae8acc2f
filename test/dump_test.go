package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// dump runs `dunlin store dump` and returns its lines, and its exit code with what it said otherwise.
func (b *broker) dump(args ...string) (lines []map[string]any, code int, said string) {
	b.t.Helper()
	cmd := b.dunlin(append([]string{"store", "dump"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			b.t.Fatalf("%q: %v", line, err)
		}
		lines = append(lines, m)
	}
	return lines, code, errs.String()
}

// brief is the fields of a line that tell it from others.
func brief(m map[string]any) string {
	var words []string
	for _, key := range []string{"kind", "client", "plugin", "place", "packet_id", "topic", "filter", "qos", "qos_delivered", "subscription_id", "delay_s", "as", "who", "bytes", "base64"} {
		if v, ok := m[key]; ok {
			words = append(words, fmt.Sprint(v))
		}
	}
	return strings.Join(words, " ")
}

func briefs(lines []map[string]any) (all []string) {
	for _, m := range lines {
		all = append(all, brief(m))
	}
	return all
}

// sums are the checksums of all files below dir.
func sums(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		p, err := os.ReadFile(path)
		m[path] = fmt.Sprintf("%x", sha256.Sum256(p))
		return err
	})
	if err != nil || len(m) == 0 {
		t.Fatalf("%s has %d files, %v", dir, len(m), err)
	}
	return m
}

// TestStoreDump: what a killed node has on its disk is written as it is, without the payloads unless they are asked for, and nothing
// on the disk is changed; the same of a backup; not under a running node.
func TestStoreDump(t *testing.T) {
	s := module("delayed", "[plugin]\ngrant = [\"schedule\"]\n")
	s.plugins, s.config = []string{"retainer", "delayed"}, quietSys
	b := start(t, s)
	away := b.dial(v5)
	away.connectWith(&packet.Connect{ClientID: "away", Username: "u", HasUsername: true, KeepAlive: 60, Will: &packet.Will{
		Topic: "gone", Payload: []byte("last words"), QoS: 1, Props: packet.AppendUint32Prop(nil, packet.PropWillDelay, 3000),
	}, Props: packet.AppendUint32Prop(nil, packet.PropSessionExpiry, 7200)})
	away.subscribeWith(packet.Filter{Filter: "$share/g/none/#", QoS: 1})
	away.subscribe("log/#", 2)
	pub := b.dial(v5)
	pub.connect("pub")
	// Two messages of QoS 2 are under way to the client: it has the first.
	pub.publishSync(&packet.Publish{Topic: "log/1", Payload: []byte("one"), QoS: 2})
	pub.publishSync(&packet.Publish{Topic: "log/2", Payload: []byte("secret"), QoS: 2})
	for id := uint16(0); id == 0; {
		if p, ok := away.read().(*packet.Publish); ok {
			id = p.PacketID
			away.send(&packet.Ack{Kind: packet.TypePubrec, PacketID: id})
		}
	}
	for rel := false; !rel; {
		k, ok := away.read().(*packet.Ack)
		rel = ok && k.Kind == packet.TypePubrel
	}
	away.send(&packet.Publish{Topic: "x", QoS: 2, PacketID: 77})
	for rec := false; !rec; {
		k, ok := away.read().(*packet.Ack)
		rec = ok && k.Kind == packet.TypePubrec
	}
	pub.publishSync(&packet.Publish{Topic: "kept", Payload: []byte("retained"), QoS: 1, Retain: true})
	pub.publishSync(&packet.Publish{Topic: "$delayed/3600/later", Payload: []byte("delayed"), QoS: 1})
	b.ctl("banned", "add", "clientid", "rogue", "--reason", "noisy")
	backup := filepath.Join(b.home, "backup")
	b.ctl("store", "backup", backup)
	if _, code, said := b.dump(); code != 1 || !strings.Contains(said, "stop it first") {
		t.Errorf("under a running node: %d, %s", code, said)
	}
	if _, code, said := b.dump(filepath.Join(b.home, "data", "store")); code != 1 || said == "" {
		t.Errorf("of the directory of a running node: %d, %s", code, said)
	}
	pub.publishSync(&packet.Publish{Topic: "log/3", Payload: []byte("later"), QoS: 1})
	b.kill()

	dir := filepath.Join(b.home, "data", "store")
	before := sums(t, dir)
	session := []string{
		"session away",
		"will away gone 1 3000 10",
		"subscription away $share/g/none/# 1", "subscription away log/# 2",
		"received away 1", "queued away 2 log/2 2 2 6", "queued away 3 log/3 1 1 5",
		"inbound away 77",
	}
	rest := []string{"retained kept 1 8", "delayed delayed later 1 7", "ban clientid rogue"}
	same := func(what string, lines []map[string]any, want []string) {
		t.Helper()
		if got := briefs(lines); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	lines, code, said := b.dump()
	if code != 0 || said != "" {
		t.Errorf("exit code %d, %s", code, said)
	}
	same("all", lines, append(slices.Clone(session), rest...))
	if m := lines[0]; m["expiry_s"] != 7200.0 || m["zone"] != "external" || m["durability"] != "async" || m["username"] != "u" || m["left_at"] != nil || m["created_at"] == nil {
		t.Errorf("the session: %v", m)
	}
	if m := lines[5]; m["from"] != "pub" || m["published_at"] == nil || m["base64"] != nil {
		t.Errorf("a message: %v", m)
	}
	lines, _, _ = b.dump("--client", "away")
	same("of the client", lines, session)
	lines, code, _ = b.dump("--client", "nobody")
	same("of nobody", lines, nil)
	if code != 0 {
		t.Errorf("of nobody: exit code %d", code)
	}
	lines, _, _ = b.dump("--kind", "queued,retained", "--kind", "will", "--payloads")
	in := func(s string) string { return " " + base64.StdEncoding.EncodeToString([]byte(s)) }
	same("with payloads", lines, []string{session[1] + in("last words"), session[5] + in("secret"), session[6] + in("later"), rest[0] + in("retained")})
	if _, code, said := b.dump("--kind", "sessions"); code != 2 || !strings.Contains(said, "session, will") {
		t.Errorf("an unknown kind: %d, %s", code, said)
	}
	lines, code, said = b.dump(backup)
	if code != 0 {
		t.Errorf("of a backup: %d, %s", code, said)
	}
	same("of a backup", lines, append(append(append([]string{}, session[:6]...), session[7]), rest[:2]...))
	if _, code, said := b.dump(b.home); code != 1 || !strings.Contains(said, "FORMAT") {
		t.Errorf("of a directory that is no store: %d, %s", code, said)
	}
	if after := sums(t, dir); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Error("the store is not what it was")
	}
	private(t, backup)

	b.run()
	away = b.dial(v5)
	if k := away.resume("away"); !k.SessionPresent {
		t.Error("the session is gone")
	}
	away.expect("log/2", "secret")
	away.expect("log/3", "later")
}
