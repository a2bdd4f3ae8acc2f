package server

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Whatever comes in whatever order, pages show all of it once and in order.
func TestSievePages(t *testing.T) {
	for _, limit := range []int{1, 3, 10, 100} {
		var got []string
		for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
			s := sieve[string]{after: cursor, limit: limit}
			for _, i := range rand.Perm(100) {
				if key := fmt.Sprintf("k%02d", i); s.wants(key) {
					s.add(key, key)
				}
			}
			var page []string
			page, cursor = s.page()
			if len(page) > limit || pages > 100 {
				t.Fatalf("limit %d: page %d has %d", limit, pages, len(page))
			}
			got = append(got, page...)
		}
		if len(got) != 100 {
			t.Fatalf("limit %d: %d of 100", limit, len(got))
		}
		for i, key := range got {
			if key != fmt.Sprintf("k%02d", i) {
				t.Fatalf("limit %d: %q at %d", limit, key, i)
			}
		}
	}
}
