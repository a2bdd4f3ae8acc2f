package main

import (
	"strconv"
	"strings"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
	"github.com/dunlinmq/dunlin/pluginsdk/placeholder"
)

// remote is a JWK set that is fetched from a URL, and the logins that wait for it.
// Each instance of the plugin has its own.
type remote struct {
	// Immutable.
	url      string
	interval time.Duration // a set this old is fetched again
	maxAge   time.Duration // a set older than this is not used

	keys    []key
	set     string    // the set as it was fetched
	fetched time.Time // when; zero: never
	tried   time.Time // when the last fetch began; zero: never
	asking  bool      // one is under way
	silent  bool      // nobody had asked for long before it: logins wait for it
	waiting []waiter
	bytes   int // of the tokens that wait
}

// waiter is a login that is judged when the set is there.
type waiter struct {
	login sdk.Token
	text  string
	who   placeholder.Client
}

// Bounds of what one set costs.
const (
	fetchGap     = 10 * time.Second // between fetches: tokens of unknown keys cannot cause more
	fetchTimeout = 5 * time.Second
	patience     = 30 * time.Second // of a login
	maxWaiting   = 2 << 20          // bytes of tokens that wait
	turnWork     = 8                // RSA signatures after which a turn ends
	maxKeys      = 64
)

// dead tells that there is no set, or that it is too old to be believed.
func (r *remote) dead(now time.Time) bool {
	return r.fetched.IsZero() || now.Sub(r.fetched) > r.maxAge
}

// usable are the keys of the set that may be believed.
func (r *remote) usable(now time.Time) []key {
	if r.dead(now) {
		return nil
	}
	return r.keys
}

// fetch asks for the set, if it was not asked for just now.
func (r *remote) fetch(now time.Time) {
	if r.asking || !r.tried.IsZero() && now.Sub(r.tried) < fetchGap {
		return
	}
	r.silent = now.Sub(r.tried) > 2*r.interval
	r.tried = now
	err := sdk.Fetch(0, sdk.Request{URL: r.url, Headers: []string{"Accept: application/jwk-set+json, application/json"}, Timeout: fetchTimeout})
	switch err {
	case nil:
		r.asking = true
	case sdk.ErrDenied:
		sdk.Log(sdk.Error, "jwks: "+r.url+": it is not granted: [plugin] grant has to name http:SCHEME://HOST:PORT of it")
	default:
		sdk.Log(sdk.Error, "jwks: "+r.url+": "+err.Error())
	}
}

// refresh asks for the set when it is time to. Logins do not wait for that while
// there is a set, unless nobody has asked for long: then it may be very old.
func (r *remote) refresh(now time.Time) (wait bool) {
	if r.fetched.IsZero() || now.Sub(r.fetched) > r.interval {
		r.fetch(now)
	}
	return r.asking && (r.silent || r.dead(now))
}

// park lets a login wait for the set.
func (r *remote) park(text string, who placeholder.Client) sdk.Verdict {
	if r.bytes+len(text) > maxWaiting {
		return refuse(serverBusy, "too many logins wait for the keys")
	}
	v, token := sdk.Later(patience)
	r.waiting = append(r.waiting, waiter{token, text, who})
	r.bytes += len(text)
	return v
}

// answered takes the set that has come, or goes on with the one there is.
func (r *remote) answered(e *sdk.HTTPResponseEvent) {
	r.asking = false
	why := e.Err()
	switch {
	case e.Status() == 200:
		why = r.take(string(e.BodyBytes()), e.Time())
	case e.Status() != 0:
		why = "status " + strconv.Itoa(e.Status())
	}
	switch {
	case why == "":
	case r.dead(e.Time()):
		sdk.Log(sdk.Error, "jwks: "+r.url+": "+why+"; there are no keys, tokens are refused")
	default:
		sdk.Log(sdk.Warn, "jwks: "+r.url+": "+why+"; the keys of "+r.fetched.UTC().Format(time.RFC3339)+" hold until "+r.fetched.Add(r.maxAge).UTC().Format(time.RFC3339))
	}
}

// take reads a set; it says what is wrong with it.
func (r *remote) take(set string, at time.Time) string {
	if set == r.set && set != "" {
		r.fetched = at
		return ""
	}
	keys, err := parsePublicJWKS([]byte(set), func(err error) { sdk.Log(sdk.Warn, "jwks: "+r.url+": "+err.Error()+"; it is left out") })
	if err != nil {
		return err.Error()
	}
	r.keys, r.set, r.fetched = keys, set, at
	sdk.Log(sdk.Info, "jwks: "+r.url+": "+strconv.Itoa(len(keys))+" keys, for "+usable(keys))
	return ""
}

// isURL tells whether the value of jwks names a set, and is none.
func isURL(text string) bool {
	return strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://")
}

// state is what the next version of the plugin takes over, so that a reload while
// the server is down refuses nobody.
func (r *remote) state() []byte {
	if r.fetched.IsZero() {
		return nil
	}
	b := flatjson.AppendString([]byte(`{"url":`), r.url)
	b = flatjson.AppendString(append(b, `,"set":`...), r.set)
	return append(strconv.AppendInt(append(b, `,"fetched":`...), r.fetched.UnixNano(), 10), '}')
}

// restore takes over a state, if it is about the same URL.
func (r *remote) restore(state []byte) error {
	var url, set string
	var at int64
	err := flatjson.Object(state, func(key string, v flatjson.Value) error {
		switch key {
		case "url":
			url, _ = v.String()
		case "set":
			set, _ = v.String()
		case "fetched":
			at, _ = v.Int()
		}
		return nil
	})
	if err != nil || url != r.url {
		return err
	}
	r.take(set, time.Unix(0, at))
	return nil
}
