//go:build !wasip1

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// route is one line of a bridge's topics: messages that match go out, come in, or
// both. Immutable.
type route struct {
	Filter       string `json:"filter"`        // behind the prefixes; "": the prefixes are the topics
	Direction    string `json:"direction"`     // out, in or both; "": out
	QoS          *byte  `json:"qos"`           // highest; none: 1
	LocalPrefix  string `json:"local_prefix"`  // before the topics here
	RemotePrefix string `json:"remote_prefix"` // before the topics there
}

func (r *route) check() error {
	if r.Direction == "" {
		r.Direction = "out"
	}
	if r.QoS == nil {
		one := byte(1)
		r.QoS = &one
	}
	switch {
	case r.Direction != "out" && r.Direction != "in" && r.Direction != "both":
		return fmt.Errorf("direction = %q: want out, in or both", r.Direction)
	case *r.QoS > 2:
		return fmt.Errorf("qos = %d: want 0, 1 or 2", *r.QoS)
	case strings.HasPrefix(r.local(), "$share/"), strings.HasPrefix(r.remote(), "$share/"):
		return errors.New("a shared subscription is made by share and connections, not by a filter")
	case !contract.ValidFilter([]byte(r.local())):
		return fmt.Errorf("%q is not a topic filter", r.local())
	case !contract.ValidFilter([]byte(r.remote())):
		return fmt.Errorf("%q is not a topic filter", r.remote())
	case strings.ContainsAny(r.LocalPrefix+r.RemotePrefix, "+#"):
		return errors.New("a prefix has no wildcards")
	}
	return nil
}

func (r *route) out() bool { return r.Direction != "in" }
func (r *route) in() bool  { return r.Direction != "out" }

// local and remote are the filters of both sides.
func (r *route) local() string  { return r.LocalPrefix + r.Filter }
func (r *route) remote() string { return r.RemotePrefix + r.Filter }

// outward is where a message of this broker goes, and with which QoS at most; the
// first route that matches says so.
func outward(routes []route, topic string) (remote string, qos byte, ok bool) {
	for i := range routes {
		if r := &routes[i]; r.out() && contract.Match(r.local(), []byte(topic)) {
			return r.RemotePrefix + strings.TrimPrefix(topic, r.LocalPrefix), *r.QoS, true
		}
	}
	return "", 0, false
}

// inward is outward for a message of the other broker.
func inward(routes []route, topic string) (local string, qos byte, ok bool) {
	for i := range routes {
		if r := &routes[i]; r.in() && contract.Match(r.remote(), []byte(topic)) {
			return r.LocalPrefix + strings.TrimPrefix(topic, r.RemotePrefix), *r.QoS, true
		}
	}
	return "", 0, false
}
