package packet

// Auth is a step of an extended authentication exchange (5.0 §3.15). It exists
// in 5.0 only. It owns its memory.
type Auth struct {
	Props Props
	Code  ReasonCode // Success, ContinueAuthentication or ReAuthenticate
}

// Type is TypeAuth.
func (p *Auth) Type() Type { return TypeAuth }

func (p *Auth) decode(r *reader, d *Decoder) *Error {
	if len(r.b) > 0 {
		p.Code = ReasonCode(r.byte())
		p.Props = append(Props(nil), r.props(in(TypeAuth))...)
	}
	if e := r.end(); e != nil {
		return e
	}
	if !p.Code.allowed(TypeAuth, d.FromServer) {
		return protocolError("reason code is not one of AUTH [MQTT-3.15.2-1]")
	}
	if p.Code != Success && !p.Props.Has(PropAuthMethod) {
		return protocolError("AUTH without authentication method")
	}
	return nil
}

func (p *Auth) appendTo(dst []byte, _ Version) []byte {
	first := byte(TypeAuth) << 4
	if p.Code == Success && len(p.Props) == 0 {
		return append(dst, first, 0)
	}
	start := len(dst)
	dst = append(begin(dst, first), byte(p.Code))
	return finish(appendProps(dst, p.Props), start)
}
