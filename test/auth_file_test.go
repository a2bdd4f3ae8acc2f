package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// shippedAuthFile is a broker with the file of auth_file that ships, and users that
// mosquitto_passwd wrote: ann with "pencil", and old with "pencil" as mosquitto
// before 2.0 kept it.
func shippedAuthFile(t *testing.T) setup {
	t.Helper()
	shipped, err := os.ReadFile(filepath.Join(repo, "etc/plugins/auth_file.toml"))
	if err != nil {
		t.Fatal(err)
	}
	s := module("auth_file", string(shipped))
	path := filepath.Join(t.TempDir(), "passwd")
	for _, args := range [][]string{{"-c", "-b", path, "ann", "pencil"}, {"-H", "sha512", "-b", path, "old", "pencil"}} {
		if out, err := exec.Command("mosquitto_passwd", args...).CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_passwd %v: %v\n%s", args, err, out)
		}
	}
	users, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.etc["etc/users"] = string(users)
	return s
}

// users runs `dunlin ctl users` with a password on its standard input and insists
// that it works.
func (b *broker) users(password string, args ...string) {
	b.t.Helper()
	cmd := b.dunlin(append([]string{"ctl", "users"}, args...)...)
	cmd.Stdin = strings.NewReader(password + "\n")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "ok\n" {
		b.t.Fatalf("ctl users %v: %v\n%s", args, err, out)
	}
}

