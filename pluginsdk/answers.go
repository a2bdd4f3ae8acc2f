package sdk

import (
	"bytes"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// What a plugin asks for here is answered later, by a handler of the same instance:
// nothing blocks. An id that the plugin chooses comes back with the answer; the
// Token of an event that waits for it is a good one. A broker that throws the
// instance away throws the answers away too.
type (
	// TimerHandler gets the timers that SetTimer has set.
	TimerHandler interface{ OnTimer(e *TimerEvent) }
	// HTTPResponseHandler gets the answers to Fetch.
	HTTPResponseHandler interface{ OnHTTPResponse(e *HTTPResponseEvent) }
	// HashResultHandler gets the answers to VerifyPassword.
	HashResultHandler interface{ OnHashResult(e *HashResultEvent) }
)

// bindAnswers registers the handlers of answers.
func (d *dispatcher) bindAnswers(p any) {
	if h, ok := p.(TimerHandler); ok {
		var ev TimerEvent
		d.told(contract.HookTimer, func(r contract.Record, i int) { ev.Event = Event{r, i}; h.OnTimer(&ev) })
	}
	if h, ok := p.(HTTPResponseHandler); ok {
		var ev HTTPResponseEvent
		d.told(contract.HookHTTPResponse, func(r contract.Record, i int) { ev.Event = Event{r, i}; h.OnHTTPResponse(&ev) })
	}
	if h, ok := p.(HashResultHandler); ok {
		var ev HashResultEvent
		d.told(contract.HookHashResult, func(r contract.Record, i int) { ev.Event = Event{r, i}; h.OnHashResult(&ev) })
	}
}

// SetTimer calls OnTimer with the id after so long, once, in place of a timer with
// the id that was set before; 0 stops it (capability "timer"). At most a day.
// [ErrQuota]: there are too many.
func SetTimer(id uint32, after time.Duration) error {
	ms := int64(0)
	if after > 0 {
		ms = max(1, after.Milliseconds())
	}
	if ms > contract.MaxTimer || after < 0 {
		return ErrInvalid
	}
	return errnoOf(hostTimer(id, int32(ms)))
}

// TimerEvent is a timer whose time has come.
type TimerEvent struct{ Event }

// ID is the timer's id.
func (e *TimerEvent) ID() uint32 { return e.rec.Aux() }

// Request is an HTTP request.
type Request struct {
	Method  string // "": GET
	URL     string
	Headers []string // "Name: value"
	Body    []byte
	Timeout time.Duration // 0: 5 s; at most a minute
	// NoRedirect makes a redirection an answer like others. Without it one that
	// leads to a granted origin is followed: what it leads to may answer 200 to
	// everything, as pages for people do.
	NoRedirect bool
}

// Fetch makes an HTTP request (capability "http" for the URL's scheme, host and
// port) and calls OnHTTPResponse with the id. [ErrDenied]: not granted;
// [ErrQuota]: too many are under way; [ErrInvalid]: no request.
func Fetch(id uint64, r Request) error {
	if r.Method == "" {
		r.Method = "GET"
	}
	if r.Timeout == 0 {
		r.Timeout = 5 * time.Second
	}
	if r.Timeout < 0 || r.Timeout.Milliseconds() > contract.MaxHTTPTimeout {
		return ErrInvalid
	}
	headers := r.Headers
	if r.NoRedirect {
		headers = append(headers[:len(headers):len(headers)], contract.HeaderRedirect+": no")
	}
	b := contract.Request{Method: r.Method, URL: r.URL, Headers: headers, Body: r.Body}.Append(nil)
	return errnoOf(hostFetch(id, b, int32(max(1, r.Timeout.Milliseconds()))))
}

// HTTPResponseEvent is the answer to a request.
type HTTPResponseEvent struct{ Event }

// ID is the id that Fetch was given.
func (e *HTTPResponseEvent) ID() uint64 { return answerID(e.rec) }

// Status is the status code; 0 if there is no response.
func (e *HTTPResponseEvent) Status() int { return int(e.rec.Aux()) }

// Err says why there is no response; "": there is.
func (e *HTTPResponseEvent) Err() string { return string(e.rec.Slot(contract.SlotError)) }

// BodyBytes is the body, without a copy.
func (e *HTTPResponseEvent) BodyBytes() []byte { return e.rec.Slot(contract.SlotAnswerBody) }

// Header is the first value of a header, "" if there is none.
func (e *HTTPResponseEvent) Header(name string) string {
	for l := range bytes.SplitSeq(e.rec.Slot(contract.SlotHeaders), []byte("\n")) {
		if n, v, ok := bytes.Cut(l, []byte(": ")); ok && strings.EqualFold(string(n), name) {
			return string(v)
		}
	}
	return ""
}

// VerifyPassword compares a password with a stored hash (capability "hash") on the
// broker's side, where it holds up nobody, and calls OnHashResult with the id. Known
// are bcrypt, argon2id, pbkdf2-sha256 and -sha512, crypt's SHA-2 ($5$, $6$) and
// the hashes of mosquitto_passwd. [ErrQuota]: too many are under way.
func VerifyPassword(id uint64, hash string, password []byte) error {
	return errnoOf(hostHash(id, hash, password))
}

// HashResultEvent is the answer to a comparison.
type HashResultEvent struct{ Event }

// ID is the id that VerifyPassword was given.
func (e *HashResultEvent) ID() uint64 { return answerID(e.rec) }

// Match tells whether the password belongs to the hash.
func (e *HashResultEvent) Match() bool { return e.rec.Aux() == 1 }

// Err says what is wrong with the hash; "": nothing.
func (e *HashResultEvent) Err() string { return string(e.rec.Slot(contract.SlotError)) }

func answerID(r contract.Record) uint64 {
	id, _ := r.Uint64(contract.SlotID)
	return id
}

// ForgetVerdicts makes the broker forget what OnACL has let it remember about topics
// that begin with prefix; "": everything. Answers about filters are all forgotten.
func ForgetVerdicts(prefix string) error { return errnoOf(hostForget(prefix)) }

// Client tells of a connected client (capability "session"). [ErrNotFound]: no
// client with the id is connected to this node.
func Client(id string) (*ClientEvent, error) {
	b, n := hostSession(id)
	if n < 0 {
		return nil, contract.Errno(n)
	}
	rec, _, err := contract.Split(b)
	if err != nil {
		return nil, contract.ErrnoInternal
	}
	return &ClientEvent{Event{rec: rec}}, nil
}

// Kick ends a client's connection, as an operator does (capability "session").
// [ErrNotFound]: no client with the id is connected to this node.
func Kick(id string) error { return errnoOf(hostKick(id)) }
