package packet

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// holders are all places of properties with a packet around a property block.
var holders = map[string]struct {
	d     Decoder
	where propSet
	build func(p Props) []byte
}{
	"CONNECT":     {fresh, in(TypeConnect), func(p Props) []byte { return connectPk(V50, 2, p, "c") }},
	"will":        {fresh, inWill, func(p Props) []byte { return connectPk(V50, 6, 0, "c", p, "w", "m") }},
	"CONNACK":     {to5, in(TypeConnack), func(p Props) []byte { return pk(0x20, 0, 0, p) }},
	"PUBLISH":     {from5, inPublish, func(p Props) []byte { return publishPk("t", p) }},
	"PUBLISH out": {to5, inPublishFromServer, func(p Props) []byte { return publishPk("t", p) }},
	"PUBACK":      {from5, in(TypePuback), func(p Props) []byte { return pk(0x40, 0, 1, 0, p) }},
	"PUBREC":      {from5, in(TypePubrec), func(p Props) []byte { return pk(0x50, 0, 1, 0, p) }},
	"PUBREL":      {from5, in(TypePubrel), func(p Props) []byte { return pk(0x62, 0, 1, 0, p) }},
	"PUBCOMP":     {from5, in(TypePubcomp), func(p Props) []byte { return pk(0x70, 0, 1, 0, p) }},
	"SUBSCRIBE":   {from5, in(TypeSubscribe), func(p Props) []byte { return pk(0x82, 0, 1, p, "t", 0) }},
	"SUBACK":      {to5, in(TypeSuback), func(p Props) []byte { return pk(0x90, 0, 1, p, 0) }},
	"UNSUBSCRIBE": {from5, in(TypeUnsubscribe), func(p Props) []byte { return pk(0xa2, 0, 1, p, "t") }},
	"UNSUBACK":    {to5, in(TypeUnsuback), func(p Props) []byte { return pk(0xb0, 0, 1, p, 0) }},
	"DISCONNECT":  {from5, in(TypeDisconnect), func(p Props) []byte { return pk(0xe0, 0, p) }},
	"AUTH": {from5, in(TypeAuth), func(p Props) []byte {
		if !p.Has(PropAuthMethod) {
			p = append(AppendStringProp(nil, PropAuthMethod, "m"), p...)
		}
		return pk(0xf0, 0x18, p)
	}},
}

// valueOf is a value of the kind that every property of the kind may have.
func valueOf(id PropID) Props {
	switch properties[id].kind {
	case kindByte:
		return AppendByteProp(nil, id, 0)
	case kindUint16:
		return AppendUint16Prop(nil, id, 1)
	case kindUint32:
		return AppendUint32Prop(nil, id, 1)
	case kindVarint:
		return AppendVarintProp(nil, id, 1)
	case kindPair:
		return AppendUserProp(nil, "k", "v")
	default:
		return AppendStringProp(nil, id, "s")
	}
}

// table is 5.0 §2.2.2.2 by hand: where each property may stand.
var table = map[PropID]string{
	PropPayloadFormat: "PUBLISH,PUBLISH out,will", PropMessageExpiry: "PUBLISH,PUBLISH out,will", PropContentType: "PUBLISH,PUBLISH out,will",
	PropResponseTopic: "PUBLISH,PUBLISH out,will", PropCorrelationData: "PUBLISH,PUBLISH out,will",
	PropSubscriptionID: "PUBLISH out,SUBSCRIBE", PropSessionExpiry: "CONNECT,CONNACK,DISCONNECT", PropAssignedClientID: "CONNACK",
	PropServerKeepAlive: "CONNACK", PropAuthMethod: "CONNECT,CONNACK,AUTH", PropAuthData: "CONNECT,CONNACK,AUTH", PropRequestProblemInfo: "CONNECT",
	PropWillDelay: "will", PropRequestResponseInfo: "CONNECT", PropResponseInfo: "CONNACK", PropServerReference: "CONNACK",
	PropReasonString:   "CONNACK,PUBACK,PUBREC,PUBREL,PUBCOMP,SUBACK,UNSUBACK,DISCONNECT,AUTH",
	PropReceiveMaximum: "CONNECT,CONNACK", PropTopicAliasMaximum: "CONNECT,CONNACK", PropTopicAlias: "PUBLISH,PUBLISH out", PropMaximumQoS: "CONNACK",
	PropRetainAvailable: "CONNACK", PropMaximumPacketSize: "CONNECT,CONNACK", PropWildcardAvailable: "CONNACK",
	PropSubscriptionIDAvailable: "CONNACK", PropSharedAvailable: "CONNACK",
	PropUserProperty: "CONNECT,CONNACK,will,PUBLISH,PUBLISH out,PUBACK,PUBREC,PUBREL,PUBCOMP,SUBSCRIBE,SUBACK,UNSUBSCRIBE,UNSUBACK,DISCONNECT,AUTH",
}

