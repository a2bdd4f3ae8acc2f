// Package main is the retainer plugin: it decides which retained messages are
// kept, for how long, and which new subscription gets them. The messages
// themselves stay in the broker's topic store.
package main

import (
	"errors"
	"strconv"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
)

// Retainer is the policy. It has no state but its configuration.
type Retainer struct{ cfg config }

var _ = sdk.Register(&Retainer{cfg: defaults()})

func main() { sdk.Main() }

// Configure replaces the configuration.
func (r *Retainer) Configure(text []byte) error {
	c, err := parse(text)
	if err != nil {
		return err
	}
	r.cfg = c
	return nil
}

// OnRetainedStore decides about one PUBLISH with RETAIN. What is not kept is
// routed all the same (emqx4 §9.4).
func (r *Retainer) OnRetainedStore(e *sdk.RetainEvent) sdk.Verdict {
	switch {
	case r.cfg.excludeSys && isSys(e.TopicBytes()):
		return sdk.Verdict{}
	case e.PayloadSize() == 0: // [MQTT-3.3.1-6, -7]
		return r.clear(e)
	case r.cfg.maxPayload > 0 && int64(e.PayloadSize()) > r.cfg.maxPayload:
		sdk.Log(sdk.Warn, "not retained: payload of "+strconv.Itoa(e.PayloadSize())+" bytes, topic "+e.Topic())
		return sdk.Verdict{}
	case r.full(e):
		sdk.Log(sdk.Warn, "not retained: "+strconv.Itoa(r.cfg.maxMessages)+" messages are kept already, topic "+e.Topic())
		return sdk.Verdict{}
	}
	if err := e.Keep(r.ttl(e)); err != nil {
		sdk.Log(sdk.Warn, "not retained: "+err.Error()+", topic "+e.Topic())
		return sdk.Verdict{}
	}
	return sdk.Verdict{Action: sdk.Allow}
}

// OnRetainedRead decides about one new subscription [MQTT-3.3.1-9, -10, -11].
// Shared subscriptions never come here.
func (r *Retainer) OnRetainedRead(e *sdk.RetainedReadEvent) sdk.Verdict {
	switch h := e.RetainHandling(); {
	case h == sendNever, h == sendIfNew && !e.New():
		return sdk.Verdict{}
	}
	if err := e.Deliver(); err != nil {
		sdk.Log(sdk.Error, "retained messages not sent: "+err.Error()+", filter "+e.Filter())
	}
	return sdk.Verdict{Action: sdk.Allow}
}

// Retain Handling [MQTT-3.8.3.1].
const (
	sendIfNew = 1
	sendNever = 2
)

// clear removes what is kept for the topic.
func (r *Retainer) clear(e *sdk.RetainEvent) sdk.Verdict {
	if err := e.Remove(); err != nil && !errors.Is(err, sdk.ErrNotFound) {
		sdk.Log(sdk.Error, "not cleared: "+err.Error()+", topic "+e.Topic())
	}
	if r.cfg.stopClear {
		return sdk.Verdict{Action: sdk.Drop}
	}
	return sdk.Verdict{Action: sdk.Allow}
}

// full tells whether the message would be one too many. A message that
// replaces another never is.
func (r *Retainer) full(e *sdk.RetainEvent) bool {
	if r.cfg.maxMessages == 0 {
		return false
	}
	kept, err := sdk.Kept("")
	if err != nil || kept < r.cfg.maxMessages {
		return false
	}
	same, err := sdk.Kept(e.Topic())
	return err == nil && same == 0
}

// ttl is how long the message is kept; 0: as long as it is valid. Its own
// Message Expiry Interval wins over the configuration.
func (r *Retainer) ttl(e *sdk.RetainEvent) time.Duration {
	if _, own := e.Expiry(); own {
		return 0
	}
	return r.cfg.expiry
}

func isSys(topic []byte) bool { return len(topic) >= 5 && string(topic[:5]) == "$SYS/" }
