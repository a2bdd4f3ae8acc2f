package main

import (
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
)

// begin has the broker call tick every second.
func (p *Plugin) begin() error { return sdk.SetTimer(0, time.Second) }

// OnTimer is a tick.
func (p *Plugin) OnTimer(*sdk.TimerEvent) {
	if err := p.begin(); err != nil {
		sdk.Log(sdk.Error, "rates are not renewed any more: "+err.Error())
	}
	p.tick(time.Now())
}
