package main

import (
	"errors"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// config has the names of EMQ X 4's emqx_auth_jwt (emqx4 §4.2). Immutable.
type config struct {
	username  bool    // the token is the user name, else the password
	keys      []key   // that are given; those of remote come on top
	remote    *remote // nil: none
	claims    []claim // verify_claims
	acl       string  // acl_claim_name
	principal string  // principal_claim
	superuser string  // superuser_claim; "": none
	leeway    time.Duration
}

// claim is what a claim has to be: text with %u and %c.
type claim struct{ name, want string }

func parse(text []byte) (*config, error) {
	c := &config{acl: "acl", principal: "sub"}
	interval, maxAge := 5*time.Minute, time.Hour
	err := flatjson.Object(text, func(name string, v flatjson.Value) error {
		var err error
		s, ok := v.String()
		switch name {
		case "from":
			c.username, ok = s == "username", s == "username" || s == "password"
		case "secret", "secret_base64", "pubkey", "jwks":
			ok, err = c.readKeys(name, s)
		case "jwks_refresh_interval":
			interval, err = duration(v, fetchGap, 24*time.Hour)
			ok = true
		case "jwks_max_age":
			maxAge, err = duration(v, fetchGap, 31*24*time.Hour)
			ok = true
		case "verify_claims":
			ok, err = true, c.readClaims(v)
		case "acl_claim_name":
			c.acl = s
		case "principal_claim":
			c.principal = s
		case "superuser_claim":
			c.superuser = s
		case "leeway":
			var n int64
			n, ok = v.Int()
			c.leeway, ok = time.Duration(n)*time.Second, ok && n >= 0 && n <= 3600
		default:
			return errors.New("there is no key " + name)
		}
		if err == nil && !ok {
			err = errors.New("not a valid value")
		}
		if err != nil {
			return errors.New(name + ": " + err.Error())
		}
		return nil
	})
	if c.remote != nil {
		c.remote.interval, c.remote.maxAge = interval, maxAge
	}
	if err == nil && maxAge < interval {
		err = errors.New("jwks_max_age is less than jwks_refresh_interval")
	}
	if err == nil && len(c.keys) == 0 && c.remote == nil {
		err = errors.New("no key to check tokens with: want secret, secret_base64, pubkey or jwks")
	}
	return c, err
}

// readKeys reads one of the keys of the configuration that hold keys.
func (c *config) readKeys(name, s string) (ok bool, err error) {
	var keys []key
	switch {
	case name == "secret":
		keys = []key{{hs: []byte(s)}}
	case name == "secret_base64":
		var secret []byte
		secret, err = unbase64(strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(s), "="))
		if ok = len(secret) > 0; !ok {
			return ok, err
		}
		keys = []key{{hs: secret}}
	case name == "pubkey":
		keys, err = parsePEM(s)
	case isURL(s) && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7F }):
		c.remote = &remote{url: s}
	default:
		keys, err = parseJWKS([]byte(s))
	}
	c.keys = append(c.keys, keys...)
	return s != "", err
}

// duration reads a text as "5m" or "1h30m".
func duration(v flatjson.Value, least, most time.Duration) (time.Duration, error) {
	text, ok := v.String()
	d, err := time.ParseDuration(text)
	if !ok || err != nil || d < least || d > most {
		return 0, errors.New("want " + least.String() + " to " + most.String())
	}
	return d, nil
}

func (c *config) readClaims(v flatjson.Value) error {
	return flatjson.Object(v, func(name string, v flatjson.Value) error {
		text, ok := v.String()
		if !ok {
			return errors.New(name + " is not a text")
		}
		c.claims = append(c.claims, claim{name, text})
		return nil
	})
}
