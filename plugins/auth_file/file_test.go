//go:build !wasip1

package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin/passhash"
	"github.com/dunlinmq/dunlin/plugins/plugintest"
)

// Hashes that other programs made: libxcrypt, the argon2 tool, passlib and
// mosquitto_passwd, all of "pencil" but the argon2 one, which is of "password".
var others = map[string]string{
	"bcrypt":    "$2b$04$abcdefghijklmnopqrstuu/FyAyuZSl3DbPdvio4KrIBdz2k2yhV2",
	"argon2id":  "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"pbkdf2":    "$pbkdf2-sha256$1000$c2FsdHNhbHQ$wVNdDJbDXytD3Ypu4dvQtX0COri6cW8h0XT6q2RUj3E",
	"mosquitto": "$7$101$VOa44jwkAXaRf24v$vHQC6pC0XF6DG8Tf+2rIzdsaMKGJrJy28SXJeFpfNHJbcIqGMGSdj5JgIrYXjJKPAznzXP5oUlEz4g5GBZEWPA==",
}

// fast is a hash of password that costs little.
func fast(t testing.TB, password string) string {
	t.Helper()
	text, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// operator is an operator's file with lists.
func operator(users, clients, rule string) string {
	return fmt.Sprintf("[plugin]\ngrant = [\"hash\"]\n[config]\nclient_id = %q\nusers = '''\n%s'''\nclients = '''\n%s'''\n", rule, users, clients)
}

// open loads the plugin.
func open(t testing.TB, kind plugintest.Kind, users, clients, rule string) *plugintest.Host {
	t.Helper()
	h, err := plugintest.Source{}.Start(t, kind, operator(users, clients, rule))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestLogins: who is in the lists with the right password comes in, as whom the
// lists say, as a module and as a process.
func TestLogins(t *testing.T) {
	users := "# people\n\nb:" + others["bcrypt"] + "\na:" + others["argon2id"] + "\r\np:" + others["pbkdf2"] + "\nm:" + others["mosquitto"] + ":\n" // an empty third part is a fault
	if _, err := (plugintest.Source{}).Start(t, plugintest.WASM, operator(users, "", "")); err == nil || !strings.Contains(err.Error(), `users: line 6: option ""`) {
		t.Errorf("an empty option: %v", err)
	}
	users = strings.TrimSuffix(users, ":\n") + "\nboss:" + fast(t, "s3cret") + ":superuser,client_id=desk,client_id=lap-*\nann:" + fast(t, "s3cret") + "\n"
	clients := "gate-1:" + fast(t, "own") + "\n"
	for _, kind := range []plugintest.Kind{plugintest.WASM, plugintest.Process} {
		t.Run(string(kind), func(t *testing.T) {
			h := open(t, kind, users, clients, "%u*")
			for _, tc := range []struct {
				id, user, password string
				verdict            hook.Verdict
				reason             packet.ReasonCode
				principal          string
			}{
				{"b1", "b", "pencil", hook.Allow, 0, "b"}, {"a1", "a", "password", hook.Allow, 0, "a"}, {"p1", "p", "pencil", hook.Allow, 0, "p"},
				{"b1", "b", "pencils", hook.Deny, 0x86, ""}, {"b1", "b", "", hook.Deny, 0x86, ""}, {"b1", "b", strings.Repeat("x", 2000), hook.Deny, 0x86, ""},
				{"m1", "m", "p:w$d ü", hook.Allow, 0, "m"}, {"m1", "m", "pencil", hook.Deny, 0x86, ""},
				{"x", "nobody", "pencil", hook.Next, 0, ""}, {"x", "", "pencil", hook.Next, 0, ""}, {"x", "B", "pencil", hook.Next, 0, ""},
				{"lap-7", "boss", "s3cret", hook.Allow, 0, "boss"}, {"desk", "boss", "s3cret", hook.Allow, 0, "boss"},
				{"boss", "boss", "s3cret", hook.Deny, 0x85, ""}, {"desks", "boss", "s3cret", hook.Deny, 0x85, ""}, {"desks", "boss", "wrong", hook.Deny, 0x86, ""},
				{"ann-1", "ann", "s3cret", hook.Allow, 0, "ann"}, {"bob-1", "ann", "s3cret", hook.Deny, 0x85, ""},
				{"gate-1", "whoever", "own", hook.Allow, 0, "gate-1"}, {"gate-1", "ann", "s3cret", hook.Deny, 0x86, ""},
			} {
				e := h.Login(t, tc.id, tc.user, tc.password)
				if e.Verdict != tc.verdict || e.Reason != tc.reason || e.Client.Principal != tc.principal || e.Client.Superuser != (tc.principal == "boss") {
					t.Errorf("%+v: %v %v %q %q", tc, e.Verdict, e.Reason, e.Text, e.Client.Principal)
				}
				if tc.reason == 0x86 && e.Text != "" {
					t.Errorf("%+v: the text %q tells more than an unknown user is told", tc, e.Text)
				}
			}
			unnamed := &hook.AuthEvent{Client: &hook.Client{ID: "gate-1", Conn: 1}, Password: []byte("own")}
			if h.Ask(t, unnamed); unnamed.Verdict != hook.Allow || unnamed.Client.Principal != "gate-1" {
				t.Errorf("a client id without a user name: %+v", unnamed)
			}
			for id, want := range map[string]hook.Verdict{"gate-1": hook.Deny, "gate-2": hook.Next} {
				e := &hook.AuthEvent{Client: &hook.Client{ID: id, Conn: 1}}
				if h.Ask(t, e); e.Verdict != want {
					t.Errorf("%s without a password: %v", id, e.Verdict)
				}
			}
			other := &hook.AuthEvent{Client: &hook.Client{ID: "b1", Username: "b", HasUsername: true, Conn: 1}, Password: []byte("pencil"), Method: "SCRAM-SHA-256"}
			if h.Ask(t, other); other.Verdict != hook.Next {
				t.Errorf("enhanced authentication is another plugin's: %v", other.Verdict)
			}
		})
	}
}

// mosquitto_passwd's file is taken as it is, of both of its kinds.
func TestFileOfMosquitto(t *testing.T) {
	tool, err := exec.LookPath("mosquitto_passwd")
	if err != nil {
		t.Fatal("mosquitto_passwd is missing: apt-get install mosquitto")
	}
	path := filepath.Join(t.TempDir(), "passwd")
	for _, args := range [][]string{{"-c", "-b", path, "new", "s3cret"}, {"-H", "sha512", "-b", path, "old", "s3cret"}} {
		if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	h, err := plugintest.Source{}.Start(t, plugintest.WASM, "[plugin]\ngrant = [\"hash\"]\n[config]\nusers = \"${file:"+path+"}\"\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"new", "old"} {
		if e := h.Login(t, "c", user, "s3cret"); e.Verdict != hook.Allow {
			t.Errorf("%s: %v", user, e.Verdict)
		}
		if e := h.Login(t, "c", user, "secret"); e.Verdict != hook.Deny {
			t.Errorf("%s with a wrong password: %v", user, e.Verdict)
		}
	}
}

// A broken file is refused with the lines of its faults, and no message tells
// what may be a password.
func TestFaults(t *testing.T) {
	hash := others["bcrypt"]
	for text, want := range map[string]string{
		"ann:" + hash + "\nbob:hunter2\n": "users: line 2: not a password hash",
		"ann\n":                           "users: line 1: want name:hash", "ann:\n": "users: line 1: want name:hash", ":" + hash: "users: line 1: want name:hash",
		"#\nann:" + hash + "\n\nann:" + hash: `users: line 4: "ann" is there twice`,
		"ann:" + hash + ":admin":             `users: line 1: option "admin": want superuser or client_id=ID`,
		"ann:" + hash + ":client_id=":        `users: line 1: option "client_id="`,
		"ann:$2b$31" + hash[6:]:              "users: line 1: the hash asks for more work",
		strings.Repeat("x:y\n", 30):          "and 10 more",
	} {
		var f File
		config, _ := json.Marshal(map[string]string{"users": text})
		if err := f.Configure(config); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for _, config := range []string{`{"users":1}`, `{"user":""}`, `[]`} {
		var f File
		if err := f.Configure([]byte(config)); err == nil {
			t.Errorf("%s is taken", config)
		}
	}
}

// Unknown names are compared with hashes as known ones are, each always with the
// same one, of all that there are.
func TestDecoys(t *testing.T) {
	var l list
	if faults := l.read("users", "a:"+others["bcrypt"]+"\nb:"+others["mosquitto"]+"\nc:"+others["pbkdf2"]+"\n"); len(faults) > 0 {
		t.Fatal(faults)
	}
	seen := map[string]int{}
	for i := range 600 {
		name := fmt.Sprint("nobody-", i)
		first := l.decoy(name)
		if l.decoy(name) != first || !slices.Contains(l.hashes, first) {
			t.Fatalf("%s: %q", name, first)
		}
		seen[first]++
	}
	for hash, n := range seen {
		if len(seen) != 3 || n < 120 {
			t.Errorf("%s is the decoy of %d names of 600", hash, n)
		}
	}
	if (&list{}).decoy("x") != "" {
		t.Error("an empty list has decoys")
	}
}

// A known and an unknown name each cost one comparison. (That a comparison is
// made is seen by what it does: it makes the verdict come later.)
func TestUnknownNamesCostAComparison(t *testing.T) {
	h := open(t, plugintest.WASM, "ann:"+others["bcrypt"]+"\n", "", "")
	for _, name := range []string{"ann", "nobody"} {
		k := hook.NewParking(func() {})
		e := &hook.AuthEvent{Client: &hook.Client{ID: "c", Username: name, HasUsername: true, Conn: 1}, Password: []byte("wrong"), Park: k}
		waits := h.Points.ClientAuthenticate.Walk(k, func(fn hook.Intercept[hook.AuthEvent]) bool { fn(e); return e.Verdict == hook.Next })
		if !waits {
			t.Errorf("%s: decided at once: %v", name, e.Verdict)
		}
		k.Cancel()
	}
}

// More logins than may wait are refused as "server busy", those that wait come in.
func TestStorm(t *testing.T) {
	const logins = 1500
	h := open(t, plugintest.WASM, "ann:"+fast(t, "pencil")+"\n", "", "")
	got := make(chan packet.ReasonCode, logins)
	var wg sync.WaitGroup
	for range logins {
		wg.Go(func() {
			e := h.Login(t, "c", "ann", "pencil")
			if e.Verdict == hook.Allow {
				got <- 0
				return
			}
			got <- e.Reason
		})
	}
	wg.Wait()
	close(got)
	count := map[packet.ReasonCode]int{}
	for code := range got {
		count[code]++
	}
	if count[0] < 1024 || count[0]+count[serverBusy] != logins {
		t.Errorf("%v", count)
	}
	if e := h.Login(t, "c", "ann", "pencil"); e.Verdict != hook.Allow {
		t.Errorf("after the storm: %v %v", e.Verdict, e.Reason)
	}
}

// The largest file that a configuration may hold loads and decides.
func TestLargestFile(t *testing.T) {
	var users strings.Builder
	hash := others["argon2id"]
	n := 0
	for ; users.Len() < 1<<20-200; n++ {
		fmt.Fprintf(&users, "user-%d:%s\n", n, hash)
	}
	h := open(t, plugintest.WASM, users.String(), "", "")
	if e := h.Login(t, "c", fmt.Sprint("user-", n-1), "password"); e.Verdict != hook.Allow {
		t.Errorf("the last of %d users: %v %v", n, e.Verdict, e.Reason)
	}
	if n < 8000 {
		t.Errorf("%d users", n)
	}
}

// What is read does not crash, and a text without faults has hashes that count.
func FuzzRead(f *testing.F) {
	f.Add("ann:" + others["bcrypt"] + ":superuser,client_id=%u-*\n#\n")
	f.Add("a:b:c:d\n:::\n")
	f.Fuzz(func(t *testing.T, text string) {
		var l list
		if faults := l.read("users", text); len(faults) == 0 && len(l.entries) != len(l.hashes) {
			t.Errorf("%d entries, %d hashes", len(l.entries), len(l.hashes))
		}
		for name, e := range l.entries {
			if name == "" || e.hash == "" || covers("x*", name, "y") {
				t.Errorf("%q: %+v", name, e)
			}
		}
	})
}

// A login with each hash that `dunlin ctl users` makes, and with mosquitto's: the
// comparison, and two calls of the plugin.
func BenchmarkLogin(b *testing.B) {
	hashes := map[string]string{"mosquitto": others["mosquitto"]}
	for _, kind := range passhash.Kinds {
		text, err := passhash.Make(kind, []byte("pencil"))
		if err != nil {
			b.Fatal(err)
		}
		hashes[string(kind)] = text
	}
	for kind, hash := range hashes {
		b.Run(kind, func(b *testing.B) {
			h := open(b, plugintest.WASM, "u:"+hash+"\n", "", "")
			for b.Loop() {
				h.Login(b, "c", "u", "pencil")
			}
		})
	}
}
