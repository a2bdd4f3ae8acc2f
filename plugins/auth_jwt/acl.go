package main

import (
	"bytes"
	"errors"
	"strings"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
	"github.com/dunlinmq/dunlin/pluginsdk/placeholder"
)

var errACL = errors.New("the claim of permissions is malformed")

// permissions reads the claim of permissions in the form of EMQ X 4, an object
// {"pub": [...], "sub": [...], "all": [...]}, or of EMQX 5, a list of rules. What
// no line covers is denied: the token says all that its bearer may do.
func permissions(v flatjson.Value, c placeholder.Client) ([]contract.Permission, error) {
	list := []contract.Permission{}
	var err error
	if bytes.HasPrefix(v, []byte("[")) {
		err = v.Array(func(v flatjson.Value) error { return appendRule(&list, v, c) })
	} else {
		err = flatjson.Object(v, func(key string, v flatjson.Value) error {
			if key != "pub" && key != "sub" && key != "all" {
				return errACL
			}
			return v.Array(func(v flatjson.Value) error {
				topic, ok := v.String()
				if !ok {
					return errACL
				}
				appendLine(&list, contract.Permission{
					Filter: topic, Publish: key != "sub", Subscribe: key != "pub", Allow: true, MaxQoS: 2, Retain: true,
				}, c)
				return nil
			})
		})
	}
	if err != nil {
		return nil, errACL
	}
	return append(list, contract.Permission{Filter: "#", Any: true, Publish: true, Subscribe: true, MaxQoS: 2, Retain: true}), nil
}

// appendLine adds a line with the client's names filled in. A topic that is no
// filter allows nothing; it cannot deny something either, so the caller must see
// to lines that deny.
func appendLine(list *[]contract.Permission, p contract.Permission, c placeholder.Client) bool {
	filter, exact := strings.CutPrefix(p.Filter, "eq ")
	p.Exact = exact
	levels := strings.Split(filter, "/")
	for i, l := range levels {
		switch l {
		case "${clientid}":
			levels[i] = "%c"
		case "${username}":
			levels[i] = "%u"
		}
	}
	filter, about := placeholder.Filter(strings.Join(levels, "/"), p.Allow, c)
	if !about {
		return true
	}
	if !contract.ValidFilter([]byte(filter)) {
		return false
	}
	p.Filter = filter
	*list = append(*list, p)
	return true
}

// rule is one rule of EMQX 5's form.
type rule struct {
	allow              bool
	publish, subscribe bool
	topics             []string
	qos                [3]bool
	retained           string // "true": only retained messages; "false": only others; "all"
}

// appendRule adds the lines of a rule. A condition that lines cannot express
// narrows a rule that allows, and is ignored by one that denies.
func appendRule(list *[]contract.Permission, v flatjson.Value, c placeholder.Client) error {
	r, err := readRule(v)
	if err != nil {
		return err
	}
	line := contract.Permission{Publish: r.publish, Subscribe: r.subscribe, Allow: r.allow, MaxQoS: 2, Retain: true}
	if r.allow {
		if !r.qos[0] || r.retained == "true" {
			return nil // "only QoS 1", "only retained": nothing that a line can allow
		}
		for line.MaxQoS = 0; line.MaxQoS < 2 && r.qos[line.MaxQoS+1]; {
			line.MaxQoS++
		}
		line.Retain = r.retained == "all"
	}
	for _, topic := range r.topics {
		line.Filter = topic
		if !appendLine(list, line, c) && !r.allow {
			return errACL
		}
	}
	return nil
}

func readRule(v flatjson.Value) (r rule, err error) {
	r.qos, r.retained = [3]bool{true, true, true}, "all"
	permitted, acted := false, false
	err = flatjson.Object(v, func(key string, v flatjson.Value) error {
		text, isText := v.String()
		switch key {
		case "permission":
			r.allow, permitted = text == "allow", text == "allow" || text == "deny"
		case "action":
			r.publish, r.subscribe = text != "subscribe", text != "publish"
			acted = text == "publish" || text == "subscribe" || text == "all" || text == "pubsub"
		case "topic":
			r.topics = append(r.topics, text)
			return want(isText)
		case "topics":
			return v.Array(func(v flatjson.Value) error {
				text, ok := v.String()
				r.topics = append(r.topics, text)
				return want(ok)
			})
		case "qos":
			return r.readQoS(v)
		case "retain":
			if r.retained = text; !isText {
				r.retained = string(v)
			}
			return want(r.retained == "true" || r.retained == "false" || r.retained == "all")
		}
		return nil
	})
	if err != nil || !permitted || !acted {
		return r, errACL
	}
	return r, nil
}

func (r *rule) readQoS(v flatjson.Value) error {
	r.qos = [3]bool{}
	one := func(v flatjson.Value) error {
		n, ok := v.Int()
		if !ok || n < 0 || n > 2 {
			return errACL
		}
		r.qos[n] = true
		return nil
	}
	if bytes.HasPrefix(v, []byte("[")) {
		return v.Array(one)
	}
	return one(v)
}

func want(ok bool) error {
	if !ok {
		return errACL
	}
	return nil
}
