// Command rogue is a process plugin that does to its host what the last level of a
// topic says.
package main

import (
	"fmt"
	"os"
	"strings"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
)

type rogue struct{}

var _ = sdk.Register(rogue{})

func main() { sdk.Main() }

// OnPublish misbehaves.
func (rogue) OnPublish(e *sdk.MessageEvent) sdk.Verdict {
	act, evil := strings.CutPrefix(e.Topic(), "evil/")
	if !evil {
		return sdk.Verdict{}
	}
	switch act {
	case "exit":
		os.Exit(1)
	case "hang":
		select {}
	case "flood":
		for i := range 20_000 {
			fmt.Fprintln(os.Stderr, "a line of the flood", i)
			sdk.Log(sdk.Warn, "a line of the flood")
			sdk.AddCounter(1, 1)
		}
	case "garbage":
		return sdk.Verdict{Action: 99}
	}
	return sdk.Verdict{}
}
