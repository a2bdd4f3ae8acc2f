package packet

import "strings"

// allProps is every property that may stand at where, once, with a value that
// is allowed; user properties twice.
func allProps(where propSet) (p Props) {
	for id := range properties {
		if properties[id].in&where == 0 {
			continue
		}
		id := PropID(id)
		switch properties[id].kind {
		case kindByte:
			p = AppendByteProp(p, id, 1)
		case kindUint16:
			p = AppendUint16Prop(p, id, 300)
		case kindUint32:
			p = AppendUint32Prop(p, id, 70_000)
		case kindVarint:
			if where == inPublish {
				continue // a client may not send it
			}
			p = AppendVarintProp(p, id, 268_435_455)
		case kindString:
			p = AppendStringProp(p, id, "täxt")
		case kindBinary:
			p = AppendBytesProp(p, id, []byte{0, 0xff, 1})
		case kindPair:
			p = AppendUserProp(AppendUserProp(p, "key", "b"), "key", "")
		}
	}
	return p
}

// samples are valid packets of one version and direction, in an order in which
// they can be sent, with and without their optional parts.
func samples(v Version, fromServer bool) []Packet {
	props := func(where propSet) Props {
		if v != V50 {
			return nil
		}
		return allProps(where)
	}
	var all []Packet
	if fromServer {
		all = serverSamples(v, props)
	} else {
		all = clientSamples(v, props)
	}
	where := inPublish
	if fromServer {
		where = inPublishFromServer
	}
	all = append(all,
		&Publish{Topic: "t"},
		&Publish{Topic: "a/b", QoS: 1, PacketID: 1, Retain: true, Payload: []byte("x")},
		&Publish{Topic: strings.Repeat("ä/", 100), QoS: 2, PacketID: 65535, Dup: true, Props: props(where), Payload: make([]byte, 300)},
	)
	for kind := TypePuback; kind <= TypePubcomp; kind++ {
		all = append(all, &Ack{Kind: kind, PacketID: 258})
		if v != V50 {
			continue
		}
		code := QuotaExceeded
		if kind > TypePubrec {
			code = PacketIdentifierNotFound
		}
		all = append(all, &Ack{Kind: kind, PacketID: 1, Code: code},
			&Ack{Kind: kind, PacketID: 1, Props: props(in(kind))},
			&Ack{Kind: kind, PacketID: 1, Code: code, Props: props(in(kind))})
	}
	switch {
	case v == V50:
		all = append(all, &Auth{Code: ContinueAuthentication, Props: props(in(TypeAuth))})
		all = append(all, disconnects(fromServer)...)
	case !fromServer:
		all = append(all, &Disconnect{})
	}
	return all
}

func disconnects(fromServer bool) []Packet {
	p := AppendUserProp(AppendStringProp(nil, PropReasonString, "why"), "k", "v")
	if fromServer {
		p = AppendStringProp(p, PropServerReference, "other:1883")
	} else {
		p = AppendUint32Prop(p, PropSessionExpiry, 3600)
	}
	return []Packet{&Disconnect{}, &Disconnect{Code: UnspecifiedError}, &Disconnect{Code: QuotaExceeded, Props: p}, &Disconnect{Props: p}}
}

func clientSamples(v Version, props func(propSet) Props) []Packet {
	filters := []Filter{{Filter: "a/+/#", QoS: 2}, {Filter: "$share/g/a"}, {Filter: "b", QoS: 1}}
	if v == V50 {
		filters[0].NoLocal, filters[0].RetainAsPublished, filters[0].RetainHandling = true, true, 2
		filters[2].RetainHandling = 1
	}
	return []Packet{
		&Connect{
			Version: v, ClientID: "clïent", CleanStart: true, KeepAlive: 600, Props: props(in(TypeConnect)),
			HasUsername: true, Username: "me", HasPassword: true, Password: []byte{0, 1, 0xff},
			Will: &Will{Topic: "w/t", Payload: []byte("gone"), QoS: 2, Retain: true, Props: props(inWill)},
		},
		&Subscribe{PacketID: 10, Filters: filters, Props: props(in(TypeSubscribe))},
		&Subscribe{PacketID: 11, Filters: filters[1:2]},
		&Unsubscribe{PacketID: 12, Filters: []string{"a/+/#", "b"}, Props: props(in(TypeUnsubscribe))},
		&Unsubscribe{PacketID: 13, Filters: []string{"b"}},
		&Pingreq{},
	}
}

// connects are CONNECTs with each subset of optional parts.
func connects(v Version) []Packet {
	all := []Packet{&Connect{Version: v, ClientID: "c", Bridge: v != V50}}
	for bits := range 16 {
		c := &Connect{Version: v, ClientID: "c", CleanStart: bits&1 != 0}
		if bits&2 != 0 {
			c.Will = &Will{Topic: "w"}
		}
		c.HasUsername = bits&4 != 0
		c.HasPassword = bits&8 != 0
		if v == V50 || c.HasUsername || !c.HasPassword {
			all = append(all, c)
		}
	}
	return all
}

func serverSamples(v Version, props func(propSet) Props) []Packet {
	suback := &Suback{PacketID: 1, Codes: []ReasonCode{GrantedQoS0, GrantedQoS1, GrantedQoS2, UnspecifiedError}}
	unsuback := &Unsuback{PacketID: 1}
	all := []Packet{
		&Connack{}, &Connack{Code: NotAuthorized}, &Connack{SessionPresent: v != V31, Props: props(in(TypeConnack))},
		suback, unsuback, &Pingresp{},
	}
	if v != V50 {
		return all
	}
	unsuback.Codes = []ReasonCode{Success, NoSubscriptionExisted, NotAuthorized}
	return append(all, &Auth{},
		&Suback{PacketID: 2, Codes: []ReasonCode{TopicFilterInvalid}, Props: props(in(TypeSuback))},
		&Unsuback{PacketID: 2, Codes: []ReasonCode{Success}, Props: props(in(TypeUnsuback))})
}
