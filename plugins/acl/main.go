// Package main is the acl plugin: it allows and denies publishing and subscribing
// by the rules of an acl.conf as EMQ X 4 wrote it (emqx4 §5.1). It is asked once
// by a connection and answers with the rules that are about that client; the
// broker evaluates them.
package main

import (
	"errors"
	"strconv"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// ACL answers by its rules.
type ACL struct {
	rules []rule
	list  []contract.Permission // of the answer; reused
}

var _ = sdk.Register(&ACL{})

func main() { sdk.Main() }

// maxFaults bounds how many faults are told at once.
const maxFaults = 20

// Configure reads the rules. Every fault is told with file, line and column; with
// one there are no rules and the plugin does not load.
func (a *ACL) Configure(config []byte) error {
	src, name := "", "acl.conf"
	err := flatjson.Object(config, func(key string, v flatjson.Value) (err error) {
		var ok bool
		switch key {
		case "rules":
			src, ok = v.String()
		case "name":
			name, ok = v.String()
		default:
			return errors.New("there is no key " + key)
		}
		if !ok {
			return errors.New(key + " is not a text")
		}
		return nil
	})
	if err != nil {
		return err
	}
	rules, faults := parse(src)
	if len(faults) > 0 {
		return explain(name, src, faults)
	}
	a.rules = rules
	return nil
}

// explain makes one error of faults.
func explain(name, src string, faults []fault) error {
	var errs []error
	for i, f := range faults {
		if i == maxFaults {
			errs = append(errs, errors.New("and "+strconv.Itoa(len(faults)-i)+" more"))
			break
		}
		errs = append(errs, errors.New(name+":"+place(src, f.at)+": "+f.text))
	}
	return errors.Join(errs...)
}

// OnACL answers the first question of a frame with the list that answers all.
func (a *ACL) OnACL(e *sdk.ACLEvent) sdk.Verdict {
	if e.Index() > 0 {
		return sdk.Verdict{} // the list of the frame's first event
	}
	c := clientOf(e.ClientIDBytes(), e.UsernameBytes(), e.PeerBytes())
	a.list = compile(a.list[:0], a.rules, &c)
	if a.list == nil {
		a.list = []contract.Permission{} // no rule is about the client: it need not be asked again
	}
	return sdk.Verdict{Permissions: a.list}
}
