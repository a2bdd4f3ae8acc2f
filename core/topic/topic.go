// Package topic owns the grammar of topic names and topic filters: what is
// valid, what a filter matches, which filter covers another and how a shared
// subscription is written (5.0 §4.7, §4.8.2). It works on strings alone and
// refuses to know subscribers, packets and limits that a zone sets. That a
// string is UTF-8 is the codec's to check.
package topic

import (
	"strconv"
	"strings"
)

// MaxLength is the longest topic name or filter in bytes [MQTT-4.7.3-3].
const MaxLength = 65535

// The prefixes of shared subscriptions.
const (
	sharePrefix = "$share/"
	queuePrefix = "$queue/"

	// QueueGroup is the group of all $queue/<filter> subscriptions
	// (emqx4 §9.1); $share/$queue/<filter> is the same.
	QueueGroup = "$queue"
)

// Error is why a topic name or filter is not valid.
type Error struct {
	What string // what is wrong, with the normative statement
	At   int    // byte offset of the fault
}

// Error gives what is wrong and where.
func (e *Error) Error() string { return e.What + " at byte " + strconv.Itoa(e.At) }

// ValidateName checks a topic name: 1 to MaxLength bytes [MQTT-4.7.3-1]
// [MQTT-4.7.3-3] without wildcards [MQTT-4.7.0-1] and U+0000 [MQTT-4.7.3-2]. A
// non-nil error is an *Error.
func ValidateName(name string) error {
	if e := checkLength(name); e != nil {
		return e
	}
	for i := 0; i < len(name); i++ {
		switch name[i] {
		case '+', '#':
			return &Error{What: "wildcard in a topic name [MQTT-4.7.0-1]", At: i}
		case 0:
			return &Error{What: "U+0000 [MQTT-4.7.3-2]", At: i}
		}
	}
	return nil
}

// ValidateFilter checks a topic filter, which may be that of a shared
// subscription: $share/<group>/<filter> with a group that is not empty and has
// none of / + # [MQTT-4.8.2-1] [MQTT-4.8.2-2], or $queue/<filter>. The filter
// behind such a prefix is not shared once more. MaxLength limits the whole. A
// non-nil error is an *Error.
func ValidateFilter(filter string) error {
	if e := checkLength(filter); e != nil {
		return e
	}
	at, e := checkShare(filter)
	if e != nil {
		return e
	}
	if e := checkFilter(filter, at); e != nil {
		return e
	}
	return nil
}

func checkLength(s string) *Error {
	switch {
	case s == "":
		return &Error{What: "empty [MQTT-4.7.3-1]"}
	case len(s) > MaxLength:
		return &Error{What: "longer than 65535 bytes [MQTT-4.7.3-3]", At: MaxLength}
	}
	return nil
}

// checkShare checks the prefix of a shared subscription and returns where the
// filter behind it begins: 0 if there is none.
func checkShare(filter string) (at int, e *Error) {
	switch {
	case strings.HasPrefix(filter, sharePrefix):
		at = len(sharePrefix)
		n := strings.IndexAny(filter[at:], "/+#")
		switch {
		case n == 0 && filter[at] == '/':
			return 0, &Error{What: "empty share name [MQTT-4.8.2-1]", At: at}
		case n >= 0 && filter[at+n] != '/':
			return 0, &Error{What: "wildcard in a share name [MQTT-4.8.2-2]", At: at + n}
		case n < 0:
			return 0, &Error{What: "no filter behind the share name [MQTT-4.8.2-2]", At: len(filter)}
		}
		at += n + 1
	case strings.HasPrefix(filter, queuePrefix):
		at = len(queuePrefix)
	default:
		return 0, nil
	}
	switch inner := filter[at:]; {
	case inner == "":
		return 0, &Error{What: "no filter behind the share name [MQTT-4.8.2-2]", At: at}
	case strings.HasPrefix(inner, sharePrefix), strings.HasPrefix(inner, queuePrefix):
		return 0, &Error{What: "shared twice", At: at}
	}
	return at, nil
}

// checkFilter checks the wildcards of the plain filter that begins at byte at:
// each is alone in its level [MQTT-4.7.1-2], and # is the last [MQTT-4.7.1-1].
func checkFilter(filter string, at int) *Error {
	for i := at; i < len(filter); i++ {
		c := filter[i]
		if c == 0 {
			return &Error{What: "U+0000 [MQTT-4.7.3-2]", At: i}
		}
		if c != '+' && c != '#' {
			continue
		}
		if i > at && filter[i-1] != '/' {
			return &Error{What: "wildcard is not alone in its level [MQTT-4.7.1-1] [MQTT-4.7.1-2]", At: i}
		}
		if i+1 == len(filter) {
			continue
		}
		if c == '#' {
			return &Error{What: "# is not the last level [MQTT-4.7.1-1]", At: i}
		}
		if filter[i+1] != '/' {
			return &Error{What: "wildcard is not alone in its level [MQTT-4.7.1-2]", At: i}
		}
	}
	return nil
}

// Levels is the number of levels of a topic name or plain filter: one more than
// it has separators.
func Levels(s string) int { return strings.Count(s, "/") + 1 }

// HasWildcard tells whether s contains + or #.
func HasWildcard(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == '+' || s[i] == '#' {
			return true
		}
	}
	return false
}

// ParseShare splits the filter of a shared subscription into its group and the
// plain filter; the group of $queue/<filter> is QueueGroup. Any other filter is
// returned as inner. It expects a valid filter.
func ParseShare(filter string) (group, inner string, shared bool) {
	if rest, ok := strings.CutPrefix(filter, queuePrefix); ok {
		return QueueGroup, rest, true
	}
	if rest, ok := strings.CutPrefix(filter, sharePrefix); ok {
		if group, inner, ok = strings.Cut(rest, "/"); ok {
			return group, inner, true
		}
	}
	return "", filter, false
}
