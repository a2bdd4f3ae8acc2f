package contract

import (
	"bytes"
	"strings"
)

// Bounds of timers and requests of guests.
const (
	MaxTimer       = 24 * 60 * 60 * 1000 // milliseconds
	MaxHTTPTimeout = 60_000              // milliseconds
)

// HeaderRedirect is a header of a guest's request that is for the broker: with the
// value "no" a redirection is an answer like others and not followed.
const HeaderRedirect = "Dunlin-Redirect"

var errRequest = fault("want METHOD URL, lines of headers, an empty line, the body")

// Request is an HTTP request as guests write it: a line "METHOD URL", a line "Name:
// value" for each header, an empty line, the body. Lines end with \n.
type Request struct {
	Method, URL string
	Headers     []string // "Name: value"
	Body        []byte
}

// ParseRequest reads a request; Body is a view of b.
func ParseRequest(b []byte) (Request, error) {
	head, body, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		return Request{}, errRequest
	}
	lines := strings.Split(string(head), "\n")
	method, url, ok := strings.Cut(lines[0], " ")
	if !ok || method == "" || url == "" || strings.ContainsAny(string(head), "\r\x00") {
		return Request{}, errRequest
	}
	for _, l := range lines[1:] {
		if name, _, ok := strings.Cut(l, ":"); !ok || name == "" {
			return Request{}, errRequest
		}
	}
	return Request{method, url, lines[1:], body}, nil
}

// Append appends the request's text.
func (r Request) Append(dst []byte) []byte {
	dst = append(append(append(dst, r.Method...), ' '), r.URL...)
	for _, h := range r.Headers {
		dst = append(append(dst, '\n'), h...)
	}
	return append(append(dst, "\n\n"...), r.Body...)
}
