package packet

// Unsuback answers an UNSUBSCRIBE (5.0 §3.11), in 5.0 with one code a filter, in
// order [MQTT-3.11.3-1].
type Unsuback struct {
	Props    Props
	Codes    []ReasonCode // not sent before 5.0
	PacketID uint16
}

// Type is TypeUnsuback.
func (p *Unsuback) Type() Type { return TypeUnsuback }

func (p *Unsuback) decode(r *reader, v Version) *Error {
	p.PacketID = r.packetID()
	if v != V50 {
		return r.end()
	}
	p.Props = append(Props(nil), r.props(in(TypeUnsuback))...)
	if r.err == nil && len(r.b) == 0 {
		return protocolError("UNSUBACK without a reason code [MQTT-3.11.3-1]")
	}
	for _, b := range r.b {
		c := ReasonCode(b)
		if !c.allowed(TypeUnsuback, true) {
			return protocolError("reason code is not one of UNSUBACK [MQTT-3.11.3-2]")
		}
		p.Codes = append(p.Codes, c)
	}
	return r.err
}

func (p *Unsuback) appendTo(dst []byte, v Version) []byte {
	start := len(dst)
	dst = appendUint16(begin(dst, byte(TypeUnsuback)<<4), p.PacketID)
	if v == V50 {
		dst = appendProps(dst, p.Props)
		for _, c := range p.Codes {
			dst = append(dst, byte(c))
		}
	}
	return finish(dst, start)
}
