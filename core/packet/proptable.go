package packet

import "encoding/binary"

// propSet is a set of places for a property: one bit a packet Type, bit 0 for
// Will Properties, bit typePublishFromServer for a PUBLISH from a server.
type propSet uint32

// Places that are no packet type, or two.
const (
	inWill              propSet = 1 << 0
	inPublish           propSet = 1 << TypePublish
	inPublishFromServer propSet = 1 << 16
)

func in(types ...Type) (s propSet) {
	for _, t := range types {
		s |= 1 << t
	}
	return s
}

// property is one row of the table of 5.0 §2.2.2.2.
type property struct {
	kind propKind
	in   propSet
}

var (
	everyAck   = in(TypePuback, TypePubrec, TypePubrel, TypePubcomp, TypeSuback, TypeUnsuback)
	everywhere = in(TypeConnect, TypeConnack, TypePublish, TypeSubscribe, TypeUnsubscribe, TypeDisconnect, TypeAuth) |
		inWill | inPublishFromServer | everyAck
	inMessage = in(TypePublish) | inWill | inPublishFromServer
)

// properties holds what each identifier is and where it may stand.
var properties = [64]property{
	PropPayloadFormat:           {kindByte, inMessage},
	PropMessageExpiry:           {kindUint32, inMessage},
	PropContentType:             {kindString, inMessage},
	PropResponseTopic:           {kindString, inMessage},
	PropCorrelationData:         {kindBinary, inMessage},
	PropSubscriptionID:          {kindVarint, in(TypePublish, TypeSubscribe) | inPublishFromServer},
	PropSessionExpiry:           {kindUint32, in(TypeConnect, TypeConnack, TypeDisconnect)},
	PropAssignedClientID:        {kindString, in(TypeConnack)},
	PropServerKeepAlive:         {kindUint16, in(TypeConnack)},
	PropAuthMethod:              {kindString, in(TypeConnect, TypeConnack, TypeAuth)},
	PropAuthData:                {kindBinary, in(TypeConnect, TypeConnack, TypeAuth)},
	PropRequestProblemInfo:      {kindByte, in(TypeConnect)},
	PropWillDelay:               {kindUint32, inWill},
	PropRequestResponseInfo:     {kindByte, in(TypeConnect)},
	PropResponseInfo:            {kindString, in(TypeConnack)},
	PropServerReference:         {kindString, in(TypeConnack, TypeDisconnect)},
	PropReasonString:            {kindString, in(TypeConnack, TypeDisconnect, TypeAuth) | everyAck},
	PropReceiveMaximum:          {kindUint16, in(TypeConnect, TypeConnack)},
	PropTopicAliasMaximum:       {kindUint16, in(TypeConnect, TypeConnack)},
	PropTopicAlias:              {kindUint16, in(TypePublish) | inPublishFromServer},
	PropMaximumQoS:              {kindByte, in(TypeConnack)},
	PropRetainAvailable:         {kindByte, in(TypeConnack)},
	PropUserProperty:            {kindPair, everywhere},
	PropMaximumPacketSize:       {kindUint32, in(TypeConnect, TypeConnack)},
	PropWildcardAvailable:       {kindByte, in(TypeConnack)},
	PropSubscriptionIDAvailable: {kindByte, in(TypeConnack)},
	PropSharedAvailable:         {kindByte, in(TypeConnack)},
}

// checkProps tells what is wrong with a property block that stands at where:
// unknown or misplaced identifiers and truncated values are malformed;
// duplicates and values out of range are protocol errors (5.0 §2.2.2.2).
func checkProps(b []byte, where propSet) *Error {
	var seen uint64
	for p := Props(b); len(p) > 0; {
		if int(p[0]) >= len(properties) || properties[p[0]].in&where == 0 {
			return malformed("property is unknown or not allowed here")
		}
		id, value, rest, ok := p.next()
		if !ok {
			return malformed("property value goes beyond the properties")
		}
		bit := uint64(1) << id
		if seen&bit != 0 && id != PropUserProperty && (id != PropSubscriptionID || where != inPublishFromServer) {
			return protocolError("property occurs twice")
		}
		seen |= bit
		if err := checkValue(id, value, where); err != nil {
			return err
		}
		p = rest
	}
	if seen&(1<<PropAuthData) != 0 && seen&(1<<PropAuthMethod) == 0 {
		return protocolError("authentication data without authentication method")
	}
	return nil
}

// checkValue checks one value, given in wire form, against its type and range.
func checkValue(id PropID, value []byte, where propSet) *Error {
	switch properties[id].kind {
	case kindByte:
		// Every Byte property of the standard is a boolean or a QoS up to 1.
		if value[0] > 1 {
			return protocolError("property value is neither 0 nor 1")
		}
	case kindString:
		if !validUTF8(value[2:]) {
			return malformed("property is ill-formed UTF-8 or has U+0000 [MQTT-1.5.4-1]")
		}
	case kindPair:
		k, _ := sizedBytes(value)
		if !validUTF8(value[2:k]) || !validUTF8(value[k+2:]) {
			return malformed("user property is ill-formed UTF-8 or has U+0000 [MQTT-1.5.7-1]")
		}
	}
	return checkRange(id, value, where)
}

// checkRange refuses the values that the standard excludes one by one.
func checkRange(id PropID, value []byte, where propSet) *Error {
	switch id {
	case PropReceiveMaximum:
		if binary.BigEndian.Uint16(value) == 0 {
			return protocolError("receive maximum is 0")
		}
	case PropMaximumPacketSize:
		if binary.BigEndian.Uint32(value) == 0 {
			return protocolError("maximum packet size is 0")
		}
	case PropTopicAlias:
		if binary.BigEndian.Uint16(value) == 0 {
			return &Error{Code: TopicAliasInvalid, Msg: "topic alias is 0 [MQTT-3.3.2-8]"}
		}
	case PropSubscriptionID:
		if where == inPublish {
			return protocolError("subscription identifier from a client [MQTT-3.3.4-6]")
		}
		if value[0] == 0 {
			return protocolError("subscription identifier is 0")
		}
	case PropResponseTopic:
		if _, wild := validName(value[2:]); wild || len(value) == 2 {
			return protocolError("response topic is empty or has a wildcard [MQTT-3.3.2-14]")
		}
	}
	return nil
}
