package manifest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dunlinmq/dunlin/core/plugin/outbound"
)

// capabilities are the words of the capabilities and grant keys. Log and time
// need no grant: every plugin has them.
var capabilities = []string{"log", "time", "metric", "publish", "topicstore", "kv", "timer", "session", "hash", "schedule"}

// free are the capabilities that every plugin has.
var free = []string{"log", "time"}

// checkCapability tests one word of a capabilities or grant list. http is granted by
// origin; a plugin may also ask for whatever origins the operator grants.
func checkCapability(c string, grant bool) error {
	word, origin, scoped := strings.Cut(c, ":")
	switch {
	case c == "kv:durable":
		return nil
	case word == "http" && scoped:
		if _, _, err := outbound.ParseOrigin(origin); err != nil {
			return fmt.Errorf("capability %q: %w", c, err)
		}
		return nil
	case word == "http" && grant:
		return fmt.Errorf("capability %q: say which servers may be asked, as in http:https://host:port", c)
	case word == "http":
		return nil
	case !slices.Contains(capabilities, c):
		return fmt.Errorf("capability %q: there is no such capability%s", c, didYouMean(c, append(capabilities[:len(capabilities):len(capabilities)], "http")))
	}
	return nil
}

// Covers tells whether one of grants gives capability c.
func Covers(grants []string, c string) bool {
	if c == "http" {
		return slices.ContainsFunc(grants, func(g string) bool { return strings.HasPrefix(g, "http:") })
	}
	return slices.Contains(free, c) || slices.Contains(grants, c)
}

// Wants tells whether the plugin asks for a capability by its word, whatever its
// scope.
func (m *Manifest) Wants(word string) bool {
	return slices.ContainsFunc(m.Capabilities, func(c string) bool { return c == word || strings.HasPrefix(c, word+":") })
}

// Missing lists the capabilities that m asks for and o does not grant.
func (o *Operator) Missing(m *Manifest) []string { return missing(m.Capabilities, o.Grant) }

// CanDoWithout tells whether the capability with this word is an optional one.
func (m *Manifest) CanDoWithout(word string) bool {
	return slices.ContainsFunc(m.Optional, func(c string) bool { return c == word || strings.HasPrefix(c, word+":") })
}

// granted is m with those of its optional capabilities that grants cover.
func (m *Manifest) granted(grants []string) *Manifest {
	own := *m
	for _, c := range m.Optional {
		if Covers(grants, c) {
			own.Capabilities = append(own.Capabilities[:len(own.Capabilities):len(own.Capabilities)], c)
		}
	}
	return &own
}

// missing lists the requested capabilities that grants do not cover.
func missing(requested, grants []string) []string {
	var names []string
	for _, c := range requested {
		if !Covers(grants, c) {
			names = append(names, c)
		}
	}
	return names
}
