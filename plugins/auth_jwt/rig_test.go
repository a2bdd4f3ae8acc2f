//go:build !wasip1

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// rig is the plugin with a host and a clock of the test.
type rig struct {
	t       *testing.T
	run     *sdk.Runner
	plugin  *JWT
	now     time.Time
	fetches int
	timer   bool                        // one is set
	refuse  map[contract.Call]int64     // calls that fail
	decided map[uint64]contract.Verdict // by token
	log     strings.Builder
}

func newRig(t *testing.T, more map[string]any) *rig {
	t.Helper()
	r := &rig{t: t, plugin: &JWT{}, now: time.Now(), refuse: map[contract.Call]int64{}, decided: map[uint64]contract.Verdict{}}
	r.run = sdk.NewRunner(r.plugin, r)
	config := map[string]any{"jwks": "https://idp.example/keys", "jwks_refresh_interval": "5m", "jwks_max_age": "1h"}
	for k, v := range more {
		config[k] = v
	}
	text, _ := json.Marshal(map[string]any{"config": config})
	if err := r.run.Init(text); err != nil {
		t.Fatal(err)
	}
	return r
}

// Call implements sdk.Host.
func (r *rig) Call(c contract.HostCall) (int64, []byte) {
	if n := r.refuse[c.Call]; n != 0 {
		return n, nil
	}
	switch c.Call {
	case contract.CallHTTPStart:
		r.fetches++
		q, err := contract.ParseRequest(c.Data)
		if err != nil || q.URL != "https://idp.example/keys" || q.Method != "GET" {
			r.t.Errorf("%v: %+v", err, q)
		}
	case contract.CallTimerSet:
		r.timer = true
	case contract.CallLog:
		r.log.Write(c.Data)
	case contract.CallResume:
		var w contract.Writer
		w.Begin(contract.Header{Hook: contract.HookAuthenticate})
		w.End()
		var vs contract.Verdicts
		if err := vs.Load(w.Frame(), 1, append([]byte(nil), c.Data...)); err != nil {
			r.t.Errorf("resume: %v", err)
			return int64(contract.ErrnoInvalid), nil
		}
		r.decided[c.Seq] = vs.At(0)
	}
	return 0, nil
}

// login logs in; pending: the verdict comes later, for the token.
func (r *rig) login(text string) (v contract.Verdict, token uint64, pending bool) {
	r.t.Helper()
	var w contract.Writer
	w.Begin(contract.Header{Hook: contract.HookAuthenticate, Conn: 1, Time: uint64(r.now.UnixNano())})
	w.String(contract.SlotClientID, "c1")
	w.String(contract.SlotUsername, "u1")
	w.String(contract.SlotPassword, text)
	w.End()
	block := append([]byte(nil), r.run.Frame(w.Frame(), 1)...)
	var vs contract.Verdicts
	if err := vs.Load(w.Frame(), 1, block); err != nil {
		r.t.Fatal(err)
	}
	v = vs.At(0)
	token, _, pending = v.Pending()
	return v, token, pending
}

// want insists on a verdict at once.
func (r *rig) want(what, text string, action contract.Action, reason byte) {
	r.t.Helper()
	if v, _, pending := r.login(text); pending || v.Action != action || v.Reason != reason {
		r.t.Errorf("%s: %v %#x, pending %v; want %v %#x", what, v.Action, v.Reason, pending, action, reason)
	}
}

// waits insists that the verdict comes later.
func (r *rig) waits(what, text string) uint64 {
	r.t.Helper()
	v, token, pending := r.login(text)
	if !pending {
		r.t.Fatalf("%s: decided at once: %v %#x", what, v.Action, v.Reason)
	}
	return token
}

// respond answers the fetch; status 0: the server is down.
func (r *rig) respond(status int, body string) {
	r.t.Helper()
	var w contract.Writer
	w.Begin(contract.Header{Hook: contract.HookHTTPResponse, Time: uint64(r.now.UnixNano()), Aux: uint32(status)})
	w.Uint64(contract.SlotID, 0)
	if status == 0 {
		w.String(contract.SlotError, "connection refused")
	} else {
		w.String(contract.SlotAnswerBody, body)
	}
	w.End()
	r.run.Frame(w.Frame(), 1)
}

// got insists on a verdict that came later.
func (r *rig) got(what string, token uint64, action contract.Action, reason byte) {
	r.t.Helper()
	if v, ok := r.decided[token]; !ok || v.Action != action || v.Reason != reason {
		r.t.Errorf("%s: decided %v, %v %#x; want %v %#x", what, ok, v.Action, v.Reason, action, reason)
	}
}

// set is a JWK set of the pairs with these names.
func set(names ...string) string {
	var all struct {
		Keys []map[string]any `json:"keys"`
	}
	_ = json.Unmarshal([]byte(jwks()), &all)
	var keys []map[string]any
	for _, k := range all.Keys {
		for _, n := range names {
			if k["kid"] == n {
				keys = append(keys, k)
			}
		}
	}
	text, _ := json.Marshal(map[string]any{"keys": keys})
	return string(text)
}