// TestPropertyPlaces puts every identifier into every packet, once and twice.
func TestPropertyPlaces(t *testing.T) {
	for place, h := range holders {
		t.Run(place, func(t *testing.T) {
			for id := range PropID(128) {
				allowed := false
				for _, name := range strings.Split(table[id], ",") {
					allowed = allowed || name == place
				}
				d := h.d
				switch {
				case allowed && id == PropAuthData: // never alone
					p := append(AppendStringProp(nil, PropAuthMethod, "m"), valueOf(id)...)
					accept[Packet](t, d, h.build(p))
				case allowed:
					accept[Packet](t, d, h.build(valueOf(id)))
				case table[id] == "":
					refuse(t, &d, h.build(Props{byte(id), 0, 0}), MalformedPacket)
				case place == "DISCONNECT" && id == PropServerReference, place == "PUBLISH" && id == PropSubscriptionID:
					refuse(t, &d, h.build(valueOf(id)), ProtocolError) // right packet, wrong sender
				default:
					refuse(t, &d, h.build(valueOf(id)), MalformedPacket)
				}
				if !allowed {
					continue
				}
				d = h.d
				if twice := h.build(append(valueOf(id), valueOf(id)...)); id == PropUserProperty || id == PropSubscriptionID && place == "PUBLISH out" {
					accept[Packet](t, d, twice)
				} else {
					refuse(t, &d, twice, ProtocolError)
				}
			}
			d := h.d
			refuse(t, &d, h.build(Props{0x80, 1}), MalformedPacket) // an identifier of two bytes
		})
	}
}

// [MQTT-3.3.2-8] [MQTT-3.3.2-14] [MQTT-3.3.4-6] [MQTT-3.14.2-2]
func TestPropertyValues(t *testing.T) {
	connect, connack := holders["CONNECT"].build, holders["CONNACK"].build
	var tests []refusal
	for id := range PropID(len(properties)) {
		if properties[id].kind != kindByte {
			continue
		}
		for place, h := range holders {
			if properties[id].in&h.where != 0 {
				for _, v := range []byte{2, 255} {
					tests = append(tests, refusal{fmt.Sprintf("property %d is %d in %s", id, v, place), h.d, h.build(AppendByteProp(nil, id, v)), ProtocolError})
				}
			}
		}
	}
	tests = append(tests,
		refusal{"receive maximum 0", fresh, connect(AppendUint16Prop(nil, PropReceiveMaximum, 0)), ProtocolError},
		refusal{"receive maximum 0 of a server", to5, connack(AppendUint16Prop(nil, PropReceiveMaximum, 0)), ProtocolError},
		refusal{"maximum packet size 0", fresh, connect(AppendUint32Prop(nil, PropMaximumPacketSize, 0)), ProtocolError},
		refusal{"maximum packet size 0 of a server", to5, connack(AppendUint32Prop(nil, PropMaximumPacketSize, 0)), ProtocolError},
		refusal{"topic alias 0", from5, publishPk("t", AppendUint16Prop(nil, PropTopicAlias, 0)), TopicAliasInvalid},
		refusal{"topic alias 0 without topic", from5, publishPk("", AppendUint16Prop(nil, PropTopicAlias, 0)), TopicAliasInvalid},
		refusal{"subscription identifier 0", from5, pk(0x82, 0, 1, AppendVarintProp(nil, PropSubscriptionID, 0), "t", 0), ProtocolError},
		refusal{"subscription identifier 0 of a server", to5, publishPk("t", AppendVarintProp(nil, PropSubscriptionID, 0)), ProtocolError},
		refusal{"subscription identifier from a client", from5, publishPk("t", AppendVarintProp(nil, PropSubscriptionID, 1)), ProtocolError},
		refusal{"subscription identifier of five bytes", from5, pk(0x82, 0, 1, Props{11, 0xff, 0xff, 0xff, 0xff, 1}, "t", 0), MalformedPacket},
		refusal{"response topic with plus", from5, publishPk("t", AppendStringProp(nil, PropResponseTopic, "a/+")), ProtocolError},
		refusal{"response topic with number sign", from5, publishPk("t", AppendStringProp(nil, PropResponseTopic, "answers/of/all/#")), ProtocolError},
		refusal{"response topic empty", from5, publishPk("t", AppendStringProp(nil, PropResponseTopic, "")), ProtocolError},
		refusal{"response topic of a will", fresh, holders["will"].build(AppendStringProp(nil, PropResponseTopic, "#")), ProtocolError},
		refusal{"authentication data without method", fresh, connect(AppendBytesProp(nil, PropAuthData, []byte("x"))), ProtocolError},
		refusal{"authentication data without method in AUTH", from5, pk(0xf0, 0x18, AppendBytesProp(nil, PropAuthData, []byte("x"))), ProtocolError},
		refusal{"session expiry in DISCONNECT of a server", to5, pk(0xe0, 0, AppendUint32Prop(nil, PropSessionExpiry, 1)), ProtocolError},
	)
	refuseAll(t, tests)
	t.Run("largest", func(t *testing.T) {
		accept[*Subscribe](t, from5, pk(0x82, 0, 1, AppendVarintProp(nil, PropSubscriptionID, 268_435_455), "t", 0))
		accept[*Connect](t, fresh, connect(AppendUint16Prop(nil, PropReceiveMaximum, 65535)))
		accept[*Connect](t, fresh, connect(AppendUint32Prop(nil, PropMaximumPacketSize, 1<<32-1)))
		accept[*Publish](t, from5, publishPk("t", AppendUint16Prop(nil, PropTopicAlias, 65535)))
	})
}

