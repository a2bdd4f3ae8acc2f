package packet

// Suback answers a SUBSCRIBE with one code a filter, in order (5.0 §3.9
// [MQTT-3.9.3-1]). Before 5.0 every failure is 0x80.
type Suback struct {
	Props    Props
	Codes    []ReasonCode
	PacketID uint16
}

// Type is TypeSuback.
func (p *Suback) Type() Type { return TypeSuback }

func (p *Suback) decode(r *reader, v Version) *Error {
	p.PacketID = r.packetID()
	if v == V50 {
		p.Props = append(Props(nil), r.props(in(TypeSuback))...)
	}
	if r.err == nil && len(r.b) == 0 {
		return protocolError("SUBACK without a reason code [MQTT-3.8.4-6]")
	}
	for _, b := range r.b {
		c := ReasonCode(b)
		if !c.allowed(TypeSuback, true) || v != V50 && c > UnspecifiedError {
			return protocolError("reason code is not one of SUBACK [MQTT-3.9.3-2]")
		}
		p.Codes = append(p.Codes, c)
	}
	return r.err
}

func (p *Suback) appendTo(dst []byte, v Version) []byte {
	start := len(dst)
	dst = appendUint16(begin(dst, byte(TypeSuback)<<4), p.PacketID)
	if v == V50 {
		dst = appendProps(dst, p.Props)
	}
	for _, c := range p.Codes {
		if v != V50 && c.Failed() {
			c = UnspecifiedError
		}
		dst = append(dst, byte(c))
	}
	return finish(dst, start)
}
