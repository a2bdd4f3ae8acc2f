package packet

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// [MQTT-3.1.2-1] [MQTT-3.1.2-2]
func TestProtocol(t *testing.T) {
	for _, tt := range []struct {
		name, protocol string
		level          int
		answer         Version // the version to answer in
	}{
		{"level 6", "MQTT", 6, V50},
		{"level 127", "MQTT", 127, V50},
		{"level 0", "MQTT", 0, V311},
		{"MQTT with the level of 3.1", "MQTT", 3, V311},
		{"bridge of 5.0", "MQTT", 0x85, V311},
		{"MQIsdp with level 4", "MQIsdp", 4, V311},
		{"MQIsdp with level 5", "MQIsdp", 5, V311},
		{"lower case", "mqtt", 4, V311},
		{"another protocol", "HTTP", 4, V311},
		{"empty name", "", 4, V311},
		{"longer name", "MQTTX", 5, V311},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Decoder{}
			refuse(t, &d, pk(0x10, tt.protocol, tt.level, 2, uint16(60), "c"), UnsupportedProtocolVersion)
			if d.Version != tt.answer {
				t.Errorf("answers in %d, want %d", d.Version, tt.answer)
			}
		})
	}
	t.Run("known", func(t *testing.T) {
		for _, tt := range []struct {
			in   []byte
			want Connect
		}{
			{connectPk(V31, 2, "c"), Connect{Version: V31, CleanStart: true, KeepAlive: 60, ClientID: "c"}},
			{connectPk(V311, 2, "c"), Connect{Version: V311, CleanStart: true, KeepAlive: 60, ClientID: "c"}},
			{connectPk(V50, 0, 0, "c"), Connect{Version: V50, KeepAlive: 60, ClientID: "c"}},
			{pk(0x10, "MQIsdp", 0x83, 0, uint16(0), "c"), Connect{Version: V31, Bridge: true, ClientID: "c"}},
			{pk(0x10, "MQTT", 0x84, 0, uint16(0), "c"), Connect{Version: V311, Bridge: true, ClientID: "c"}},
		} {
			if got := accept[*Connect](t, fresh, tt.in); !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got %+v, want %+v", *got, tt.want)
			}
		}
	})
	t.Run("the level decides the answer to what follows", func(t *testing.T) {
		d := Decoder{}
		refuse(t, &d, connectPk(V50, 1, 0, "c"), MalformedPacket)
		if d.Version != V50 {
			t.Errorf("version is %d", d.Version)
		}
	})
}

// badFlags are CONNECTs whose flags contradict each other or the payload.
func badFlags() (tests []refusal) {
	for name, v := range map[string]Version{"3.1.1": V311, "5.0": V50} {
		build := func(flags int, payload ...any) []byte {
			if v == V50 {
				payload = append([]any{0}, payload...) // no properties
			}
			return connectPk(v, flags, payload...)
		}
		will := func(flags int) []byte {
			if v == V50 {
				return build(flags, "c", 0, "w", "m")
			}
			return build(flags, "c", "w", "m")
		}
		tests = append(tests,
			refusal{"reserved " + name, fresh, build(0x03, "c"), MalformedPacket},
			refusal{"will QoS 1 without will " + name, fresh, build(0x08, "c"), MalformedPacket},
			refusal{"will QoS 2 without will " + name, fresh, build(0x10, "c"), MalformedPacket},
			refusal{"will retain without will " + name, fresh, build(0x20, "c"), MalformedPacket},
			refusal{"will QoS 3 " + name, fresh, will(0x1c), MalformedPacket},
			refusal{"will QoS 3 without will " + name, fresh, build(0x18, "c"), MalformedPacket},
			refusal{"will missing " + name, fresh, build(0x04, "c"), MalformedPacket},
			refusal{"will without flag " + name, fresh, will(0x02), MalformedPacket},
			refusal{"user name missing " + name, fresh, build(0x80, "c"), MalformedPacket},
			refusal{"user name without flag " + name, fresh, build(0x02, "c", "u"), MalformedPacket},
			refusal{"password missing " + name, fresh, build(0xc0, "c", "u"), MalformedPacket},
			refusal{"password without flag " + name, fresh, build(0x80, "c", "u", "p"), MalformedPacket},
			refusal{"client identifier missing " + name, fresh, build(0x02), MalformedPacket},
		)
	}
	return append(tests,
		refusal{"password without user name 3.1.1", fresh, connectPk(V311, 0x40, "c", "p"), MalformedPacket}, // [MQTT-3.1.2-22]
		refusal{"password without user name 3.1", fresh, connectPk(V31, 0x40, "c", "p"), MalformedPacket},
		refusal{"will QoS 3 3.1", fresh, connectPk(V31, 0x1c, "c", "w", "m"), MalformedPacket},
		refusal{"will message missing", fresh, connectPk(V311, 0x04, "c", "w"), MalformedPacket},
		refusal{"will properties missing", fresh, connectPk(V50, 0x04, 0, "c"), MalformedPacket},
	)
}

