package registry

import (
	"errors"
	"fmt"
	"testing"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/session"
	"github.com/dunlinmq/dunlin/core/store"
	"github.com/dunlinmq/dunlin/core/store/mem"
)

// A reader of the store sees whole sessions, leaves out what belongs to none, and tells
// at the end of what it does not understand.
func TestReadStored(t *testing.T) {
	st := mem.New()
	b := &store.Batch{}
	one, two := record{ClientID: "one", Created: 1}, record{ClientID: "two", Created: 2, Expiry: NeverExpires}
	b.Put(appendSession(nil, 1), one.append(nil))
	b.Put(appendSession(nil, 2), two.append(nil))
	b.Put(appendSession(nil, 3), []byte("{}"))
	for sid := uint64(1); sid < 5; sid++ {
		b.Put(appendFilter(nil, sid, "f"), session.AppendOptions(nil, message.SubOptions{QoS: 1}))
		b.Put(appendInbound(nil, sid, uint16(sid)), nil)
	}
	b.Put(appendFilter(nil, 1, "g"), []byte{9})
	b.Put([]byte("sshort"), []byte("{}"))
	if err := store.Apply(t.Context(), st, b, store.Async); err != nil {
		t.Fatal(err)
	}
	var got []string
	to := Stored{
		Session: func(s *StoredSession) error {
			got = append(got, fmt.Sprint(s.ClientID, " ", s.NeverEnds()))
			return nil
		},
		Subscription: func(client, filter string, o message.SubOptions) error {
			got = append(got, fmt.Sprint(client, " ", filter, " ", o.QoS))
			return nil
		},
		Inbound: func(client string, id uint16) error {
			got = append(got, fmt.Sprint(client, " ", id))
			return nil
		},
	}
	err := ReadStored(st, to)
	if want := "[one false two true one f 1 two f 1 one 1 two 2]"; fmt.Sprint(got) != want || !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("%v, %v, want %s", got, err, want)
	}
	got, to.Client = nil, "two"
	if err = ReadStored(st, to); fmt.Sprint(got) != "[two true two f 1 two 2]" {
		t.Errorf("of one client: %v, %v", got, err)
	}
	stop := errors.New("enough")
	to.Inbound = func(string, uint16) error { return stop }
	if err = ReadStored(st, to); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
}
