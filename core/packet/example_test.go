package packet_test

import (
	"fmt"

	"github.com/dunlinmq/dunlin/core/packet"
)

// A server reads whatever the socket gave and keeps what is not yet whole.
func ExampleDecoder() {
	read := packet.Append(nil, packet.V311, &packet.Connect{ClientID: "c1", CleanStart: true})
	read = packet.Append(read, packet.V311, &packet.Publish{Topic: "a/b", Payload: []byte("hello")})
	read = packet.Append(read, packet.V311, &packet.Pingreq{})[:len(read)+1] // one byte is missing

	d := packet.Decoder{MaxSize: 1 << 20}
	for len(read) > 0 {
		p, n, err := d.Next(read)
		if err != nil {
			fmt.Println("close:", err)
			return
		}
		if n == 0 {
			break
		}
		switch p := p.(type) {
		case *packet.Connect:
			fmt.Println(p.Type(), p.Version, p.ClientID)
		case *packet.Publish:
			fmt.Println(p.Type(), p.Topic, string(p.Payload))
		}
		read = read[n:]
	}
	fmt.Println(len(read), "byte left")
	// Output:
	// CONNECT 3.1.1 c1
	// PUBLISH a/b hello
	// 1 byte left
}

// A refusal carries the reason code that a 5.0 client is told.
func ExampleError() {
	d := packet.Decoder{Version: packet.V50}
	_, _, err := d.Next([]byte{0x30, 6, 0, 3, 'a', '/', '#', 0})
	fmt.Println(err)
	// Output: Topic Name invalid: topic name has a wildcard [MQTT-3.3.2-2]
}

// A broker forwards a message in parts; one subscriber's identifiers and what is
// left of the expiry are added to the properties that came with it.
func ExampleAppendPublish() {
	out := packet.PublishOut{
		Topic: "a", Payload: []byte("x"), QoS: 1, PacketID: 1,
		Props: packet.AppendUserProp(nil, "k", "v"), SubscriptionID: 5, HasExpiry: true, Expiry: 30,
	}
	fmt.Printf("% x\n", packet.AppendPublish(nil, packet.V50, &out))
	fmt.Printf("% x, %d bytes\n", packet.AppendPublish(nil, packet.V311, &out), packet.SizePublish(packet.V311, &out))
	// Output:
	// 32 15 00 01 61 00 01 0e 02 00 00 00 1e 0b 05 26 00 01 6b 00 01 76 78
	// 32 06 00 01 61 00 01 78, 8 bytes
}
