// Command asker is a plugin that has everything done by its host: logins by user
// name, so that a test can see what comes of each capability.
package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
)

type asker struct{ waiting map[uint64]sdk.Token }

var _ = sdk.Register(&asker{waiting: map[uint64]sdk.Token{}})

func main() { sdk.Main() }

func refuse(err error) sdk.Verdict {
	return sdk.Verdict{Action: sdk.Deny, Reason: 0x87, Text: err.Error()}
}

// OnAuthenticate does what the user name says, with the password as argument.
func (a *asker) OnAuthenticate(e *sdk.AuthEvent) sdk.Verdict {
	password, _ := e.Password()
	v, token := sdk.Later(20 * time.Second)
	var err error
	switch e.Username() {
	case "http":
		err = sdk.Fetch(uint64(token), sdk.Request{Method: "POST", URL: string(password), Headers: []string{"X-Client: " + e.ClientID()}, Body: []byte("hello")})
	case "hash":
		err = sdk.VerifyPassword(uint64(token), "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", password)
	case "nohash":
		err = sdk.VerifyPassword(uint64(token), "plain", password)
	case "timer":
		a.waiting[7] = token
		err = errors.Join(sdk.SetTimer(8, time.Hour), sdk.SetTimer(7, 20*time.Millisecond), sdk.SetTimer(8, 0))
	case "crash": // when the answer comes
		a.waiting[9] = token
		err = sdk.SetTimer(9, time.Millisecond)
	case "kv":
		return a.kv(string(password))
	case "metric":
		return a.count(string(password))
	case "session":
		return a.session(string(password))
	case "never":
		v, _ = sdk.Later(time.Millisecond)
		return v
	}
	if err != nil {
		return refuse(err)
	}
	return v
}

// OnHTTPResponse lets in whom the server calls by his own client id.
func (a *asker) OnHTTPResponse(e *sdk.HTTPResponseEvent) {
	v := sdk.Verdict{Action: sdk.Allow, Login: &sdk.Login{Principal: e.Header("x-principal")}}
	if e.Status() != 200 {
		v = refuse(fmt.Errorf("status %d %s", e.Status(), e.Err()))
	} else {
		v.Login.Tenant = string(e.BodyBytes())
	}
	resume(e.ID(), v)
}

// OnHashResult lets in whose password is right.
func (a *asker) OnHashResult(e *sdk.HashResultEvent) {
	v := sdk.Verdict{Action: sdk.Allow}
	if !e.Match() {
		v = refuse(errors.New("wrong " + e.Err()))
	}
	resume(e.ID(), v)
}

// OnTimer lets in who waited for it.
func (a *asker) OnTimer(e *sdk.TimerEvent) {
	if e.ID() == 9 {
		panic("crash")
	}
	resume(uint64(a.waiting[uint64(e.ID())]), sdk.Verdict{Action: sdk.Allow})
}

func resume(id uint64, v sdk.Verdict) {
	if err := sdk.Token(id).Resume(v); err != nil {
		sdk.Log(sdk.Error, "resume: "+err.Error())
	}
}

// kv tries all of the key space and tells what came of it.
func (a *asker) kv(key string) sdk.Verdict {
	_, err := sdk.Get(key)
	said := []string{fmt.Sprint(err)}
	long := strings.Repeat("x", 2000)
	said = append(said, fmt.Sprint(sdk.Swap(key, nil, []byte("a"))), fmt.Sprint(sdk.Swap(key, []byte("b"), nil)),
		fmt.Sprint(sdk.Set(key, []byte(long), time.Hour)))
	got, err := sdk.Get(key)
	n, _ := sdk.Increment(key+"#", 5)
	m, _ := sdk.Increment(key+"#", 6)
	said = append(said, fmt.Sprint(string(got) == long, err, n, m), fmt.Sprint(sdk.Delete(key)), fmt.Sprint(sdk.Delete(key)), fmt.Sprint(sdk.Set("", nil, 0)))
	return refuse(errors.New(strings.Join(said, ",")))
}

// count tries all that can be done to a metric and tells what came of it.
func (a *asker) count(name string) sdk.Verdict {
	sdk.SetGauge(7, 2)
	var said []string
	for _, err := range []error{
		sdk.Count(name, 1), sdk.Count(name, 2.5), sdk.Measure("level", -1), sdk.Measure("gone", 1), sdk.RemoveMetric("gone"), sdk.RemoveMetric("gone"),
		sdk.Count("", 1),
	} {
		said = append(said, fmt.Sprint(err))
	}
	return refuse(errors.New(strings.Join(said, ",")))
}

// session tells of a client and ends its connection.
func (a *asker) session(id string) sdk.Verdict {
	c, err := sdk.Client(id)
	if err != nil {
		return refuse(err)
	}
	return refuse(fmt.Errorf("%s %s %d, %v", c.ClientID(), c.Username(), c.KeepAlive(), sdk.Kick(id)))
}
