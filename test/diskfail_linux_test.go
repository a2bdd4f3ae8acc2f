package test

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dunlinmq/dunlin/core/packet"
)

// writable lets the broker's process write to files, or makes every write fail as a disk does that has failed (EFBIG).
func (b *broker) writable(on bool) {
	b.t.Helper()
	var l unix.Rlimit
	if err := unix.Prlimit(b.cmd.Process.Pid, unix.RLIMIT_FSIZE, nil, &l); err != nil {
		b.t.Fatal(err)
	}
	if l.Cur = 0; on {
		l.Cur = l.Max
	}
	if err := unix.Prlimit(b.cmd.Process.Pid, unix.RLIMIT_FSIZE, &l, nil); err != nil {
		b.t.Fatal(err)
	}
}

// TestDiskFails: once the disk has refused a write, nothing that would have to be kept is acknowledged any more, also when the disk
// takes writes again; the alarm says why; the process goes on with what needs no disk; and after the next start everything that was
// acknowledged is there.
func TestDiskFails(t *testing.T) {
	for _, class := range []string{"async", "sync"} {
		t.Run(class, func(t *testing.T) {
			b := start(t, setup{config: "[zone.external]\ndurability = \"" + class + "\"\n"})
			away := b.dial(v5)
			away.resume("away")
			away.subscribe("kept/#", 1)
			away.close()
			pub := b.dial(v5)
			pub.connect("pub")
			pub.publishSync(&packet.Publish{Topic: "kept/1", Payload: []byte("before"), QoS: 1})

			b.writable(false)
			pub.publish("kept/1", "not taken", 1)
			switch p := pub.read().(type) {
			case *packet.Disconnect:
				if p.Code != packet.ImplementationSpecificError {
					t.Errorf("the publisher is sent away with %v", p.Code)
				}
			case *packet.Ack: // something else has met the disk first: it is refused
				if p.Code != packet.ImplementationSpecificError {
					t.Errorf("the publisher is told %v", p.Code)
				}
			default:
				t.Errorf("the publisher is told %+v", p)
			}
			pub.close()
			b.eventually("the alarm store, with its cause", func() bool {
				alarms := b.ctl("alarms", "list", "-o", "json")
				return strings.Contains(alarms, `"store"`) && strings.Contains(alarms, "file too large")
			})
			b.writable(true) // what has failed once is not trusted again

			pub = b.dial(v5)
			pub.connect("pub")
			pub.publish("kept/1", "refused", 1)
			ack, ok := pub.read().(*packet.Ack)
			if !ok || ack.Code < packet.UnspecifiedError {
				t.Errorf("a message for a session that survives is answered by %+v", ack)
			}
			fresh, err := b.dial(v5).tryConnect(&packet.Connect{ClientID: "new", Props: packet.AppendUint32Prop(nil, packet.PropSessionExpiry, 60)})
			if err != nil || fresh.Code < packet.UnspecifiedError {
				t.Errorf("a session that would have to survive: %+v, %v", fresh, err)
			}
			sub := b.dial(v5)
			sub.connect("sub")
			sub.subscribe("passing", 1)
			pub.publish("passing", "goes on", 1)
			sub.expect("passing", "goes on")

			b.kill()
			b.run()
			away = b.dial(v5)
			if k := away.resume("away"); !k.SessionPresent {
				t.Fatal("the session is gone")
			}
			away.expect("kept/1", "before")
			pub = b.dial(v5)
			pub.connect("pub")
			pub.publishSync(&packet.Publish{Topic: "kept/1", Payload: []byte("after"), QoS: 1})
			away.expect("kept/1", "after")
		})
	}
}

// TestDelayedDiskFails: a delayed message that a failed disk cannot keep is refused as everything else that waits for it.
func TestDelayedDiskFails(t *testing.T) {
	b := start(t, module("delayed", "[plugin]\ngrant = [\"schedule\"]\n"))
	pub := b.dial(v5)
	pub.connect("pub")
	pub.publishSync(&packet.Publish{Topic: "$delayed/3600/x", QoS: 1})
	b.writable(false)
	pub.publish("$delayed/3600/x", "", 1)
	switch p := pub.read().(type) { // it has met the disk first, or something else has
	case *packet.Disconnect:
		if p.Code != packet.ImplementationSpecificError {
			t.Errorf("sent away with %v", p.Code)
		}
	case *packet.Ack:
		if p.Code != packet.ImplementationSpecificError {
			t.Errorf("refused with %v", p.Code)
		}
	default:
		t.Errorf("the publisher is told %+v", p)
	}
	again := b.dial(v5)
	again.connect("again")
	again.publish("$delayed/3600/x", "", 1)
	if p, ok := again.read().(*packet.Ack); !ok || p.Code != packet.ImplementationSpecificError {
		t.Errorf("afterwards the publisher is told %+v", p)
	}
	b.kill() // a stop would tell of the disk
}
