// Command keeper is the plugin of the tests of the class consume: it takes messages
// or does not, as its configuration says, and publishes what it has taken.
package main

import (
	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

type keeper struct{ take bool }

var _ = sdk.Register(&keeper{})

func main() { sdk.Main() }

// Configure reads {"take": true}.
func (k *keeper) Configure(config []byte) error {
	return flatjson.Object(config, func(_ string, v flatjson.Value) error {
		k.take = string(v) == "true"
		return nil
	})
}

// OnMessage passes a message on, once it takes any.
func (k *keeper) OnMessage(e *sdk.MessageEvent) sdk.Verdict {
	if !k.take {
		return sdk.Verdict{Action: sdk.Deny, Text: "not yet"}
	}
	if err := sdk.Publish(sdk.Message{Topic: "done/" + e.Topic(), Payload: append([]byte(nil), e.PayloadBytes()...), QoS: 1}); err != nil {
		return sdk.Verdict{Action: sdk.Deny, Text: err.Error()}
	}
	return sdk.Verdict{}
}
