// Moves old topics, drops empty messages, keeps secrets in.
package main

import (
	"strings"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

type mover struct{}

func (mover) OnPublish(e *sdk.MessageEvent) sdk.Verdict {
	if topic := e.Topic(); strings.HasPrefix(topic, "secret/") {
		return sdk.Verdict{Action: sdk.Deny, Reason: contract.ReasonNotAuthorized, Text: "secret"}
	} else if e.PayloadSize() == 0 {
		return sdk.Verdict{Action: sdk.Drop}
	} else if rest, old := strings.CutPrefix(topic, "old/"); old {
		topic, retain := "new/"+rest, false
		return sdk.Verdict{Action: sdk.Rewrite, Message: &sdk.MessageChange{Topic: &topic, Retain: &retain}}
	}
	return sdk.Verdict{} // Next: as it is
}

var _ = sdk.Register(mover{}) // in a package variable: a WASM module never runs main
func main()                   { sdk.Main() }
