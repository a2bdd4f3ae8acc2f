package main

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// mechanism is one of the two mechanisms.
type mechanism string

// The mechanisms (RFC 7677, and its like with SHA-512).
const (
	sha256Mech mechanism = "SCRAM-SHA-256"
	sha512Mech mechanism = "SCRAM-SHA-512"
)

func (m mechanism) size() int {
	if m == sha512Mech {
		return 64
	}
	return 32
}

// secret is what is kept of a password (RFC 5802 §3). It does not let in by
// itself.
type secret struct {
	iterations           int
	salt                 []byte
	storedKey, serverKey []byte
}

// minIterations is the least that RFC 7677 §4 asks for.
const minIterations = 4096

// who names one secret.
type who struct {
	mechanism mechanism
	user      string
}

// parseUsers reads a file of lines user:SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey,
// the form in which PostgreSQL keeps them. Empty lines and those with # are skipped.
func parseUsers(text string) (map[who]secret, error) {
	users := map[who]secret{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		w, s, err := parseUser(line)
		if err == nil {
			if _, twice := users[w]; twice {
				err = errors.New("user " + strconv.Quote(w.user) + " is there twice")
			}
		}
		if err != nil {
			return nil, errors.New("line " + strconv.Itoa(i+1) + ": " + err.Error())
		}
		users[w] = s
	}
	return users, nil
}

var errLine = errors.New("want user:SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")

func parseUser(line string) (w who, s secret, err error) {
	colon := strings.LastIndex(line, ":SCRAM-SHA-")
	if colon <= 0 {
		return w, s, errLine
	}
	w.user = line[:colon]
	parts := strings.FieldsFunc(line[colon+1:], func(r rune) bool { return r == '$' || r == ':' })
	if len(parts) != 5 {
		return w, s, errLine
	}
	w.mechanism = mechanism(parts[0])
	if w.mechanism != sha256Mech && w.mechanism != sha512Mech {
		return w, s, errors.New("unknown mechanism " + parts[0])
	}
	if s.iterations, err = strconv.Atoi(parts[1]); err != nil || s.iterations < minIterations || s.iterations > 10_000_000 {
		return w, s, errors.New(parts[1] + " iterations: want 4096 to 10,000,000")
	}
	for i, to := range []*[]byte{&s.salt, &s.storedKey, &s.serverKey} {
		if *to, err = base64.StdEncoding.DecodeString(parts[2+i]); err != nil {
			return w, s, errors.New("not base64: " + parts[2+i])
		}
	}
	if len(s.salt) < 8 || len(s.storedKey) != w.mechanism.size() || len(s.serverKey) != w.mechanism.size() {
		return w, s, errors.New("salt or keys have the wrong length")
	}
	return w, s, nil
}
