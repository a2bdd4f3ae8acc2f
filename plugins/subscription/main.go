// Package main is the subscription plugin: it subscribes clients by the operator's
// list when they connect, as EMQ X 4's emqx_mod_subscription did (emqx4 §4.5).
package main

import (
	"cmp"
	"errors"
	"slices"
	"strconv"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// Subscription gives every client the same subscriptions. Immutable once configured.
type Subscription struct {
	verdict sdk.Verdict // of every CONNECT
}

var _ = sdk.Register(&Subscription{})

func main() { sdk.Main() }

// Configure reads the list.
func (s *Subscription) Configure(config []byte) error {
	if !sdk.Granted(contract.FeatureSubscriptions) {
		return errors.New("this broker is older than the plugin: it makes no subscriptions for clients")
	}
	list, err := parse(config)
	if err != nil {
		return err
	}
	s.verdict = sdk.Verdict{}
	if len(list) > 0 {
		s.verdict.Connect = &sdk.ConnectChange{Subscriptions: list}
	}
	return nil
}

// OnConnect gives the client its subscriptions; the broker makes them when the
// client is connected.
func (s *Subscription) OnConnect(*sdk.ConnectEvent) sdk.Verdict { return s.verdict }

// numbered is one entry of the list with its place.
type numbered struct {
	number int
	sdk.Subscription
}

// parse reads tables whose keys are numbers, in whose order the subscriptions are
// made: 1.topic, 1.qos, 1.nl, 1.rap, 1.rh.
func parse(config []byte) ([]sdk.Subscription, error) {
	var list []numbered
	err := flatjson.Object(config, func(key string, v flatjson.Value) error {
		n, err := strconv.Atoi(key)
		if err != nil || n < 0 {
			return errors.New("there is no key " + key + ": want a number")
		}
		s, err := entry(key, v)
		list = append(list, numbered{n, s})
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(list) > contract.MaxSubscriptions {
		return nil, errors.New(strconv.Itoa(len(list)) + " subscriptions: at most " + strconv.Itoa(contract.MaxSubscriptions))
	}
	slices.SortFunc(list, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	out := make([]sdk.Subscription, len(list))
	for i := range list {
		out[i] = list[i].Subscription
	}
	return out, nil
}

// limits are the keys with a number, how far it goes, and where it stands in the
// options byte of a SUBSCRIBE [MQTT-3.8.3.1].
var limits = map[string]struct {
	most  int64
	shift uint
}{"qos": {2, 0}, "nl": {1, 2}, "rap": {1, 3}, "rh": {2, 4}}

// entry reads one subscription; name is its key.
func entry(name string, v flatjson.Value) (s sdk.Subscription, err error) {
	s.Options = 1 // QoS 1 unless said otherwise
	err = flatjson.Object(v, func(key string, v flatjson.Value) error {
		if key == "topic" {
			filter, _ := v.String()
			if !contract.ValidFilter([]byte(filter)) {
				return errors.New(name + ".topic = " + string(v) + ": not a topic filter")
			}
			s.Filter = filter
			return nil
		}
		l, ok := limits[key]
		if !ok {
			return errors.New("there is no key " + name + "." + key)
		}
		n, ok := v.Int()
		if !ok || n < 0 || n > l.most {
			return errors.New(name + "." + key + " = " + string(v) + ": want 0 to " + strconv.FormatInt(l.most, 10))
		}
		if key == "qos" {
			s.Options &^= 3
		}
		s.Options |= byte(n) << l.shift
		return nil
	})
	if err == nil && s.Filter == "" {
		err = errors.New(name + ": topic is missing")
	}
	return s, err
}
