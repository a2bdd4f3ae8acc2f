package channel

import "github.com/dunlinmq/dunlin/core/packet"

// connackProps are the properties of a successful CONNACK [MQTT-3.2.2.3]. Those
// whose value is the standard's default are left out.
func (c *Channel) connackProps(h *handshake) (p packet.Props) {
	if c.version != packet.V50 {
		return nil
	}
	if want, _ := h.packet.Props.Uint32(packet.PropSessionExpiry); want != c.expiry {
		p = packet.AppendUint32Prop(p, packet.PropSessionExpiry, c.expiry)
	}
	if n := c.zone.receiveMaximum(); n != 65535 {
		p = packet.AppendUint16Prop(p, packet.PropReceiveMaximum, n)
	}
	if c.zone.MaxQoS < 2 {
		p = packet.AppendByteProp(p, packet.PropMaximumQoS, c.zone.MaxQoS)
	}
	p = unavailable(p, packet.PropRetainAvailable, c.retainAvailable())
	if c.zone.MaxPacketSize > 0 {
		p = packet.AppendUint32Prop(p, packet.PropMaximumPacketSize, c.zone.MaxPacketSize)
	}
	if h.assigned != "" {
		p = packet.AppendStringProp(p, packet.PropAssignedClientID, h.assigned)
	}
	if c.zone.MaxTopicAlias > 0 {
		p = packet.AppendUint16Prop(p, packet.PropTopicAliasMaximum, c.zone.MaxTopicAlias)
	}
	p = unavailable(p, packet.PropWildcardAvailable, c.zone.WildcardAvailable)
	p = unavailable(p, packet.PropSharedAvailable, c.zone.SharedAvailable)
	if c.zone.ServerKeepAlive > 0 {
		p = packet.AppendUint16Prop(p, packet.PropServerKeepAlive, c.zone.ServerKeepAlive)
	}
	if want, _ := h.packet.Props.Byte(packet.PropRequestResponseInfo); want == 1 && c.zone.ResponseInformation != "" {
		p = packet.AppendStringProp(p, packet.PropResponseInfo, c.zone.ResponseInformation)
	}
	if c.limits.authMethod != "" {
		p = packet.AppendStringProp(p, packet.PropAuthMethod, c.limits.authMethod)
		if h.auth != nil && h.auth.Reply != nil {
			p = packet.AppendBytesProp(p, packet.PropAuthData, h.auth.Reply)
		}
	}
	return p
}

// unavailable appends a property that says 0 unless the feature is there; its
// absence says 1.
func unavailable(p packet.Props, id packet.PropID, there bool) packet.Props {
	if there {
		return p
	}
	return packet.AppendByteProp(p, id, 0)
}
