package manifest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// capabilities are the words of the capabilities and grant keys. Log and time
// need no grant: every plugin has them.
var capabilities = []string{"log", "time", "metric", "publish", "topicstore", "kv"}

// free are the capabilities that every plugin has.
var free = []string{"log", "time"}

// later are capabilities of the contract that this version does not offer.
var later = []string{"http", "timer", "session"}

// checkCapability tests one word of a capabilities or grant list.
func checkCapability(c string) error {
	word, origin, scoped := strings.Cut(c, ":")
	switch {
	case slices.Contains(later, word):
		if u, err := url.Parse(origin); scoped && word == "http" && (err != nil || u.Host == "") {
			return fmt.Errorf("capability %q: want http:https://host", c)
		}
		return fmt.Errorf("capability %q: this version does not offer it", c)
	case !slices.Contains(capabilities, c):
		return fmt.Errorf("capability %q: there is no such capability%s", c, didYouMean(c, capabilities))
	}
	return nil
}

// Covers tells whether one of grants gives capability c.
func Covers(grants []string, c string) bool {
	return slices.Contains(free, c) || slices.Contains(grants, c)
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
