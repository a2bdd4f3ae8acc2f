// Package main is the auth_scram plugin: MQTT 5 clients prove with SCRAM-SHA-256
// or SCRAM-SHA-512 that they know their password (RFC 5802, RFC 7677), and the
// broker proves that it knows them. Neither sends the password.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// Scram knows the users. It is immutable once configured.
type Scram struct {
	users      map[who]secret
	decoy      []byte // key of the salts of users that do not exist
	iterations int    // of such users
}

var _ = sdk.Register(&Scram{})

func main() { sdk.Main() }

// Configure reads the users. Every fault is told with its line, and refuses the load.
func (s *Scram) Configure(config []byte) error {
	text, name := "", "users"
	err := flatjson.Object(config, func(key string, v flatjson.Value) error {
		var ok bool
		switch key {
		case "users":
			text, ok = v.String()
		case "name":
			name, ok = v.String()
		default:
			return errors.New("there is no key " + key)
		}
		if !ok {
			return errors.New(key + " is not a text")
		}
		return nil
	})
	if err != nil {
		return err
	}
	users, err := parseUsers(text)
	if err != nil {
		return errors.New(name + ": " + err.Error())
	}
	sum := sha256.Sum256([]byte("dunlin decoy\x00" + text))
	s.users, s.decoy, s.iterations = users, sum[:], minIterations
	for _, u := range users {
		s.iterations = max(s.iterations, u.iterations)
	}
	return nil
}

// find returns the user's secret. For a user that does not exist it is one that
// no proof fits, always the same, so that nobody learns which users there are.
func (s *Scram) find(m mechanism, user string) secret {
	if u, ok := s.users[who{m, user}]; ok {
		return u
	}
	return secret{
		iterations: s.iterations, salt: m.mac(s.decoy, user)[:16],
		storedKey: m.mac(s.decoy, "stored "+user), serverKey: m.mac(s.decoy, "server "+user),
	}
}

const (
	badCredentials = 0x86
	notAuthorized  = 0x87
	protocolError  = 0x82
)

// OnAuthenticate begins an exchange; other methods are left to other plugins.
func (s *Scram) OnAuthenticate(e *sdk.AuthEvent) sdk.Verdict {
	m := mechanism(e.Method())
	if m != sha256Mech && m != sha512Mech {
		return sdk.Verdict{}
	}
	if len(e.DataBytes()) == 0 { // the client wants to be asked
		return sdk.Verdict{Action: sdk.Continue, Login: &sdk.Login{Reply: []byte{}, State: []byte("asked")}}
	}
	return s.begin(m, e)
}

// OnAuthContinue goes on with one.
func (s *Scram) OnAuthContinue(e *sdk.AuthEvent) sdk.Verdict {
	m := mechanism(e.Method())
	if bytes.Equal(e.StateBytes(), []byte("asked")) {
		return s.begin(m, e)
	}
	x, ok := unmarshal(e.StateBytes())
	if !ok {
		return refuse(protocolError, "no exchange is going on")
	}
	proof, ok, err := x.finish(m, string(e.DataBytes()), s.find(m, x.user))
	switch {
	case err != nil:
		return refuse(protocolError, err.Error())
	case !ok:
		return refuse(badCredentials, "wrong user or password")
	}
	return sdk.Verdict{Action: sdk.Allow, Login: &sdk.Login{Principal: x.user, Reply: []byte(proof)}}
}

func (s *Scram) begin(m mechanism, e *sdk.AuthEvent) sdk.Verdict {
	data := e.DataBytes()
	if bytes.IndexByte(data, 0) >= 0 {
		return refuse(protocolError, errMalformed.Error())
	}
	x, err := begin(m, string(data), newNonce(), func(user string) secret { return s.find(m, user) })
	switch {
	case err != nil:
		return refuse(protocolError, err.Error())
	case e.UsernameBytes() != nil && e.Username() != x.user:
		return refuse(notAuthorized, "the user of SCRAM is not that of the CONNECT")
	case e.Flags().Has(sdk.Reauth) && e.Principal() != x.user:
		return refuse(notAuthorized, "a client stays the user that it is")
	}
	return sdk.Verdict{Action: sdk.Continue, Login: &sdk.Login{Reply: []byte(x.serverFirst), State: x.marshal()}}
}

func refuse(reason byte, text string) sdk.Verdict {
	return sdk.Verdict{Action: sdk.Deny, Reason: reason, Text: text}
}
