package packet

// Ack is a PUBACK, PUBREC, PUBREL or PUBCOMP (5.0 §3.4 to §3.7). Props of a
// decoded one borrow the read buffer.
type Ack struct {
	Props    Props
	PacketID uint16
	Kind     Type
	Code     ReasonCode // Success before 5.0
}

// Type is the Kind.
func (p *Ack) Type() Type { return p.Kind }

func (p *Ack) decode(r *reader, kind Type, d *Decoder) *Error {
	*p = Ack{Kind: kind, PacketID: r.packetID()}
	if r.err != nil || len(r.b) == 0 {
		return r.err
	}
	if d.Version != V50 {
		return r.end()
	}
	p.Code = ReasonCode(r.byte())
	if !p.Code.allowed(kind, d.FromServer) {
		return protocolError("reason code is not one of this packet [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]")
	}
	if len(r.b) > 0 {
		p.Props = r.props(in(kind))
	}
	return r.end()
}

func (p *Ack) appendTo(dst []byte, v Version) []byte {
	return AppendAck(dst, v, p)
}

// AppendAck is Append for an Ack that must not escape to the heap.
func AppendAck(dst []byte, v Version, p *Ack) []byte {
	first := byte(p.Kind) << 4
	if p.Kind == TypePubrel {
		first |= 0x02 // [MQTT-3.6.1-1]
	}
	switch {
	case v != V50 || p.Code == Success && len(p.Props) == 0:
		return append(dst, first, 2, byte(p.PacketID>>8), byte(p.PacketID))
	case len(p.Props) == 0:
		return append(dst, first, 3, byte(p.PacketID>>8), byte(p.PacketID), byte(p.Code))
	}
	start := len(dst)
	dst = append(appendUint16(begin(dst, first), p.PacketID), byte(p.Code))
	return finish(appendProps(dst, p.Props), start)
}
