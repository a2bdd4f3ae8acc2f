package main

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// usersFile is a file of lines name:secret, as auth_scram reads it. Comments and the order of lines are kept.
type usersFile struct {
	path  string
	lines []string
}

// readUsers reads the file; one that does not exist is empty.
func readUsers(path string) (*usersFile, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f := &usersFile{path: path}
	if s := strings.TrimRight(string(text), "\r\n"); s != "" {
		f.lines = strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	}
	return f, nil
}

// user is one line.
type user struct{ name, secret string }

// parseLine reads line; ok is false for comments and for what is no user.
func parseLine(line string) (u user, ok bool) {
	line = strings.TrimSpace(line)
	i := strings.LastIndex(line, ":SCRAM-SHA-")
	if i <= 0 || line[0] == '#' {
		return u, false
	}
	return user{name: line[:i], secret: line[i+1:]}, true
}

// kind is the mechanism as --hash names it.
func (u user) kind() string {
	name, _, _ := strings.Cut(u.secret, "$")
	return strings.ToLower(name)
}

func (u user) line() string { return u.name + ":" + u.secret }

// users lists the users of the file.
func (f *usersFile) users() []user {
	var list []user
	for _, l := range f.lines {
		if u, ok := parseLine(l); ok {
			list = append(list, u)
		}
	}
	return list
}

// at is the line of a user, -1 if there is none. A user has a line for each
// mechanism; kind "" finds any.
func (f *usersFile) at(name, kind string) int {
	for i, l := range f.lines {
		u, ok := parseLine(l)
		if ok && u.name == name && (kind == "" || u.kind() == kind) {
			return i
		}
	}
	return -1
}

// save replaces the file atomically, for its owner alone. The owner stays the
// same where the system allows it.
func (f *usersFile) save() (err error) {
	t, err := os.CreateTemp(filepath.Dir(f.path), filepath.Base(f.path)+".new*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = t.Close()
			_ = os.Remove(t.Name())
			err = fmt.Errorf("%s was not changed: %w", f.path, err)
		}
	}()
	if _, err = t.WriteString(strings.Join(f.lines, "\n") + "\n"); err != nil {
		return err
	}
	if old, err := os.Stat(f.path); err == nil {
		keepOwner(t, old)
	}
	if err = t.Sync(); err != nil {
		return err
	}
	if err = t.Close(); err != nil {
		return err
	}
	return os.Rename(t.Name(), f.path)
}

// scramHashes are what --hash may name.
var scramHashes = map[string]func() hash.Hash{"scram-sha-256": sha256.New, "scram-sha-512": sha512.New}

// scramIterations is the least that RFC 7677 §4 asks for: each login costs the
// client that many.
const scramIterations = 4096

// scramSecret is what is kept of a password (RFC 5802 §3), in PostgreSQL's form.
// Passwords are taken as they are: SASLprep would change none that is of ASCII.
func scramSecret(kind string, password []byte) (string, error) {
	sum := scramHashes[kind]
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sum, string(password), salt, scramIterations, sum().Size())
	if err != nil {
		return "", err
	}
	key := func(name string) []byte {
		m := hmac.New(sum, salted)
		m.Write([]byte(name))
		return m.Sum(nil)
	}
	stored := sum()
	stored.Write(key("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", strings.ToUpper(kind), scramIterations, b64(salt), b64(stored.Sum(nil)), b64(key("Server Key"))), nil
}
