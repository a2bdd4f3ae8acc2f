package session_test

import (
	"fmt"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/session"
)

// A caller owns one Effects, carries it out after each call or batch of calls,
// and resets it.
func Example() {
	now := int64(1_700_000_000_000_000_000)
	s := session.New("client", &session.Config{MaxInflight: 32, MaxQueueLen: 1000}, now)
	var e session.Effects
	carryOut := func() {
		for i := 0; i < len(e.Send); i++ { // by index: Skip appends
			switch o := &e.Send[i]; {
			case o.Rel:
				fmt.Println("PUBREL", o.PacketID)
			case len(o.Msg.Payload) > 20: // larger than the client takes
				s.Skip(o.PacketID, now, &e)
			default:
				fmt.Printf("PUBLISH %d %q qos=%d dup=%v\n", o.PacketID, o.Msg.Payload, o.QoS, o.Dup)
			}
		}
		e.Reset()
	}
	publish := func(payload string, qos byte) {
		m := &message.Message{Topic: "t", Payload: []byte(payload), QoS: qos}
		s.Deliver(now, message.Delivery{Msg: m, Opts: message.SubOptions{QoS: 2}}, &e)
	}

	publish("while away", 2)
	s.Attach(now, 10, false, &e)
	publish("online", 1)
	publish("longer than the client takes", 1)
	carryOut()

	s.Pubrec(now, 1, 0, &e)
	carryOut()

	s.Detach()
	s.Attach(now, 10, false, &e)
	carryOut()
	// Output:
	// PUBLISH 1 "while away" qos=2 dup=false
	// PUBLISH 2 "online" qos=1 dup=false
	// PUBREL 1
	// PUBREL 1
	// PUBLISH 2 "online" qos=1 dup=true
}