// TestAuthFile: users of mosquitto's own file and those that ctl adds come in with
// their passwords and no others; a broken file is refused with its line and shuts
// nobody out.
func TestAuthFile(t *testing.T) {
	t.Parallel()
	s := shippedAuthFile(t)
	b := start(t, s)
	m := mosquitto{b: b, id: "tcp:external", version: v311}
	sub := m.sub(t, "-i", "s1", "-u", "ann", "-P", "pencil", "-t", "a/b")
	m.pub(t, "-i", "p1", "-u", "old", "-P", "pencil", "-t", "a/b", "-m", "hello")
	sub.expect("a/b 0 0 hello")
	m.tool = "pub"
	if out, err := m.command("-u", "ann", "-P", "pencils", "-t", "a/b", "-m", "x").CombinedOutput(); err == nil {
		t.Errorf("mosquitto_pub with a wrong password: %s", out)
	}
	wrong := func(when string) {
		t.Helper()
		for user, password := range map[string]string{"ann": "pencils", "nobody": "pencil", "": "pencil"} {
			c := b.dial(v5)
			ack := c.connectWith(&packet.Connect{ClientID: "w", CleanStart: true, HasUsername: true, Username: user, HasPassword: true, Password: []byte(password)})
			if text, _ := ack.Props.String(packet.PropReasonString); ack.Code != packet.BadUserNameOrPassword || text != "" {
				t.Errorf("%s: %q: %v %q", when, user, ack.Code, text)
			}
		}
		c := b.dial(v5)
		if ack := c.connectWith(&packet.Connect{ClientID: "w", CleanStart: true}); ack.Code != packet.NotAuthorized {
			t.Errorf("%s: anonymous: %v", when, ack.Code)
		}
	}
	wrong("at first")

	b.users("s3cret", "add", "gate", "--client-id", "gate-*")
	if _, code := b.login("gate-1", "gate", "s3cret"); code.Failed() {
		t.Errorf("a user that ctl has added: %v", code)
	}
	if _, code := b.login("other", "gate", "s3cret"); code != packet.ClientIdentifierNotValid {
		t.Errorf("another client id: %v", code)
	}
	path := filepath.Join(b.home, "etc/users")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(string(text) + "carl:hunter2\n")
	if out, err := b.tryCtl("plugins", "reload", "auth_file"); err == nil || !strings.Contains(out, "users: line 4: not a password hash") || strings.Contains(out, "hunter2") {
		t.Errorf("a broken file: %v\n%s", err, out)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if out, err := b.tryCtl("plugins", "reload", "auth_file"); err == nil || !strings.Contains(out, "users") {
		t.Errorf("a missing file: %v\n%s", err, out)
	}
	if _, code := b.login("c1", "ann", "pencil"); code.Failed() {
		t.Errorf("a broken file shuts out: %v", code)
	}
	wrong("with a broken file")
	write(string(text))
	b.users("", "del", "ann")
	if _, code := b.login("c1", "ann", "pencil"); code != packet.BadUserNameOrPassword {
		t.Errorf("a user that is gone: %v", code)
	}
	if strings.Contains(b.log.String(), "hunter2") || strings.Contains(b.log.String(), "s3cret") {
		t.Error("the log tells a password")
	}
}

// TestAuthFileReload: logins under way while the plugin is reloaded again and again
// are decided, each rightly.
func TestAuthFileReload(t *testing.T) {
	t.Parallel()
	b := start(t, shippedAuthFile(t))
	var stop atomic.Bool
	var logins atomic.Int64
	var wg sync.WaitGroup
	for id, password := range map[string]string{"a": "pencil", "b": "pencil", "c": "pencils", "d": "pencils"} {
		want := packet.Success
		if password != "pencil" {
			want = packet.BadUserNameOrPassword
		}
		wg.Go(func() {
			for !stop.Load() {
				conn, err := b.transport("tcp:external")
				if err != nil {
					t.Error(err)
					return
				}
				c := b.client(conn, v5)
				ack, err := c.tryConnect(&packet.Connect{ClientID: id, CleanStart: true, HasUsername: true, Username: "ann", HasPassword: true, Password: []byte(password)})
				c.close()
				if err == nil && ack.Code == packet.Success && want == packet.Success {
					logins.Add(1)
				} else if err != nil && want == packet.Success || err == nil && ack.Code != want {
					t.Errorf("login: %v %+v, want %v", err, ack, want)
					return
				}
			}
		})
	}
	for i := range 10 {
		b.eventually("a login", func() bool { return logins.Load() > int64(10*i) || t.Failed() })
		b.ctl("plugins", "reload", "auth_file")
	}
	stop.Store(true)
	wg.Wait()
}

// TestAuthFileStorm: while a hundred clients wait for argon2id, those who are
// connected are served.
func TestAuthFileStorm(t *testing.T) {
	t.Parallel()
	b := start(t, shippedAuthFile(t))
	b.users("s3cret", "add", "slow")
	c, code := b.login("c1", "ann", "pencil")
	if code.Failed() {
		t.Fatalf("login: %v", code)
	}
	c.subscribe("x", 1)
	const storm = 100
	var left atomic.Int64
	left.Store(storm)
	var wg sync.WaitGroup
	for i := range storm {
		conn, err := b.transport("tcp:external")
		if err != nil {
			t.Fatal(err)
		}
		s := b.client(conn, v5)
		defer s.close()
		password := []string{"s3cret", "wrong"}[i%2]
		if err := s.trySend(&packet.Connect{Version: v5, ClientID: "", CleanStart: true, HasUsername: true, Username: "slow", HasPassword: true, Password: []byte(password)}); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer left.Add(-1)
			p, err := s.tryRead()
			if ack, ok := p.(*packet.Connack); err != nil || !ok || ack.Code.Failed() != (password == "wrong") {
				t.Errorf("%s: %v %+v", password, err, p)
			}
		})
	}
	served := 0
	for left.Load() > 0 {
		c.publish("x", "still here", 1)
		c.expect("x", "still here")
		served++
	}
	wg.Wait()
	if served < 10 {
		t.Errorf("%d messages while %d clients logged in", served, storm)
	}
}

// TestLeavingLogins: who does not wait for the answer to a password has failed, too.
func TestLeavingLogins(t *testing.T) {
	t.Parallel()
	s := shippedAuthFile(t)
	s.config = "[access]\nlogin_backoff = \"3, 1m, 1h, 1h\"\nlogin_backoff_exempt = \"192.0.2.1\"\n"
	b := start(t, s)
	connect := func(password string) *packet.Connect {
		return &packet.Connect{Version: v5, ClientID: "c", CleanStart: true, HasUsername: true, Username: "ann", HasPassword: true, Password: []byte(password)}
	}
	if got := b.code(v5, *connect("pencil")); got != packet.Success {
		t.Fatalf("the right password: %v", got)
	}
	for range 3 {
		c := b.dial(v5)
		c.send(connect("wrong"))
		c.close()
	}
	b.eventually("the alarm", func() bool { return strings.Contains(b.log.String(), "login_backoff") })
	if got := b.code(v5, *connect("pencil")); got != packet.QuotaExceeded {
		t.Errorf("afterwards: %v", got)
	}
}
