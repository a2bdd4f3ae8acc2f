package test

import (
	"encoding/json"
	"fmt"
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
			b.eventually("the client is away", func() bool {
				return strings.Contains(b.ctl("clients", "show", "away", "-o", "json"), `"connected": false`)
			})
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
			if c.class == "memory" { // the watch looks every 5 seconds: once is enough
				b.eventually("the alarm", func() bool { return b.alarmed("max_mqueue_bytes") })
			} else {
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
