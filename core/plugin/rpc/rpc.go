// Package rpc runs plugins as supervised processes over go-plugin and gRPC: the
// contract's frames on one long-lived stream. It owns starting, watching,
// restarting and ending the processes, and resends what a dead one had not
// answered. It refuses to know hooks and verdicts: frames go in, blocks come out.
package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Config bounds the supervision of processes. The zero value has the defaults.
type Config struct {
	StartTimeout time.Duration   // from exec to the first answer; default 10 s
	Ping         time.Duration   // between health checks; two missed ones are a fault; default 1 s
	Backoff      []time.Duration // waits before restarts, the last one repeats; default 0, 50 ms, 200 ms, 1 s, 5 s, 30 s
	MaxFaults    int             // within FaultWindow: then the plugin is quarantined; default 5
	FaultWindow  time.Duration   // default 60 s
	// Linger waits that long for more calls before a frame leaves; default 0.
	Linger time.Duration
}

func (c Config) defaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.StartTimeout, 10*time.Second)
	set(&c.Ping, time.Second)
	set(&c.FaultWindow, time.Minute)
	if c.Backoff == nil {
		c.Backoff = []time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second}
	}
	if c.MaxFaults == 0 {
		c.MaxFaults = 5
	}
	return c
}

// Transport opens process plugins. It implements [plugin.Transport].
type Transport struct {
	cfg   Config
	spawn *spawner
}

var _ plugin.Transport = (*Transport)(nil)

// New returns a transport. Close it when all its instances are closed.
func New(cfg Config) *Transport {
	return &Transport{cfg: cfg.defaults(), spawn: newSpawner()}
}

// Close ends the thread that starts processes. On Linux a process that is still
// running ends with it.
func (t *Transport) Close() { t.spawn.close() }

// Blocking is true: a call waits for another process.
func (t *Transport) Blocking() bool { return true }

// MaxRecords is the contract's limit for a frame to a process.
func (t *Transport) MaxRecords() int { return contract.MaxRecords }

// Open starts the plugin's process, greets and configures it. The executable is
// s.Code itself, not what lies at s.Path by now.
func (t *Transport) Open(ctx context.Context, s *plugin.Spec) (plugin.Instance, error) {
	if s.Services.TopicStore && !s.Granted("topicstore") {
		return nil, errors.New("the capability topicstore is not granted")
	}
	img, err := newImage(s.Name, s.Code)
	if err != nil {
		return nil, fmt.Errorf("executable of %s: %w", s.Path, err)
	}
	i := newInstance(t, s, img)
	p, err := i.start(ctx)
	if err != nil {
		return nil, errors.Join(err, img.close())
	}
	i.install(p) // nobody can have closed it yet
	i.wg.Go(i.supervise)
	return i, nil
}
