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

	"github.com/dunlinmq/dunlin/core/wholefile"
	"github.com/dunlinmq/dunlin/pluginsdk/passwd"
)

// usersFile is a file of lines name:hash[:options], as auth_file and auth_scram
// read it. Comments and the order of lines are kept.
type usersFile struct {
	path  string
	owner string // whose owner a new file gets; "": nobody in particular
	lines []string
}

// maxUsersFile is the most that a plugin's configuration takes from a file, in bytes.
const maxUsersFile = 1 << 20

// readUsers reads the file; one that does not exist is empty.
func readUsers(path string) (*usersFile, error) {
	if at, err := filepath.EvalSymlinks(path); err == nil {
		path = at // the link stays when the file is replaced
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return parseUsers(path, text)
}

// parseUsers takes a file apart; name is for messages.
func parseUsers(name string, text []byte) (*usersFile, error) {
	if len(text) > maxUsersFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxUsersFile)
	}
	f := &usersFile{path: name}
	if s := strings.TrimRight(string(text), "\r\n"); s != "" {
		f.lines = strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	}
	return f, nil
}

// user is one line.
type user struct{ name, secret, options string }

// parseLine reads line; ok is false for comments and for what is no user.
func parseLine(line string) (u user, ok bool) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return u, false
	}
	if i := strings.LastIndex(line, ":SCRAM-SHA-"); i > 0 { // whose secret has colons
		return user{name: line[:i], secret: line[i+1:]}, true
	}
	u.name, line, ok = strings.Cut(line, ":")
	u.secret, u.options, _ = strings.Cut(line, ":")
	return u, ok && u.name != ""
}

// kind is how the password is kept, as --hash names it; "unknown" for what no
// plugin would take.
func (u user) kind() string {
	if name, _, _ := strings.Cut(u.secret, "$"); name != "" {
		if _, ok := scramHashes[strings.ToLower(name)]; ok {
			return strings.ToLower(name)
		}
	}
	h, err := passwd.Parse(u.secret)
	if err != nil {
		return "unknown"
	}
	return string(h.Kind)
}

// take adds the users of another file, all of them or none. replace: also those
// that are there already.
func (f *usersFile) take(from *usersFile, replace bool) error {
	at := map[string]int{}
	for i, l := range f.lines {
		if u, ok := parseLine(l); ok {
			at[u.name] = i
		}
	}
	added := 0
	for i, l := range from.lines {
		u, ok := parseLine(l)
		if !ok {
			if l = strings.TrimSpace(l); l == "" || l[0] == '#' {
				continue
			}
			return fmt.Errorf("%s: line %d: want name:hash", from.path, i+1)
		}
		if _, err := passwd.Parse(u.secret); err != nil {
			return fmt.Errorf("%s: line %d: %w; nothing was imported", from.path, i+1, err)
		}
		old, found := at[u.name]
		switch {
		case !found:
			at[u.name] = len(f.lines)
			f.lines = append(f.lines, u.line())
		case replace:
			f.lines[old] = u.line()
		default:
			return fmt.Errorf("%s: line %d: %s is in %s already; --replace replaces it; nothing was imported", from.path, i+1, u.name, f.path)
		}
		added++
	}
	if added == 0 {
		return fmt.Errorf("%s has no users", from.path)
	}
	return nil
}

func (u user) line() string {
	line := u.name + ":" + u.secret
	if u.options != "" {
		line += ":" + u.options
	}
	return line
}

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
// same, or is that of f.owner, where the system allows it.
func (f *usersFile) save() error {
	err := wholefile.Replace(f.path, []byte(strings.Join(f.lines, "\n")+"\n"), 0o600, func(fresh *os.File) {
		for _, like := range []string{f.path, f.owner} {
			if old, err := os.Stat(like); err == nil {
				keepOwner(fresh, old)
				return
			}
		}
	})
	if err != nil {
		return fmt.Errorf("%s was not changed: %w", f.path, err)
	}
	return nil
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
