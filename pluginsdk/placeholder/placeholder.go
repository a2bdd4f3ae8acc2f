// Package placeholder fills a client's names into topic filters of permissions
// without widening them. It refuses other templates and parts of levels.
package placeholder

import "strings"

// Client is whose names are filled in. Named tells whether it gave a user name,
// which may be empty.
type Client struct {
	ID, Username string
	Named        bool
}

// Filter puts the client's names in place of the levels %c (client identifier)
// and %u (user name); ok is false when the line is not about the client. A client
// without a user name is not meant by %u. A name that is no single level of a
// topic would widen the filter: it allows nothing, and denies as + would. One that
// begins with $ would lead to $SYS as a first level: it allows nothing either.
func Filter(filter string, allow bool, c Client) (filled string, ok bool) {
	if !Has(filter) {
		return filter, true
	}
	levels := strings.Split(filter, "/")
	for i, l := range levels {
		var name string
		switch {
		case l == "%c":
			name = c.ID
		case l == "%u" && c.Named:
			name = c.Username
		case l == "%u":
			return "", false
		default:
			continue
		}
		switch wide := name == "" || strings.ContainsAny(name, "/+#\x00"); {
		case allow && (wide || i == 0 && name[0] == '$'):
			return "", false
		case wide:
			name = "+"
		}
		levels[i] = name
	}
	out := strings.Join(levels, "/")
	return out, len(out) <= 65535
}

// Has tells whether the filter may have a level %c or %u.
func Has(filter string) bool {
	return strings.Contains(filter, "%c") || strings.Contains(filter, "%u")
}
