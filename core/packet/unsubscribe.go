package packet

// Unsubscribe ends subscriptions (5.0 §3.10). It owns its memory.
type Unsubscribe struct {
	Props    Props
	Filters  []string // at least one
	PacketID uint16
}

// Type is TypeUnsubscribe.
func (p *Unsubscribe) Type() Type { return TypeUnsubscribe }

func (p *Unsubscribe) decode(r *reader, v Version) *Error {
	p.PacketID = r.packetID()
	if v == V50 {
		p.Props = append(Props(nil), r.props(in(TypeUnsubscribe))...)
	}
	if r.err == nil && len(r.b) == 0 {
		return protocolError("UNSUBSCRIBE without a filter [MQTT-3.10.3-2]")
	}
	for len(r.b) > 0 {
		p.Filters = append(p.Filters, r.string())
	}
	return r.err
}

func (p *Unsubscribe) appendTo(dst []byte, v Version) []byte {
	start := len(dst)
	dst = appendUint16(begin(dst, byte(TypeUnsubscribe)<<4|0x02), p.PacketID)
	if v == V50 {
		dst = appendProps(dst, p.Props)
	}
	for _, f := range p.Filters {
		dst = appendString(dst, f)
	}
	return finish(dst, start)
}
