// Logins from the configuration: [config] alice = "s3cret".
package main

import (
	"crypto/subtle"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

type logins map[string]string

func (l logins) Configure(config []byte) error {
	return flatjson.Object(config, func(user string, v flatjson.Value) error { l[user], _ = v.String(); return nil })
}

func (l logins) OnAuthenticate(e *sdk.AuthEvent) sdk.Verdict {
	want, known := l[e.Username()]
	if got, _ := e.Password(); !known {
		return sdk.Verdict{} // Next: not mine, ask the next plugin
	} else if subtle.ConstantTimeCompare(got, []byte(want)) != 1 {
		return sdk.Verdict{Action: sdk.Deny, Reason: contract.ReasonBadUserOrPassword, Text: "wrong password"}
	}
	own := contract.Permission{Filter: "u/" + e.Username() + "/#", Publish: true, Subscribe: true, Allow: true, MaxQoS: 2, Retain: true}
	return sdk.Verdict{Action: sdk.Allow, Login: &sdk.Login{Principal: e.Username(), Permissions: []contract.Permission{own}}}
}

var _ = sdk.Register(logins{}) // in a package variable: a WASM module never runs main
func main()                    { sdk.Main() }
