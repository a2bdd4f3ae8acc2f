// Command meter is the plugin of make bench-plugins: it looks at each message's
// topic and lets all but one pass.
package main

import (
	"bytes"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
)

type meter struct{ refused []byte }

var _ = sdk.Register(&meter{refused: []byte("deny/")})

func main() { sdk.Main() }

// OnPublish refuses what is under deny/.
func (m *meter) OnPublish(e *sdk.MessageEvent) sdk.Verdict {
	if bytes.HasPrefix(e.TopicBytes(), m.refused) {
		return sdk.Verdict{Action: sdk.Deny}
	}
	return sdk.Verdict{}
}
