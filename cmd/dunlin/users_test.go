package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/dunlinmq/dunlin/core/plugin/passhash"
)

// typing is a `dunlin ctl users` with a password on its standard input.
func typing(t *testing.T, dir, password string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{out: &out, err: &errs, in: strings.NewReader(password)}
	root := a.root()
	root.SetArgs(append(append([]string{"ctl", "users"}, args...), "--home", dir))
	root.SetOut(&out)
	root.SetErr(&errs)
	if err := root.ExecuteContext(t.Context()); err != nil {
		return result{exitCode(err), out.String(), errs.String() + message(err).Error()}
	}
	return result{exitOK, out.String(), errs.String()}
}

// fits tells whether another implementation derives the line's keys from password.
func fits(t *testing.T, line, password string) bool {
	t.Helper()
	u, ok := parseLine(line)
	if !ok {
		t.Fatalf("no user: %s", line)
	}
	generate := map[string]scram.HashGeneratorFcn{"scram-sha-256": scram.SHA256, "scram-sha-512": scram.SHA512}[u.kind()]
	c, err := generate.NewClient(u.name, password, "")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.FieldsFunc(u.secret, func(r rune) bool { return r == '$' || r == ':' })
	keys, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(unbase64(t, parts[2])), Iters: scramIterations})
	return err == nil && bytes.Equal(keys.StoredKey, unbase64(t, parts[3])) && bytes.Equal(keys.ServerKey, unbase64(t, parts[4]))
}

