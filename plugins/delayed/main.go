// Package main is the delayed plugin: messages to $delayed/<seconds>/<topic> are
// published to the topic later, as EMQ X 4's emqx_mod_delayed did (emqx4 §9.2).
package main

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// prefix is what the topics begin with.
const prefix = "$delayed/"

// maxSeconds is EMQ X 4's bound: a smaller number is seconds from now on, any other
// a time, at most so many seconds ahead.
const maxSeconds = contract.MaxSchedule / 1000

// Delayed hands messages to the broker to be kept. Immutable once configured.
type Delayed struct {
	most int64 // messages that may wait; 0: no limit
}

// defaultMost takes about 40 MB of the broker's memory when it is reached.
const defaultMost = 1_000_000

var _ = sdk.Register(&Delayed{most: defaultMost})

func main() { sdk.Main() }

// Configure reads the one key, max_delayed_messages.
func (d *Delayed) Configure(config []byte) error {
	d.most = defaultMost
	return flatjson.Object(config, func(key string, v flatjson.Value) error {
		if key != "max_delayed_messages" {
			return errors.New("there is no key " + key)
		}
		n, ok := v.Int()
		if !ok || n < 0 {
			return errors.New("max_delayed_messages = " + string(v) + ": want a number from 0")
		}
		d.most = n
		return nil
	})
}

// OnPublish keeps the message, or refuses it: nothing is published at once, and
// nothing to a topic that begins with $delayed/.
func (d *Delayed) OnPublish(e *sdk.MessageEvent) sdk.Verdict {
	rest, ok := bytes.CutPrefix(e.TopicBytes(), []byte(prefix))
	if !ok {
		return sdk.Verdict{}
	}
	number, topic, ok := bytes.Cut(rest, []byte("/"))
	seconds, fits := parse(number)
	switch {
	case !ok || len(topic) == 0:
		return refuse(contract.ReasonTopicNameInvalid, "want $delayed/<seconds>/<topic>")
	case !fits:
		return refuse(contract.ReasonTopicNameInvalid, "the second level is not a number of seconds or a Unix time")
	}
	if n, err := sdk.Delayed(); err == nil && d.most > 0 && int64(n) >= d.most {
		return refuse(contract.ReasonQuotaExceeded, "max_delayed_messages wait already")
	}
	var err error
	switch now := e.Time().Unix(); {
	case seconds < maxSeconds:
		_, err = e.DelayFor(string(topic), time.Duration(seconds)*time.Second)
	case seconds-now > maxSeconds:
		return refuse(contract.ReasonTopicNameInvalid, "the time is more than "+strconv.Itoa(maxSeconds)+" seconds ahead")
	default:
		_, err = e.DelayUntil(string(topic), time.Unix(seconds, 0))
	}
	switch {
	case errors.Is(err, sdk.ErrQuota):
		return refuse(contract.ReasonQuotaExceeded, "the disk is full")
	case errors.Is(err, sdk.ErrInvalid):
		return refuse(contract.ReasonTopicNameInvalid, "not a topic or not a time")
	case err != nil: // as everything that waits for a store that has failed
		return refuse(contract.ReasonImplementationSpecific, "the message cannot be kept: "+err.Error())
	}
	return sdk.Verdict{Action: sdk.Drop}
}

func refuse(reason byte, text string) sdk.Verdict {
	return sdk.Verdict{Action: sdk.Deny, Reason: reason, Text: text}
}

// parse reads a decimal number without a sign. So many digits are a time far beyond
// what is taken anyway.
func parse(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 15 {
		return 0, false
	}
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
