package main

import (
	"bytes"
	"strings"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// The types of a body.
const (
	typeForm = "application/x-www-form-urlencoded"
	typeJSON = "application/json"
)

// request is one request as it is configured. Immutable.
type request struct {
	name, url  string
	post, json bool
	headers    []string
	params     []param
}

// param is one parameter: what its parts say behind one another.
type param struct {
	name  string
	parts []part
}

// part is a text, or a placeholder if hole is not 0.
type part struct {
	text string
	hole byte
}

// facts are what placeholders stand for. Nothing is an empty text.
type facts struct {
	clientID, username, password string
	address, port                string
	commonName, subject          string
	access                       byte
	topic                        string
}

// fill is the value of a placeholder.
func (f *facts) fill(hole byte) string {
	switch hole {
	case 'u':
		return f.username
	case 'c':
		return f.clientID
	case 'P':
		return f.password
	case 'a':
		return f.address
	case 'p':
		return f.port
	case 'C':
		return f.commonName
	case 'd':
		return f.subject
	case 't':
		return f.topic
	case 'A':
		return string(rune(f.access))
	case 'r':
		return "mqtt"
	}
	return "" // %m: mount points are the zones', and topics are asked about without them
}

// value is what a parameter says about a client.
func (p *param) value(f *facts) string {
	var b strings.Builder
	for _, part := range p.parts {
		if b.WriteString(part.text); part.hole != 0 {
			b.WriteString(f.fill(part.hole))
		}
	}
	return b.String()
}

// fill makes the request about a client.
func (r *request) fill(f *facts) sdk.Request {
	out := sdk.Request{Method: "GET", URL: r.url, Headers: r.headers}
	if r.json {
		out.Method, out.Headers = "POST", append(r.headers[:len(r.headers):len(r.headers)], "Content-Type: "+typeJSON)
		out.Body = append(out.Body, '{')
		for i := range r.params {
			if i > 0 {
				out.Body = append(out.Body, ',')
			}
			out.Body = append(flatjson.AppendString(out.Body, r.params[i].name), ':')
			out.Body = flatjson.AppendString(out.Body, r.params[i].value(f))
		}
		out.Body = append(out.Body, '}')
		return out
	}
	var form []byte
	for i := range r.params {
		if i > 0 {
			form = append(form, '&')
		}
		form = append(escape(form, r.params[i].name), '=')
		form = escape(form, r.params[i].value(f))
	}
	if r.post {
		out.Method, out.Headers = "POST", append(r.headers[:len(r.headers):len(r.headers)], "Content-Type: "+typeForm)
		out.Body = form
		return out
	}
	if len(form) > 0 {
		sep := "?"
		if strings.Contains(r.url, "?") {
			sep = "&"
		}
		out.URL += sep + string(form)
	}
	return out
}

// escape appends s as a form has it: what is not unreserved (RFC 3986 §2.3) as %XX,
// a blank as +.
func escape(dst []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~':
			dst = append(dst, c)
		case c == ' ':
			dst = append(dst, '+')
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// host is the address of "192.0.2.1:51000" or "[2001:db8::1]:51000".
func host(addr []byte) string {
	i := bytes.LastIndexByte(addr, ':')
	return strings.Trim(string(addr[:max(i, 0)]), "[]")
}

// port is the port of an address.
func port(addr []byte) string {
	return string(addr[bytes.LastIndexByte(addr, ':')+1:])
}

// word is a body that is a single word.
func word(body []byte) string {
	if len(body) > 64 {
		return ""
	}
	return strings.TrimSpace(string(body))
}

// mounts tells whether the server wants a mount point for the client.
func mounts(body []byte) (found bool) {
	_ = flatjson.Object(body, func(key string, v flatjson.Value) error { // an error: it is no object
		text, isText := v.String()
		found = found || key == "mountpoint" && (!isText || text != "") && string(v) != "null"
		return nil
	})
	return found
}
