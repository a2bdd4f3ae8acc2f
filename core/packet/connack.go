package packet

// Connack answers a CONNECT (5.0 §3.2). In 3.x the code is what ConnackV3 makes
// of it.
type Connack struct {
	Props          Props
	Code           ReasonCode
	SessionPresent bool // never in 3.1, which has no such flag
}

// Type is TypeConnack.
func (p *Connack) Type() Type { return TypeConnack }

func (p *Connack) decode(r *reader, v Version) *Error {
	flags, code := r.byte(), r.byte()
	if r.err != nil {
		return r.err
	}
	if v == V31 {
		flags = 0 // "reserved, not used"
	}
	if flags > 1 {
		return malformed("reserved connect acknowledge flags [MQTT-3.2.2-1]")
	}
	p.SessionPresent = flags == 1
	var known bool
	if v == V50 {
		p.Code = ReasonCode(code)
		known = p.Code.allowed(TypeConnack, true)
		p.Props = append(Props(nil), r.props(in(TypeConnack))...)
	} else {
		p.Code, known = connackFromV3(code)
	}
	if r.err == nil && !known {
		return protocolError("reason code is not one of CONNACK [MQTT-3.2.2-8]")
	}
	if r.err == nil && p.SessionPresent && p.Code != Success {
		return protocolError("session present in a refusal [MQTT-3.2.2-6]")
	}
	return r.end()
}

func (p *Connack) appendTo(dst []byte, v Version) []byte {
	start := len(dst)
	var flags byte
	if p.SessionPresent && p.Code == Success && v != V31 {
		flags = 1
	}
	dst = begin(dst, byte(TypeConnack)<<4)
	if v != V50 {
		return finish(append(dst, flags, ConnackV3(p.Code)), start)
	}
	dst = append(dst, flags, byte(p.Code))
	return finish(appendProps(dst, p.Props), start)
}
