package test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// waiting is what `ctl clients show` says of a session's queue.
type waiting struct {
	Messages int   `json:"mqueue"`
	Bytes    int64 `json:"mqueue_bytes"`
	Dropped  int   `json:"dropped_msgs"`
}

func (b *broker) waiting(id string) (w waiting) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.ctl("clients", "show", id, "-o", "json")), &w); err != nil {
		b.t.Fatal(err)
	}
	return w
}

func (b *broker) alarmed(name string) bool {
	b.t.Helper()
	return strings.Contains(b.ctl("alarms", "list", "-o", "json"), `"`+name+`"`)
}

// TestQueueBytes: what waits for one session is bounded in bytes, in memory and on the disk, over a kill -9 too; the oldest are
// dropped, or the newest, counted, and an alarm tells.
func TestQueueBytes(t *testing.T) {
	const most, sent = 20 << 10, 100
	for _, c := range []struct{ class, drop string }{{"memory", "oldest"}, {"async", "oldest"}, {"sync", "newest"}} {
		t.Run(c.class+" "+c.drop, func(t *testing.T) {
			b := start(t, setup{config: fmt.Sprintf("[zone.external]\ndurability = %q\nmqueue_drop = %q\nmax_mqueue_len = 0\nmax_mqueue_bytes = \"20KB\"\n", c.class, c.drop)})
			away := b.dial(v5)
			away.resume("away")
			away.subscribe("log/#", 1)
			away.close()
			b.eventually("the client is away", func() bool { return strings.Contains(b.ctl("clients", "show", "away", "-o", "json"), `"connected": false`) })
			pub := b.dial(v5)
			pub.connect("pub")
			body := strings.Repeat("x", 1000)
			for i := range sent {
				pub.publishSync(&packet.Publish{Topic: fmt.Sprintf("log/%03d", i), Payload: []byte(body), QoS: 1})
			}
			before := b.waiting("away")
			if before.Bytes > most || before.Bytes < most-2000 || before.Messages+before.Dropped != sent {
				t.Fatalf("after %d messages of 1000 bytes: %+v", sent, before)
			}
			b.eventually("the alarm", func() bool { return b.alarmed("max_mqueue_bytes") })
			if c.class != "memory" {
				b.kill()
				b.run()
				after := b.waiting("away")
				if after.Messages != before.Messages || after.Bytes > most || after.Bytes < most-2000 {
					t.Errorf("before the kill %+v, after it %+v", before, after)
				}
				pub = b.dial(v5)
				pub.connect("pub")
			}
			pub.publishSync(&packet.Publish{Topic: "log/last", Payload: []byte(body), QoS: 1})
			now := b.waiting("away")
			if now.Messages != before.Messages || now.Bytes > most {
				t.Errorf("one more: %+v", now)
			}
			away = b.dial(v5)
			away.resume("away")
			first, last := 0, fmt.Sprintf("log/%03d", now.Messages-1)
			if c.drop == "oldest" {
				first, last = sent+1-now.Messages, "log/last"
			}
			for i := range now.Messages - 1 {
				away.expect(fmt.Sprintf("log/%03d", first+i), body)
			}
			away.expect(last, body)
			b.eventually("the queue is empty", func() bool { w := b.waiting("away"); return w.Messages == 0 && w.Bytes == 0 })
		})
	}
}

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
	const most = 16 << 20
	b := start(t, setup{plugins: []string{"retainer"}, config: quietSys + "store.max_bytes = \"16MB\"\n[zone.external]\nmax_mqueue_len = 0\n"})
	away := b.dial(v5)
	away.resume("away")
	away.subscribe("log/#", 1)
	away.close()
	pub := b.dial(v5)
	pub.connect("pub")
	body := strings.Repeat("0123456789abcdef", 4096)
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
		pub.publish("passing", "goes on", 1)
		sub.expect("passing", "goes on")
		if n := b.stored(); n > most+16<<20 {
			t.Errorf("the store has %d bytes", n)
		}
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
	if code := publish("kept", true); code != packet.Success {
		t.Errorf("afterwards a retained message is answered by %v", code)
	}
	if code := publish("log/again", false); code != packet.Success {
		t.Errorf("afterwards a message is answered by %v", code)
	}
	away.expect("log/again", body)
}
