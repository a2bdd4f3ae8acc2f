package main

import (
	"bytes"
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// rule is one rule. Immutable.
type rule struct {
	number int
	filter string // topics that the rule is about
	match  *regexp.Regexp
	dest   []part
}

// part is a piece of the new topic: text, a capture, or a name of the client.
type part struct {
	text  string
	kind  byte // 't' text, '$' capture, 'c' client identifier, 'u' user name
	group int
}

// who is the client that a topic comes from; views of the event.
type who struct{ id, username []byte }

// maxTopic is the longest topic that is rewritten, in bytes: it bounds what a
// regular expression costs.
const maxTopic = 4096

// parse reads the configuration: tables pub.rule, sub.rule and rule, whose keys
// are numbers. The rule with the highest number is the first to be tried, as in
// EMQ X 4, which tried them in reverse order.
func parse(config []byte) (pub, sub []rule, err error) {
	err = flatjson.Object(config, func(key string, v flatjson.Value) error {
		switch key {
		case "rule":
			return rules(key, v, &pub, &sub)
		case "pub", "sub":
			to := &pub
			if key == "sub" {
				to = &sub
			}
			return flatjson.Object(v, func(inner string, v flatjson.Value) error {
				if inner != "rule" {
					return errors.New("there is no key " + key + "." + inner)
				}
				return rules(key+".rule", v, to)
			})
		}
		return errors.New("there is no key " + key)
	})
	if err != nil {
		return nil, nil, err
	}
	for _, list := range [][]rule{pub, sub} {
		slices.SortStableFunc(list, func(a, b rule) int { return cmp.Compare(b.number, a.number) })
	}
	return pub, sub, nil
}

// rules reads one table of rules into each of to.
func rules(table string, v flatjson.Value, to ...*[]rule) error {
	return flatjson.Object(v, func(key string, v flatjson.Value) error {
		text, ok := v.String()
		if !ok {
			return errors.New(table + "." + key + " is not a text")
		}
		n, err := strconv.Atoi(key)
		if err != nil || n < 0 {
			return errors.New(table + "." + key + ": a rule's key is a number")
		}
		r, err := compile(text)
		if err != nil {
			return errors.New(table + "." + key + ": " + err.Error())
		}
		r.number = n
		for _, list := range to {
			*list = append(*list, r)
		}
		return nil
	})
}

// compile reads "<filter> <regular expression> <new topic>".
func compile(text string) (rule, error) {
	words := strings.Fields(text)
	if len(words) != 3 {
		return rule{}, errors.New("want \"<filter> <regular expression> <new topic>\", found " + strconv.Itoa(len(words)) + " words")
	}
	if !contract.ValidFilter([]byte(words[0])) {
		return rule{}, errors.New(strconv.Quote(words[0]) + " is not a topic filter")
	}
	re, err := regexp.Compile(words[1])
	if err != nil {
		return rule{}, err
	}
	dest, err := pieces(words[2], re.NumSubexp())
	return rule{filter: words[0], match: re, dest: dest}, err
}

// pieces takes a new topic apart. groups is how many captures there are.
func pieces(text string, groups int) ([]part, error) {
	var out []part
	plain := 0
	flush := func(to int) {
		if to > plain {
			out = append(out, part{text: text[plain:to], kind: 't'})
		}
	}
	for i := 0; i < len(text); {
		p, n := part{}, 0
		switch {
		case strings.HasPrefix(text[i:], "%c"), strings.HasPrefix(text[i:], "%u"):
			p, n = part{kind: text[i+1]}, 2
		case text[i] == '$':
			for n = 1; i+n < len(text) && text[i+n] >= '0' && text[i+n] <= '9'; n++ {
			}
			if n == 1 { // a $ that is text
				n = 0
				break
			}
			g, err := strconv.Atoi(text[i+1 : i+n])
			if err != nil || g > groups {
				return nil, errors.New(text[i:i+n] + ": the regular expression has " + strconv.Itoa(groups) + " captures")
			}
			p = part{kind: '$', group: g}
		}
		if n == 0 {
			i++
			continue
		}
		flush(i)
		out = append(out, p)
		i += n
		plain = i
	}
	flush(len(text))
	return out, nil
}

// apply gives name its new form; false: it stays. The first rule whose filter is about name is
// used; if its regular expression does not match, the name stays and no other
// rule is tried.
func apply(rules []rule, name []byte, by who) (string, bool) {
	if len(name) > maxTopic {
		return "", false
	}
	for i := range rules {
		r := &rules[i]
		if !contract.Match(r.filter, name) {
			continue
		}
		at := r.match.FindSubmatchIndex(name)
		if at == nil {
			return "", false
		}
		return r.fill(name, at, by)
	}
	return "", false
}

// fill makes the new topic. A client without the name that the rule asks for,
// or whose name would not stay within its level, keeps its topic.
func (r *rule) fill(name []byte, at []int, by who) (string, bool) {
	var out strings.Builder
	for _, p := range r.dest {
		switch p.kind {
		case 't':
			out.WriteString(p.text)
		case '$':
			if from, to := at[2*p.group], at[2*p.group+1]; from >= 0 {
				out.Write(name[from:to])
			}
		default:
			own := by.id
			if p.kind == 'u' {
				own = by.username
			}
			if len(own) == 0 || bytes.ContainsAny(own, "/+#\x00") {
				return "", false
			}
			out.Write(own)
		}
	}
	return out.String(), true
}