func unbase64(t *testing.T, text string) (b []byte) {
	t.Helper()
	if err := json.Unmarshal([]byte(`"`+text+`"`), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// usersHome is a home with a file of users; lines reads it.
func usersHome(t *testing.T, name, text string) (dir, path string, lines func() []string) {
	t.Helper()
	dir = home(t, oneListener)
	path = filepath.Join(dir, "etc", name)
	if text != "" {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, path, func() []string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
}

// opens tells whether the password of the line is password.
func opens(t *testing.T, line, password string) bool {
	t.Helper()
	u, _ := parseLine(line)
	ok, err := passhash.Verify(u.secret, []byte(password))
	if err != nil {
		t.Errorf("%s: %v", line, err)
	}
	return ok
}

// Users come, change and go without a node, in a file that is its owner's alone;
// what else is in the file stays, and nothing tells a password or a hash.
func TestUsers(t *testing.T) {
	const old = "old:$6$c2FsdA==$K1/1IhlOeL8pqYlSe6oM7Uq8TUg8jIjpbrAO6nd6eOIGxowZQ8IBQ0rZCOrPPo9kFRnnUCSuI4ZTfPJFdlqPrQ=="
	dir, path, lines := usersHome(t, "users", "# people\n"+old+"\n")
	first := typing(t, dir, "pencil\nmore\n", "add", "ann", "--client-id", "ann-*", "--client-id", "desk", "--superuser")
	first.check(t, exitOK, "ok", "It holds as soon as auth_file is loaded")
	second := typing(t, dir, "pencil", "add", "ann")
	second.check(t, exitError, "", "ann is in "+path+" already")
	for _, r := range []result{first, second} {
		if strings.Contains(r.out+r.err, "pencil") {
			t.Errorf("the password is told: %+v", r)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", err, info.Mode())
	}
	l := lines()
	if len(l) != 3 || l[0] != "# people" || l[1] != old || !strings.HasPrefix(l[2], "ann:$argon2id$") || !strings.HasSuffix(l[2], ":superuser,client_id=ann-*,client_id=desk") ||
		!opens(t, l[2], "pencil") || opens(t, l[2], "pencils") {
		t.Errorf("%v", l)
	}
	typing(t, dir, "crayon\r\n", "passwd", "ann", "--hash", "bcrypt").check(t, exitOK, "ok", "")
	if l = lines(); !strings.HasPrefix(l[2], "ann:$2a$10$") || !strings.HasSuffix(l[2], ":superuser,client_id=ann-*,client_id=desk") || !opens(t, l[2], "crayon") {
		t.Errorf("%v", l)
	}
	r := typing(t, dir, "", "list", "-o", "json")
	var list []map[string]string
	if err := json.Unmarshal([]byte(r.out), &list); err != nil || len(list) != 2 || list[0]["hash"] != "sha512" || list[1]["hash"] != "bcrypt" ||
		list[1]["options"] != "superuser,client_id=ann-*,client_id=desk" || strings.Contains(r.out, "$") {
		t.Errorf("%v: %s", err, r.out)
	}
	typing(t, dir, "", "del", "old").check(t, exitOK, "ok", "")
	typing(t, dir, "", "del", "old").check(t, exitNotFound, "", "old is not in")
	typing(t, dir, "x", "passwd", "old").check(t, exitNotFound, "", "old is not in")
	typing(t, dir, "own", "add", "gate-1", "--clients").check(t, exitOK, "ok", "auth_file")
	if text, err := os.ReadFile(filepath.Join(dir, "etc", "clients")); err != nil || !opens(t, strings.TrimSpace(string(text)), "own") {
		t.Errorf("%v: %s", err, text)
	}
	if left, _ := filepath.Glob(path + ".new*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A user of auth_scram has a line for each mechanism.
func TestUsersOfSCRAM(t *testing.T) {
	dir, path, lines := usersHome(t, "scram_users", "# people\n")
	typing(t, dir, "pencil", "add", "ann", "--scram").check(t, exitOK, "ok", "It holds as soon as auth_scram is loaded")
	typing(t, dir, "pencil", "add", "ann", "--scram").check(t, exitError, "", "ann is in "+path+" already")
	typing(t, dir, "pencil", "add", "ann", "--hash", "scram-sha-512").check(t, exitOK, "ok", "")
	if l := lines(); len(l) != 3 || l[0] != "# people" || !fits(t, l[1], "pencil") || !fits(t, l[2], "pencil") || fits(t, l[1], "pencils") {
		t.Errorf("%v", l)
	}
	typing(t, dir, "crayon", "passwd", "ann", "--scram").check(t, exitOK, "ok", "")
	if l := lines(); !fits(t, l[1], "crayon") || !fits(t, l[2], "pencil") {
		t.Errorf("%v", l)
	}
	typing(t, dir, "", "list", "--scram").check(t, exitOK, "scram-sha-512", "")
	typing(t, dir, "", "del", "ann", "--scram").check(t, exitOK, "ok", "")
	if l := lines(); len(l) != 1 {
		t.Errorf("%v", l)
	}
}

// Another file is taken over as a whole or not at all.
func TestUsersImport(t *testing.T) {
	const bob = "bob:$7$101$VOa44jwkAXaRf24v$vHQC6pC0XF6DG8Tf+2rIzdsaMKGJrJy28SXJeFpfNHJbcIqGMGSdj5JgIrYXjJKPAznzXP5oUlEz4g5GBZEWPA=="
	dir, path, lines := usersHome(t, "users", "ann:$2b$04$abcdefghijklmnopqrstuu/FyAyuZSl3DbPdvio4KrIBdz2k2yhV2\n")
	from := filepath.Join(dir, "passwd")
	for text, want := range map[string]string{
		bob + "\ncarl:hunter2\n":             "line 2: not a password hash",
		bob + "\n\nann:" + bob[len("bob:"):]: "line 3: ann is in " + path + " already; --replace",
		bob + "\n" + bob + "\n":              "line 2: bob is in",
		"# nothing\n":                        "has no users",
		"hunter2\n":                          "line 1: want name:hash",
		strings.Repeat("x", maxUsersFile+1):  "larger than",
		"c:SCRAM-SHA-256$4096:c2FsdA==$x:y":  "line 1: not a password hash",
	} {
		if err := os.WriteFile(from, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := typing(t, dir, "", "import", from)
		if r.check(t, exitError, "", want); strings.Contains(r.err, "hunter2") {
			t.Errorf("a password is told: %s", r.err)
		}
	}
	typing(t, dir, "", "import", from+".none").check(t, exitError, "", "no such file")
	typing(t, dir, bob, "import", "-", "--scram").check(t, exitUsage, "", "import is for auth_file")
	if l := lines(); len(l) != 1 {
		t.Fatalf("a refused import has changed the file: %v", l)
	}
	typing(t, dir, "# of mosquitto\n"+bob+"\nann:"+bob[len("bob:"):]+"\n", "import", "-", "--replace").check(t, exitOK, "ok", "")
	if l := lines(); len(l) != 2 || l[0] != "ann:"+bob[len("bob:"):] || l[1] != bob {
		t.Errorf("%v", l)
	}
}

// Commands at the same time lose nothing.
func TestUsersAtOnce(t *testing.T) {
	dir, _, lines := usersHome(t, "users", "")
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		wg.Go(func() { typing(t, dir, "pencil", "add", name).check(t, exitOK, "ok", "") })
	}
	wg.Wait()
	if l := lines(); len(l) != 8 {
		t.Errorf("%d of 8 users: %v", len(l), l)
	}
}

// A link to the file stays one.
func TestUsersBehindALink(t *testing.T) {
	dir, path, _ := usersHome(t, "users", "")
	at := filepath.Join(dir, "elsewhere")
	if err := os.WriteFile(at, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(at, path); err != nil {
		t.Fatal(err)
	}
	typing(t, dir, "pencil", "add", "ann").check(t, exitOK, "ok", "")
	info, err := os.Lstat(path)
	if text, _ := os.ReadFile(at); err != nil || info.Mode()&os.ModeSymlink == 0 || !strings.HasPrefix(string(text), "ann:") {
		t.Errorf("%v %v: %s", err, info.Mode(), text)
	}
}

func TestUsersRefuses(t *testing.T) {
	dir, path, _ := usersHome(t, "users", "")
	for _, name := range []string{"", "a:b", "#a", " a", "a\nb"} {
		typing(t, dir, "pencil", "add", name).check(t, exitUsage, "", "cannot be kept")
	}
	typing(t, dir, "\n", "add", "ann").check(t, exitError, "", "no password")
	typing(t, dir, strings.Repeat("x", 2000), "add", "ann").check(t, exitError, "", "longer than 1024 bytes")
	typing(t, dir, "pencil", "add", "ann", "--hash", "md5").check(t, exitUsage, "", `there is no hash "md5": want one of argon2id`)
	typing(t, dir, "pencil", "add", "ann", "--scram", "--hash", "bcrypt").check(t, exitUsage, "", "auth_scram has scram-sha-256")
	typing(t, dir, "pencil", "add", "ann", "--scram", "--superuser").check(t, exitUsage, "", "not for auth_scram")
	typing(t, dir, "pencil", "add", "ann", "--client-id", "a,superuser").check(t, exitUsage, "", "without comma")
	typing(t, dir, "pencil", "add", "ann", "--file", filepath.Join(dir, "none", "users")).check(t, exitError, "", "none")
	if _, err := os.Stat(path); err == nil {
		t.Error("a refused command made the file")
	}
}
