//go:build !linux

package conn

import (
	"errors"
	"time"
)

// nests: a loop cannot wait for another.
const nests = false

// poller is a loop's wait where connections have goroutines of their own: it
// knows timers and wakes only.
type poller struct{ wakes chan struct{} }

func newPoller() (*poller, error) { return &poller{wakes: make(chan struct{}, 1)}, nil }

func (p *poller) close() {}

// wake ends a wait.
func (p *poller) wake() {
	select {
	case p.wakes <- struct{}{}:
	default:
	}
}

// wait blocks for timeout, negative: until a wake. There are no events.
func (p *poller) wait(timeout time.Duration) int {
	if timeout < 0 {
		<-p.wakes
		return 0
	}
	t := time.NewTimer(timeout)
	defer t.Stop()
	select {
	case <-p.wakes:
	case <-t.C:
	}
	return 0
}

func (p *poller) idle() int { return 0 }

func (p *poller) hold(time.Duration) int { return 0 }

// wakeSlot is what a wake reports where there are events.
const wakeSlot = -1

func (p *poller) event(int) (slot int32, bits uint32) { return -1, 0 }

var errNoPoll = errors.New("this system has no descriptors to poll")

func (p *poller) add(fd, slot int32) error { return errNoPoll }

func (p *poller) addSet(o *poller, slot int32) error { return errNoPoll }

func (p *poller) removeSet(o *poller) {}

func (p *poller) addWritable(fd, slot int32) error { return errNoPoll }
