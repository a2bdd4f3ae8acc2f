//go:build !wasip1

package main

import "time"

// begin calls tick every second: a process has a clock of its own.
func (p *Plugin) begin() error {
	go func() {
		for now := range time.Tick(time.Second) {
			p.tick(now)
		}
	}()
	return nil
}