// 3.1.1: [MQTT-3.1.2-3] [MQTT-3.1.2-9] [MQTT-3.1.2-11] [MQTT-3.1.2-13]
// [MQTT-3.1.2-14] [MQTT-3.1.2-15] [MQTT-3.1.2-18] to [MQTT-3.1.2-22]
// [MQTT-3.1.3-1] [MQTT-3.1.3-3]; 5.0: [MQTT-3.1.2-3] [MQTT-3.1.2-9]
// [MQTT-3.1.2-11] to [MQTT-3.1.2-13] [MQTT-3.1.2-16] to [MQTT-3.1.2-19]
// [MQTT-3.1.3-1] [MQTT-3.1.3-3] [MQTT-3.1.4-1]
func TestConnectFlags(t *testing.T) {
	refuseAll(t, badFlags())
	t.Run("password without user name 5.0", func(t *testing.T) {
		c := accept[*Connect](t, fresh, connectPk(V50, 0x40, 0, "c", "p"))
		if c.HasUsername || !c.HasPassword || string(c.Password) != "p" {
			t.Errorf("%+v", c)
		}
	})
	t.Run("unused flags of 3.1", func(t *testing.T) {
		c := accept[*Connect](t, fresh, connectPk(V31, 0x29, "c"))
		if c.Will != nil {
			t.Errorf("%+v", c)
		}
	})
	t.Run("order of the payload", func(t *testing.T) { // [MQTT-3.1.3-1]
		c := accept[*Connect](t, fresh, connectPk(V311, 0xee, "c", "w", "m", "u", "p"))
		want := Connect{
			Version: V311, CleanStart: true, KeepAlive: 60, ClientID: "c", Will: &Will{Topic: "w", Payload: []byte("m"), QoS: 1, Retain: true},
			HasUsername: true, Username: "u", HasPassword: true, Password: []byte("p"),
		}
		if !reflect.DeepEqual(*c, want) {
			t.Errorf("got %+v, want %+v", *c, want)
		}
	})
}

// TestMissingCredentials: in 3.1 the length takes precedence over the flags.
func TestMissingCredentials(t *testing.T) {
	c := accept[*Connect](t, fresh, connectPk(V31, 0xc2, "c"))
	if c.HasUsername || c.HasPassword {
		t.Errorf("%+v", c)
	}
	c = accept[*Connect](t, fresh, connectPk(V31, 0xc2, "c", "u"))
	if !c.HasUsername || c.Username != "u" || c.HasPassword {
		t.Errorf("%+v", c)
	}
}

