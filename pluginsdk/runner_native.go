//go:build !wasip1

package sdk

import "github.com/dunlinmq/dunlin/pluginsdk/contract"

// Runner runs a plugin in this process, through the same frames as the other
// transports: for a plugin's own tests. One Runner may be used at a time.
type Runner struct{ d dispatcher }

// NewRunner makes p the plugin of this program and h its host (nil: every host
// call fails).
func NewRunner(p any, h Host) *Runner {
	Register(p)
	attach(h)
	return &Runner{d: plugged}
}

// Hooks are the hooks that the plugin implements.
func (r *Runner) Hooks() contract.HookSet { return r.d.hooks }

// Init hands the plugin its init message, a JSON object as in
// contract.InitMessage.
func (r *Runner) Init(message []byte) error { return r.d.start(message) }

// Frame hands the plugin a frame of n records and returns its verdict block,
// valid until the next call.
func (r *Runner) Frame(frame []byte, n int) []byte { return r.d.frame(frame, n) }
