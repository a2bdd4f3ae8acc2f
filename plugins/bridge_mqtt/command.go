//go:build !wasip1

package main

import (
	"encoding/json"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
)

// OnCommand serves `dunlin ctl bridges`.
func (p *Plugin) OnCommand(name string, body []byte) ([]byte, error) {
	var in struct {
		Name string `json:"name"`
		Text string `json:"text"`
	}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, &sdk.CommandError{Kind: sdk.ErrInvalid, Text: err.Error()}
		}
	}
	switch name {
	case "bridges.list":
		list := []status{}
		for _, b := range p.set.Load().list {
			list = append(list, b.status())
		}
		return json.Marshal(list)
	case "bridges.import":
		text, notes, err := fromMosquitto(in.Text)
		if err != nil {
			return nil, &sdk.CommandError{Kind: sdk.ErrInvalid, Text: err.Error()}
		}
		return json.Marshal(map[string]any{"text": text, "notes": notes})
	case "bridges.show", "bridges.start", "bridges.stop":
	default:
		return nil, sdk.UnknownCommand(name)
	}
	b, err := p.find(in.Name)
	if err != nil {
		return nil, err
	}
	defer p.roomAgain()
	switch name {
	case "bridges.start":
		if p.opened() == nil {
			return nil, &sdk.CommandError{Kind: sdk.ErrDenied, Text: errClosed.Error()}
		}
		if !b.start() {
			return nil, &sdk.CommandError{Kind: sdk.ErrDenied, Text: "the bridge " + b.name + " is started already"}
		}
	case "bridges.stop":
		if !b.halt() {
			return nil, &sdk.CommandError{Kind: sdk.ErrDenied, Text: "the bridge " + b.name + " is not started"}
		}
	}
	return json.Marshal(b.status())
}
