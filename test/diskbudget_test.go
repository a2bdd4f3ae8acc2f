package test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// stored is the bytes of the store's files.
func (b *broker) stored() (n int64) {
	b.t.Helper()
	err := filepath.WalkDir(filepath.Join(b.home, "data", "store"), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // compactions remove files meanwhile
		}
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

// TestDiskBudget: a store that has store.max_bytes refuses what would make it grow and says so, the node goes on, also over a kill;
// and when what was stored has been taken there is room again without anybody's help.
func TestDiskBudget(t *testing.T) {
	const (
		most = 16 << 20
		logs = 48 << 20 // what is not in tables yet, and files that are about to go
	)
	b := start(t, setup{plugins: []string{"retainer"}, config: quietSys + "[store]\nmax_bytes = \"16MB\"\n[zone.external]\nmax_mqueue_len = 0\n"})
	away := b.dial(v5)
	away.resume("away")
	away.subscribe("log/#", 1)
	away.close()
	pub := b.dial(v5)
	pub.connect("pub")
	noise := make([]byte, 64<<10) // tables are compressed
	_, _ = rand.NewChaCha8([32]byte{7}).Read(noise)
	body := string(noise)
	// publish tells with which code the broker answers.
	publish := func(topic string, retain bool) packet.ReasonCode {
		pub.publishWith(&packet.Publish{Topic: topic, Payload: []byte(body), QoS: 1, Retain: retain})
		return pub.read().(*packet.Ack).Code
	}
	taken := 0
	for ; taken < 10_000; taken++ {
		if code := publish(fmt.Sprintf("log/%d", taken), false); code != packet.Success {
			if code != packet.QuotaExceeded {
				t.Fatalf("message %d is answered by %v", taken, code)
			}
			break
		}
	}
	t.Logf("%d messages of %d bytes were taken, the store has %d bytes", taken, len(body), b.stored())
	if n := int64(taken) * int64(len(body)); n < most/2 || n > most+4<<20 {
		t.Errorf("a store of %d bytes took %d", most, n)
	}
	full := func() {
		b.eventually("the alarm store", func() bool { return b.alarmed("store") })
		if code := publish("kept", true); code != packet.QuotaExceeded {
			t.Errorf("a retained message is answered by %v", code)
		}
		sub := b.dial(v5)
		sub.connect("sub")
		sub.subscribe("passing", 1)
		pub.publishSync(&packet.Publish{Topic: "passing", Payload: []byte("goes on"), QoS: 1})
		sub.expect("passing", "goes on")
		b.eventually("the store is within its bound", func() bool { return b.stored() <= most+logs })
		sub.close()
	}
	full()
	b.kill()
	b.run()
	pub = b.dial(v5)
	pub.connect("pub")
	full()

	away = b.dial(v5)
	away.resume("away")
	for i := range taken {
		away.expect(fmt.Sprintf("log/%d", i), body)
	}
	b.eventually("there is room again", func() bool { return !b.alarmed("store") })
	if code := publish("kept", true); code >= packet.UnspecifiedError {
		t.Errorf("afterwards a retained message is answered by %v", code)
	}
	if code := publish("log/again", false); code != packet.Success {
		t.Errorf("afterwards a message is answered by %v", code)
	}
	away.expect("log/again", body)
}
