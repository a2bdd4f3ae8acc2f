package sys

import (
	"context"
	"time"
)

// Condition is something that is either fine or wrong now.
type Condition struct {
	Name    string // of the alarm
	Message string
	Details map[string]any
}

// Watch looks at what nobody reports by itself and raises alarms for it.
type Watch struct {
	every  time.Duration
	alarms *Alarms
	checks []func() []Condition

	raised map[string]bool // owned by Run
}

// NewWatch returns a Watch that asks each check, once per period, for what is
// wrong now; what a check no longer names is over. Names must differ from those
// of other alarms. Run asks on one goroutine.
func NewWatch(every time.Duration, alarms *Alarms, checks ...func() []Condition) *Watch {
	return &Watch{every: every, alarms: alarms, checks: checks, raised: map[string]bool{}}
}

// Run watches until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	t := time.NewTicker(w.every)
	defer t.Stop()
	for {
		w.look()
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (w *Watch) look() {
	wrong := map[string]bool{}
	for _, check := range w.checks {
		for _, c := range check() {
			wrong[c.Name] = true
			if !w.raised[c.Name] {
				w.raised[c.Name] = w.alarms.Activate(c.Name, c.Message, c.Details)
			}
		}
	}
	for name := range w.raised {
		if !wrong[name] {
			w.alarms.Deactivate(name)
			delete(w.raised, name)
		}
	}
}
