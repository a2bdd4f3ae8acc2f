package session

import (
	"reflect"
	"testing"

	"github.com/dunlinmq/dunlin/core/message"
)

// TestTerms: what a session's subscription says of a message comes back without the message, whatever follows; what ends too
// early and what cannot be is refused.
func TestTerms(t *testing.T) {
	for _, d := range []message.Delivery{
		{},
		{Opts: message.SubOptions{QoS: 2, ID: maxSubscriptionID, NoLocal: true, RetainHandling: 2}},
		{Opts: message.SubOptions{QoS: 1, RetainAsPublished: true}, Share: &message.Share{Group: "g", Filter: "a/+"}},
	} {
		b := AppendTerms(nil, &d, 2)
		got, rest, err := CutTerms(append(b, "rest"...))
		if err != nil || string(rest) != "rest" || got.QoS != 2 || !reflect.DeepEqual(got.Delivery, d) {
			t.Errorf("%+v comes back as %+v, then %q, %v", d, got, rest, err)
		}
		for n := range b {
			if _, _, err := CutTerms(b[:n]); err == nil {
				t.Errorf("the first %d bytes of %x are taken", n, b)
			}
		}
	}
	for _, bad := range [][]byte{{3, 0, 0, 0, 0, 0}, {1, 9, 0, 0, 0, 0}, {1, 0, 0, 3, 0, 0}, {1, 0, 0, 0, 0, 9}} {
		if l, _, err := CutTerms(bad); err == nil {
			t.Errorf("%x is taken for %+v", bad, l)
		}
	}
}
