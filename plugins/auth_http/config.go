package main

import (
	"errors"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// config has the names of EMQ X 4's emqx_auth_http (emqx4 §4.2). Immutable.
type config struct {
	auth, super, acl *request // nil: not asked
	timeout          time.Duration
	retries          int
	cacheTTL         time.Duration
}

// Bounds of the configuration.
const (
	minTimeout = 100 * time.Millisecond
	maxTimeout = 20 * time.Second
	maxTTL     = 24 * time.Hour
	maxRetries = 5
)

func parse(text []byte) (*config, error) {
	c := &config{timeout: 5 * time.Second, retries: 1, cacheTTL: time.Minute}
	err := flatjson.Object(text, func(key string, v flatjson.Value) (err error) {
		switch key {
		case "auth_req":
			c.auth, err = parseRequest(v, key, "%u %c %a %P %r %p %C %d %m")
		case "super_req":
			c.super, err = parseRequest(v, key, "%u %c %a %r %p %C %d %m")
		case "acl_req":
			c.acl, err = parseRequest(v, key, "%u %c %a %r %p %C %d %m %A %t")
		case "timeout":
			c.timeout, err = duration(v, minTimeout, maxTimeout)
		case "cache_ttl":
			c.cacheTTL, err = duration(v, 0, maxTTL)
		case "retry_times":
			n, ok := v.Int()
			if c.retries = int(n); !ok || n < 0 || n > maxRetries {
				err = errors.New("want 0 to 5")
			}
		default:
			return errors.New("there is no key " + key)
		}
		if err != nil {
			return errors.New(key + ": " + err.Error())
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case c.auth == nil && c.acl == nil:
		return nil, errors.New("nothing to ask: want auth_req or acl_req")
	case c.super != nil && c.auth == nil:
		return nil, errors.New("super_req is asked after auth_req, which is missing")
	}
	return c, nil
}

// duration reads a text as "5s" or "1m30s".
func duration(v flatjson.Value, least, most time.Duration) (time.Duration, error) {
	text, ok := v.String()
	d, err := time.ParseDuration(text)
	if !ok || err != nil || d < least || d > most {
		return 0, errors.New("want " + least.String() + " to " + most.String())
	}
	return d, nil
}

// parseRequest reads one request; known are the placeholders that it may have.
func parseRequest(v flatjson.Value, name, known string) (*request, error) {
	r := &request{name: name, post: true}
	err := flatjson.Object(v, func(key string, v flatjson.Value) error {
		text, ok := v.String()
		switch key {
		case "url":
			r.url, ok = text, ok && (strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")) && !strings.ContainsFunc(text, unfit)
		case "method":
			r.post, ok = text == "post", text == "post" || text == "get"
		case "content_type":
			r.json, ok = text == typeJSON, text == typeJSON || text == typeForm
		case "headers":
			return r.readHeaders(v)
		case "params":
			return r.readParams(v, known)
		default:
			return errors.New("there is no key " + key)
		}
		if !ok {
			return errors.New(key + ": not a valid value")
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case r.url == "":
		return nil, errors.New("url is missing")
	case r.json && !r.post:
		return nil, errors.New("content_type is for the body of post")
	}
	return r, nil
}

// unfit tells of characters that a line of a request may not have.
func unfit(c rune) bool { return c <= ' ' || c == 0x7F }

// readHeaders reads a table. content-type is what content_type is.
func (r *request) readHeaders(v flatjson.Value) error {
	return flatjson.Object(v, func(name string, v flatjson.Value) error {
		text, ok := v.String()
		if !ok || name == "" || strings.ContainsFunc(name, func(c rune) bool { return unfit(c) || c == ':' || c > 0x7F }) || strings.ContainsAny(text, "\r\n\x00") {
			return errors.New("headers: " + name + ": not a valid header")
		}
		if !strings.EqualFold(name, "Content-Type") {
			r.headers = append(r.headers, name+": "+text)
			return nil
		}
		kind, _, _ := strings.Cut(text, ";")
		kind = strings.TrimSpace(kind)
		if r.json = kind == typeJSON; kind != typeForm && kind != typeJSON {
			return errors.New("headers: " + name + ": want " + typeForm + " or " + typeJSON)
		}
		return nil
	})
}

// readParams reads "name=value,name=value" as EMQ X has it, or a table.
func (r *request) readParams(v flatjson.Value, known string) error {
	if text, ok := v.String(); ok {
		for pair := range strings.SplitSeq(text, ",") {
			if strings.TrimSpace(pair) == "" {
				continue
			}
			name, value, found := strings.Cut(pair, "=")
			if !found {
				return errors.New("params: " + pair + ": want name=value")
			}
			if err := r.addParam(strings.TrimSpace(name), strings.TrimSpace(value), known); err != nil {
				return err
			}
		}
		return nil
	}
	return flatjson.Object(v, func(name string, v flatjson.Value) error {
		text, ok := v.String()
		if !ok {
			return errors.New("params: " + name + " is not a text")
		}
		return r.addParam(name, text, known)
	})
}

func (r *request) addParam(name, value, known string) error {
	if name == "" {
		return errors.New("params: a name is missing")
	}
	p := param{name: name}
	for rest := value; ; {
		before, after, found := strings.Cut(rest, "%")
		p.parts = append(p.parts, part{text: before})
		if !found {
			break
		}
		if after == "" || !strings.Contains(known, "%"+after[:1]) {
			return errors.New("params: " + name + " = " + value + ": want one of " + known)
		}
		p.parts = append(p.parts, part{hole: after[0]})
		rest = after[1:]
	}
	r.params = append(r.params, p)
	return nil
}