func TestPropsRead(t *testing.T) {
	p := AppendByteProp(nil, PropPayloadFormat, 1)
	p = AppendUint32Prop(p, PropMessageExpiry, 70_000)
	p = AppendUserProp(p, "z", "1")
	p = AppendStringProp(p, PropContentType, "text")
	p = AppendBytesProp(p, PropCorrelationData, []byte{1, 2})
	p = AppendVarintProp(p, PropSubscriptionID, 300)
	p = AppendUint16Prop(p, PropTopicAlias, 9)
	p = AppendUserProp(p, "a", "")
	got := []any{}
	add := func(v any, ok bool) { got = append(got, v, ok) }
	b, ok := p.Byte(PropPayloadFormat)
	add(b, ok)
	u32, ok := p.Uint32(PropMessageExpiry)
	add(u32, ok)
	s, ok := p.String(PropContentType)
	add(s, ok)
	data, ok := p.Bytes(PropCorrelationData)
	add(data, ok)
	v, ok := p.Varint(PropSubscriptionID)
	add(v, ok)
	u16, ok := p.Uint16(PropTopicAlias)
	add(u16, ok)
	want := []any{byte(1), true, uint32(70_000), true, "text", true, []byte{1, 2}, true, uint32(300), true, uint16(9), true}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if u := p.UserProperties(); !reflect.DeepEqual(u, [][2]string{{"z", "1"}, {"a", ""}}) { // in order
		t.Errorf("user properties %v", u)
	}
	var ids []PropID
	p.Each(func(id PropID, _ []byte) bool {
		ids = append(ids, id)
		return id != PropTopicAlias // not the last
	})
	if want := []PropID{1, 2, 38, 3, 9, 11, 35}; !reflect.DeepEqual(ids, want) {
		t.Errorf("properties %v, want %v", ids, want)
	}
	if !p.Has(PropTopicAlias) || p.Has(PropWillDelay) {
		t.Error("Has")
	}
}

// TestPropsAbsent: what is not there, has another type or is no property block
// at all gives no value.
func TestPropsAbsent(t *testing.T) {
	whole := AppendUint32Prop(AppendStringProp(nil, PropContentType, "text"), PropMessageExpiry, 7)
	for _, p := range []Props{nil, {}, {3}, {3, 0}, {3, 0, 9, 'a'}, {2, 0}, {11, 0x80}, {38, 0, 0, 0}, {99, 1}, {200}, whole[:len(whole)-1]} {
		_, a := p.Byte(PropMessageExpiry)
		_, b := p.Uint16(PropMessageExpiry)
		_, c := p.Uint32(PropMessageExpiry)
		_, d := p.Varint(PropSubscriptionID)
		_, e := p.Bytes(PropCorrelationData)
		if a || b || c || d || e || p.UserProperties() != nil {
			t.Errorf("% x gives a value", p)
		}
	}
	_, a := whole.Byte(PropMessageExpiry)
	_, b := whole.Uint16(PropMessageExpiry)
	_, c := whole.Bytes(PropMessageExpiry)
	_, d := whole.Uint32(PropContentType)
	if a || b || c || d {
		t.Error("value of another type")
	}
	if s, ok := whole.String(PropReasonString); s != "" || ok {
		t.Error("string that is not there")
	}
}

// TestPropertyOrder: user properties of a PUBLISH leave as they came
// [MQTT-3.3.2-17] [MQTT-3.3.2-18], and so does everything else that is forwarded
// [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-20].
func TestPropertyOrder(t *testing.T) {
	p := AppendUserProp(AppendStringProp(AppendUserProp(nil, "b", "1"), PropContentType, "c"), "a", "2")
	p = AppendUserProp(AppendStringProp(AppendBytesProp(p, PropCorrelationData, []byte{9}), PropResponseTopic, "r"), "b", "1")
	p = AppendByteProp(p, PropPayloadFormat, 1)
	in := accept[*Publish](t, from5, publishPk("t", append(AppendUint16Prop(nil, PropTopicAlias, 1), p...)))
	kept, _, _ := in.Forward()
	out := accept[*Publish](t, to5, AppendPublish(nil, V50, &PublishOut{Topic: "t", Props: kept}))
	if !bytes.Equal(out.Props, p) {
		t.Errorf("got % x, want % x", out.Props, p)
	}
}
