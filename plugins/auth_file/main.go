// Package main is the auth_file plugin: clients are who a file of users and hashed
// passwords says. The broker compares the passwords, away from its event loops;
// the plugin knows users and rules, and never sees a hash fit.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// File answers by its lists of users and of client identifiers.
type File struct {
	// Immutable once configured.
	users, clients *list
	rule           string // client_id for users without one; "": any

	waiting map[sdk.Token]login
}

// login is a client whose password is being compared.
type login struct {
	who       *entry // nil: nobody that is known, the comparison is for show
	principal string
	clientID  string
}

var _ = sdk.Register(&File{users: &list{}, clients: &list{}})

func main() { sdk.Main() }

// patience is how long a client waits for its comparison. Behind a storm of
// logins it is the time in the line that counts.
const patience = 45 * time.Second

// reasons of refusal (5.0 §3.2.2.2).
const (
	clientIDNotValid = 0x85
	badCredentials   = 0x86
	serverBusy       = 0x89
)

// Configure reads the lists. Faults are told with their lines, and refuse the load.
func (f *File) Configure(config []byte) error {
	fresh := File{users: &list{}, clients: &list{}, waiting: map[sdk.Token]login{}}
	var faults []error
	err := flatjson.Object(config, func(key string, v flatjson.Value) error {
		text, ok := v.String()
		if !ok {
			return errors.New(key + " is not a text")
		}
		switch key {
		case "users":
			faults = append(faults, fresh.users.read(key, text)...)
		case "clients":
			faults = append(faults, fresh.clients.read(key, text)...)
		case "client_id":
			fresh.rule = text
		default:
			return errors.New("there is no key " + key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return explain(faults)
	}
	*f = fresh
	return nil
}

// OnAuthenticate looks for who it is about and lets the password be compared. A
// name that nobody has costs as much as one that somebody has.
func (f *File) OnAuthenticate(e *sdk.AuthEvent) sdk.Verdict {
	if e.Method() != "" {
		return sdk.Verdict{}
	}
	l := login{principal: e.Username(), clientID: e.ClientID()}
	of := f.users
	if l.who = f.clients.find(l.clientID); l.who != nil { // it is nobody else's
		l.principal, of = l.clientID, f.clients
	} else if e.UsernameBytes() != nil {
		l.who = f.users.find(l.principal)
	} else {
		l.principal, of = l.clientID, f.clients
	}
	password, given := e.Password()
	hash := of.decoy(l.principal)
	switch {
	case l.who != nil:
		hash = l.who.hash
	case hash == "":
		return sdk.Verdict{} // the list is empty
	}
	if !given {
		if l.who == nil {
			return sdk.Verdict{}
		}
		return sdk.Verdict{Action: sdk.Deny, Reason: badCredentials}
	}
	v, token := sdk.Later(patience)
	if err := sdk.VerifyPassword(uint64(token), hash, password); err != nil {
		return sdk.Verdict{Action: sdk.Deny, Reason: serverBusy, Text: "too many logins at a time"}
	}
	f.waiting[token] = l
	return v
}

// OnHashResult decides a login.
func (f *File) OnHashResult(e *sdk.HashResultEvent) {
	token := sdk.Token(e.ID())
	l, ok := f.waiting[token]
	if !ok {
		return
	}
	delete(f.waiting, token)
	// ErrNotFound: the client has gone.
	_ = token.Resume(f.decide(l, e.Match()))
}

// decide is the verdict when the comparison is done. A wrong password is refused
// without a text, as an unknown user is in the end: nobody learns which it was.
func (f *File) decide(l login, match bool) sdk.Verdict {
	switch {
	case l.who == nil:
		return sdk.Verdict{} // Next: not ours
	case !match:
		return sdk.Verdict{Action: sdk.Deny, Reason: badCredentials}
	case !f.mayBe(l):
		return sdk.Verdict{Action: sdk.Deny, Reason: clientIDNotValid, Text: "the user may not have this client id"}
	}
	return sdk.Verdict{Action: sdk.Allow, Login: &sdk.Login{Principal: l.principal, Superuser: l.who.superuser}}
}

// mayBe tells whether the user may have its client identifier.
func (f *File) mayBe(l login) bool {
	patterns := l.who.clientIDs
	if len(patterns) == 0 && f.rule != "" && l.who.list == f.users {
		patterns = []string{f.rule}
	}
	for _, p := range patterns {
		if covers(p, l.principal, l.clientID) {
			return true
		}
	}
	return len(patterns) == 0
}

// decoy is the hash that an unknown name is compared with: always the same one of
// the list, so that names that nobody has take the times that users take.
func (l *list) decoy(name string) string {
	if len(l.hashes) == 0 {
		return ""
	}
	sum := sha256.Sum256(append(l.key[:len(l.key):len(l.key)], name...))
	return l.hashes[binary.LittleEndian.Uint64(sum[:])%uint64(len(l.hashes))]
}
