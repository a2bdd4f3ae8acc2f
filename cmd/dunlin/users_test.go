package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
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

// Users come, change and go without a node, in a file that is its owner's alone;
// what else is in the file stays.
func TestUsers(t *testing.T) {
	dir := home(t, oneListener)
	path := filepath.Join(dir, "etc", "scram_users")
	if err := os.WriteFile(path, []byte("# people\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	lines := func() []string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
	typing(t, dir, "pencil\nmore\n", "add", "ann").check(t, exitOK, "ok", "It holds as soon as auth_scram is loaded")
	typing(t, dir, "pencil", "add", "ann").check(t, exitError, "", "ann is in "+path+" already")
	typing(t, dir, "pencil", "add", "ann", "--hash", "scram-sha-512").check(t, exitOK, "ok", "")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", err, info.Mode())
	}
	if l := lines(); len(l) != 3 || l[0] != "# people" || !fits(t, l[1], "pencil") || !fits(t, l[2], "pencil") || fits(t, l[1], "pencils") {
		t.Errorf("%v", l)
	}
	typing(t, dir, "crayon\r\n", "passwd", "ann").check(t, exitOK, "ok", "")
	if l := lines(); !fits(t, l[1], "crayon") || !fits(t, l[2], "pencil") {
		t.Errorf("%v", l)
	}
	r := typing(t, dir, "", "list", "-o", "json")
	var list []map[string]string
	if err := json.Unmarshal([]byte(r.out), &list); err != nil || len(list) != 2 || list[0]["name"] != "ann" || list[1]["hash"] != "scram-sha-512" || strings.Contains(r.out, "$") {
		t.Errorf("%v: %s", err, r.out)
	}
	typing(t, dir, "", "del", "ann").check(t, exitOK, "ok", "")
	if l := lines(); len(l) != 1 || l[0] != "# people" {
		t.Errorf("%v", l)
	}
	typing(t, dir, "", "del", "ann").check(t, exitNotFound, "", "ann is not in")
	typing(t, dir, "x", "passwd", "ann").check(t, exitNotFound, "", "ann is not in")
	if left, _ := filepath.Glob(path + ".new*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestUsersRefuses(t *testing.T) {
	dir := home(t, oneListener)
	for _, name := range []string{"", "a:b", "#a", " a", "a\nb"} {
		typing(t, dir, "pencil", "add", name).check(t, exitUsage, "", "cannot be kept")
	}
	typing(t, dir, "\n", "add", "ann").check(t, exitError, "", "no password")
	typing(t, dir, "pencil", "add", "ann", "--hash", "md5").check(t, exitUsage, "", `there is no hash "md5"`)
	typing(t, dir, "pencil", "add", "ann", "--file", filepath.Join(dir, "none", "users")).check(t, exitError, "", "none")
	if _, err := os.Stat(filepath.Join(dir, "etc", "scram_users")); err == nil {
		t.Error("a refused command made the file")
	}
}
