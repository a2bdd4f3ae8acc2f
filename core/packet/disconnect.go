package packet

// Disconnect is the last packet of a connection (5.0 §3.14). Before 5.0 only a
// client sends it, and it has no code. It owns its memory.
type Disconnect struct {
	Props Props
	Code  ReasonCode
}

// Type is TypeDisconnect.
func (p *Disconnect) Type() Type { return TypeDisconnect }

func (p *Disconnect) decode(r *reader, d *Decoder) *Error {
	if d.Version != V50 || len(r.b) == 0 {
		return r.end()
	}
	p.Code = ReasonCode(r.byte())
	if !p.Code.allowed(TypeDisconnect, d.FromServer) {
		return protocolError("reason code is not one of DISCONNECT [MQTT-3.14.2-1]")
	}
	if len(r.b) > 0 {
		p.Props = append(Props(nil), r.props(in(TypeDisconnect))...)
	}
	if e := r.end(); e != nil {
		return e
	}
	if d.FromServer && p.Props.Has(PropSessionExpiry) {
		return protocolError("session expiry interval from a server [MQTT-3.14.2-2]")
	}
	if !d.FromServer && p.Props.Has(PropServerReference) {
		return protocolError("server reference from a client")
	}
	return nil
}

func (p *Disconnect) appendTo(dst []byte, v Version) []byte {
	first := byte(TypeDisconnect) << 4
	switch {
	case v != V50 || p.Code == NormalDisconnection && len(p.Props) == 0:
		return append(dst, first, 0)
	case len(p.Props) == 0:
		return append(dst, first, 1, byte(p.Code))
	}
	start := len(dst)
	dst = append(begin(dst, first), byte(p.Code))
	return finish(appendProps(dst, p.Props), start)
}
