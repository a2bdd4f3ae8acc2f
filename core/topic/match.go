package topic

import "strings"

// Match tells whether the plain filter matches the topic name; both are valid.
// It takes one pass over both and no memory. A filter that begins with a
// wildcard does not match a name that begins with $ [MQTT-4.7.2-1]; apart from
// that no level is special. Bytes are compared: nothing is normalised
// [MQTT-4.7.3-4].
func Match(filter, name string) bool {
	if hidden(filter, name) {
		return false
	}
	f, n := 0, 0
	for {
		// Both stand at the start of a level.
		if f < len(filter) && filter[f] == '#' {
			return true
		}
		if f < len(filter) && filter[f] == '+' {
			f++
			for n < len(name) && name[n] != '/' {
				n++
			}
		} else {
			for f < len(filter) && filter[f] != '/' {
				if n == len(name) || name[n] != filter[f] {
					return false
				}
				f++
				n++
			}
			if n < len(name) && name[n] != '/' {
				return false
			}
		}
		switch {
		case f == len(filter):
			return n == len(name)
		case n == len(name):
			return filter[f:] == "/#" // # includes the parent (5.0 §4.7.1.2)
		}
		f++
		n++
	}
}

// hidden tells whether the filter begins with a wildcard and s with $.
func hidden(filter, s string) bool {
	return s != "" && s[0] == '$' && filter != "" && (filter[0] == '+' || filter[0] == '#')
}

// Covers tells whether every topic name that matches the plain filter inner
// matches the plain filter outer too; both are valid. It decides whether a
// permission for outer allows a subscription to inner.
func Covers(outer, inner string) bool {
	if hidden(outer, inner) {
		return false
	}
	switch inner { // the parent that # includes is here no name: it is empty
	case "#":
		inner = "+/#"
	case "/#":
		inner = "/+/#"
	}
	for {
		o, orest, omore := strings.Cut(outer, "/")
		i, irest, imore := strings.Cut(inner, "/")
		switch {
		case o == "#":
			return true
		case i == "#", o != "+" && o != i:
			return false
		case !imore:
			return !omore || orest == "#"
		case !omore:
			return false // inner matches longer names too
		}
		outer, inner = orest, irest
	}
}
