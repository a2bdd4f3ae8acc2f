// Own topics, and a part of the tree that nobody writes to.
package main

import (
	"bytes"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

type own struct{}

func (own) OnACL(e *sdk.ACLEvent) sdk.Verdict {
	user, topic := e.UsernameBytes(), e.TopicBytes()
	rest, mine := bytes.CutPrefix(topic, []byte("u/"))
	rest, named := bytes.CutPrefix(rest, user)
	switch {
	case mine && named && len(user) > 0 && len(rest) > 0 && rest[0] == '/':
		return sdk.Verdict{Action: sdk.Allow, CacheTTL: time.Minute}
	case bytes.HasPrefix(topic, []byte("admin/")) && e.Publish():
		return sdk.Verdict{Action: sdk.Deny, Reason: contract.ReasonNotAuthorized}
	}
	return sdk.Verdict{} // Next: not mine, ask the next plugin
}

var _ = sdk.Register(own{}) // in a package variable: a WASM module never runs main
func main()                 { sdk.Main() }