// [MQTT-3.1.3-5] [MQTT-3.1.3-6] and, for 3.1.1 and clean session 0, the policy
// of the caller [MQTT-3.1.3-8]
func TestClientID(t *testing.T) {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for _, id := range []string{"a", letters[:23], letters[23:46], letters[40:], strings.Repeat("x", 65535), "with / + # $"} {
		for _, v := range []Version{V31, V311, V50} {
			b := Append(nil, v, &Connect{ClientID: id})
			if c := accept[*Connect](t, fresh, b); c.ClientID != id {
				t.Errorf("got %q, want %q", c.ClientID, id)
			}
		}
	}
	t.Run("empty", func(t *testing.T) {
		accept[*Connect](t, fresh, connectPk(V311, 2, ""))
		accept[*Connect](t, fresh, connectPk(V311, 0, ""))
		accept[*Connect](t, fresh, connectPk(V50, 0, 0, ""))
		refuse(t, &Decoder{}, connectPk(V31, 2, ""), ClientIdentifierNotValid)
	})
}

func TestWillTopic(t *testing.T) {
	var tests []refusal
	for _, topic := range []string{"", "#", "a/+", "a#b", "long enough for words/#"} {
		tests = append(tests,
			refusal{fmt.Sprintf("%q 3.1.1", topic), fresh, connectPk(V311, 4, "c", topic, "m"), TopicNameInvalid},
			refusal{fmt.Sprintf("%q 5.0", topic), fresh, connectPk(V50, 4, 0, "c", 0, topic, "m"), TopicNameInvalid},
		)
	}
	refuseAll(t, tests)
	t.Run("empty message", func(t *testing.T) {
		c := accept[*Connect](t, fresh, connectPk(V311, 4, "c", "w", ""))
		if c.Will == nil || len(c.Will.Payload) != 0 {
			t.Errorf("%+v", c.Will)
		}
	})
}

// 5.0: [MQTT-3.2.2-1] [MQTT-3.2.2-6] [MQTT-3.2.2-8]; 3.1.1: [MQTT-3.2.2-4]
func TestConnack(t *testing.T) {
	refuseAll(t, []refusal{
		{"reserved flags", to5, pk(0x20, 2, 0, 0), MalformedPacket},
		{"reserved flags 3.1.1", to311, pk(0x20, 0x80, 0), MalformedPacket},
		{"session present in a refusal", to5, pk(0x20, 1, 0x87, 0), ProtocolError},
		{"session present in a refusal 3.1.1", to311, pk(0x20, 1, 5), ProtocolError},
		{"unknown code", to5, pk(0x20, 0, 0x01, 0), ProtocolError},
		{"unknown code 3.1.1", to311, pk(0x20, 0, 6), ProtocolError},
		{"no code", to311, pk(0x20, 0), MalformedPacket},
		{"no properties", to5, pk(0x20, 0, 0), MalformedPacket},
	})
	t.Run("encoded", func(t *testing.T) {
		refusedSession := &Connack{SessionPresent: true, Code: NotAuthorized}
		for _, tt := range []struct {
			v    Version
			p    *Connack
			want []byte
		}{
			{V311, &Connack{SessionPresent: true}, []byte{0x20, 2, 1, 0}},
			{V31, &Connack{SessionPresent: true}, []byte{0x20, 2, 0, 0}},
			{V50, &Connack{SessionPresent: true}, []byte{0x20, 3, 1, 0, 0}},
			{V311, refusedSession, []byte{0x20, 2, 0, 5}},
			{V50, refusedSession, []byte{0x20, 3, 0, 0x87, 0}},
			{V311, &Connack{Props: AppendByteProp(nil, PropRetainAvailable, 0)}, []byte{0x20, 2, 0, 0}},
		} {
			if got := Append(nil, tt.v, tt.p); string(got) != string(tt.want) {
				t.Errorf("%d %+v: got % x, want % x", tt.v, tt.p, got, tt.want)
			}
		}
	})
	t.Run("reserved byte of 3.1", func(t *testing.T) { accept[*Connack](t, to31, pk(0x20, 0xff, 0)) })
}
