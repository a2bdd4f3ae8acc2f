package main

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// token is a JSON Web Token in its compact form, taken apart but not believed.
type token struct {
	alg, kid  string
	signed    string // what the signature is about
	signature []byte
	claims    map[string]flatjson.Value
}

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 16 << 10

var errNoToken = errors.New("not a token")

// looksLikeToken tells whether it is worth to look for keys: three parts, the first
// of which begins as a JSON object does in base64.
func looksLikeToken(text string) bool {
	return len(text) <= maxToken && strings.HasPrefix(text, "e") && strings.Count(text, ".") == 2
}

// parseToken takes a token apart. The error is errNoToken for what does not look
// like one: it may be an ordinary password.
func parseToken(text string) (*token, error) {
	if len(text) > maxToken || strings.Count(text, ".") != 2 {
		return nil, errNoToken
	}
	parts := strings.Split(text, ".")
	var raw [3][]byte
	for i, p := range parts {
		b, err := unbase64(p)
		if err != nil {
			return nil, errNoToken
		}
		raw[i] = b
	}
	t := &token{signed: text[:len(parts[0])+1+len(parts[1])], signature: raw[2], claims: map[string]flatjson.Value{}}
	crit := false
	err := flatjson.Object(raw[0], func(key string, v flatjson.Value) error {
		switch key {
		case "alg":
			t.alg, _ = v.String()
		case "kid":
			t.kid, _ = v.String()
		case "crit":
			crit = true
		}
		return nil
	})
	if err != nil || t.alg == "" {
		return nil, errNoToken
	}
	if crit { // RFC 7515 §4.1.11: it asks for what is not known here
		return nil, errors.New("the token has critical header parameters")
	}
	err = flatjson.Object(raw[1], func(key string, v flatjson.Value) error {
		if _, twice := t.claims[key]; twice {
			return errors.New("claim " + key + " is there twice")
		}
		t.claims[key] = v
		return nil
	})
	if errors.Is(err, flatjson.ErrSyntax) {
		return nil, errNoToken
	}
	return t, err
}

// valid checks the times of the token (RFC 7519 §4.1). expires is the zero time
// for a token without exp.
func (t *token) valid(now time.Time, leeway time.Duration) (expires time.Time, err error) {
	for _, c := range []struct {
		name  string
		until bool // the claim is an end, else a beginning
		what  string
	}{{"exp", true, "the token has expired"}, {"nbf", false, "the token is not valid yet"}, {"iat", false, "the token is of the future"}} {
		v, ok := t.claims[c.name]
		if !ok {
			continue
		}
		at, ok := seconds(v)
		switch {
		case !ok:
			return time.Time{}, errors.New("claim " + c.name + " is not a time")
		case c.until && !now.Before(at.Add(leeway)), !c.until && now.Add(leeway).Before(at):
			return time.Time{}, errors.New(c.what)
		case c.until:
			expires = at.Add(leeway)
		}
	}
	return expires, nil
}

// seconds reads a NumericDate (RFC 7519 §2), which EMQ X also took as a text.
func seconds(v flatjson.Value) (time.Time, bool) {
	text := string(v)
	if s, ok := v.String(); ok {
		text = s
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f >= 0 && f <= 9e9) { // also NaN
		return time.Time{}, false
	}
	return time.Unix(0, int64(f*1e9)), true
}

// has tells whether claim name has the value want: as a text, as a number, or
// as one of the texts of a list.
func (t *token) has(name, want string) bool {
	v, ok := t.claims[name]
	if !ok {
		return false
	}
	if text, ok := v.String(); ok {
		return text == want
	}
	if bytes.HasPrefix(v, []byte("[")) {
		found := false
		err := v.Array(func(v flatjson.Value) error {
			text, ok := v.String()
			found = found || ok && text == want
			return nil
		})
		return err == nil && found
	}
	return string(v) == want
}
