package packet

// Will is the Will Message of a CONNECT. It owns its memory.
type Will struct {
	Topic   string
	Payload []byte
	Props   Props // Will Properties, 5.0 only
	QoS     byte
	Retain  bool
}

// Connect opens a connection (5.0 §3.1). It owns its memory.
type Connect struct {
	ClientID    string
	Username    string
	Password    []byte
	Will        *Will // nil: none
	Props       Props
	KeepAlive   uint16  // seconds; 0: off
	Version     Version // set by the Decoder; Append goes by its own argument
	Bridge      bool    // 3.x: bit 7 of the level is set, as bridges of mosquitto do
	CleanStart  bool    // Clean Session in 3.x
	HasUsername bool
	HasPassword bool
}

// The connect flags.
const (
	connectReserved   = 0x01
	connectClean      = 0x02
	connectWill       = 0x04
	connectWillQoS    = 0x18
	connectWillRetain = 0x20
	connectPassword   = 0x40
	connectUsername   = 0x80

	bridgeBit = 0x80
)

// Type is TypeConnect.
func (p *Connect) Type() Type { return TypeConnect }

// decode reads the CONNECT. Version is set also when it fails.
func (p *Connect) decode(r *reader) *Error {
	p.Version = V311 // to answer in, if it cannot be read
	name := r.utf8()
	level := r.byte()
	if r.err != nil {
		return r.err
	}
	if e := p.setVersion(string(name), level); e != nil {
		return e
	}
	flags := r.byte()
	p.KeepAlive = r.uint16()
	if r.err != nil {
		return r.err
	}
	if e := p.checkFlags(flags); e != nil {
		return e
	}
	p.CleanStart = flags&connectClean != 0
	if p.Version == V50 {
		p.Props = append(Props(nil), r.props(in(TypeConnect))...)
	}
	p.ClientID = r.string()
	if r.err == nil && p.ClientID == "" && p.Version == V31 {
		return &Error{Code: ClientIdentifierNotValid, Msg: "3.1 needs a client identifier"}
	}
	if flags&connectWill != 0 {
		p.Will = decodeWill(r, flags, p.Version)
	}
	p.decodeCredentials(r, flags)
	return r.end()
}

// peekVersion is the version to answer in, of a CONNECT that begins with b and
// is not decoded.
func peekVersion(b []byte) Version {
	p := Connect{Version: V311}
	r := reader{b: b}
	name, level := r.utf8(), r.byte()
	if r.err == nil {
		_ = p.setVersion(string(name), level) // also says what to answer in
	}
	return p.Version
}

// setVersion takes protocol name and level [MQTT-3.1.2-1, -2].
func (p *Connect) setVersion(name string, level byte) *Error {
	switch {
	case name == "MQTT" && level == byte(V50):
		p.Version = V50
	case name == "MQTT" && level&^bridgeBit == byte(V311):
		p.Version, p.Bridge = V311, level&bridgeBit != 0
	case name == "MQIsdp" && level&^bridgeBit == byte(V31):
		p.Version, p.Bridge = V31, level&bridgeBit != 0
	default:
		if name == "MQTT" && level > byte(V50) && level < bridgeBit {
			p.Version = V50
		}
		return &Error{Code: UnsupportedProtocolVersion, Msg: "unknown protocol name or level [MQTT-3.1.2-1] [MQTT-3.1.2-2]"}
	}
	return nil
}

// checkFlags checks the connect flags against each other. 3.1 ignores what it
// does not use.
func (p *Connect) checkFlags(flags byte) *Error {
	will := flags&connectWill != 0
	switch {
	case flags&connectReserved != 0 && p.Version != V31:
		return malformed("reserved connect flag [MQTT-3.1.2-3]")
	case !will && flags&connectWillQoS != 0 && p.Version != V31:
		return malformed("will QoS without will [MQTT-3.1.2-11]")
	case !will && flags&connectWillRetain != 0 && p.Version != V31:
		return malformed("will retain without will [MQTT-3.1.2-13]")
	case will && flags&connectWillQoS == connectWillQoS:
		return malformed("will QoS is 3 [MQTT-3.1.2-12]")
	case flags&connectPassword != 0 && flags&connectUsername == 0 && p.Version != V50:
		return malformed("password without user name [3.1.1 MQTT-3.1.2-22]")
	}
	return nil
}

func decodeWill(r *reader, flags byte, v Version) *Will {
	w := &Will{QoS: flags & connectWillQoS >> 3, Retain: flags&connectWillRetain != 0}
	if v == V50 {
		w.Props = append(Props(nil), r.props(inWill)...)
	}
	topic := r.utf8()
	if _, wild := validName(topic); r.err == nil && (wild || len(topic) == 0) {
		r.fail(&Error{Code: TopicNameInvalid, Msg: "will topic is empty or has a wildcard [MQTT-4.7.0-1] [MQTT-4.7.3-1]"})
	}
	w.Topic = string(topic)
	w.Payload = append([]byte(nil), r.bytes()...)
	return w
}

// decodeCredentials reads user name and password. In 3.1 the Remaining Length
// takes precedence over the flags (3.1 §3.1).
func (p *Connect) decodeCredentials(r *reader, flags byte) {
	missing := func() bool { return p.Version == V31 && len(r.b) == 0 && r.err == nil }
	if flags&connectUsername != 0 && !missing() {
		p.HasUsername = true
		p.Username = r.string()
	}
	if flags&connectPassword != 0 && !missing() {
		p.HasPassword = true
		p.Password = append([]byte(nil), r.bytes()...)
	}
}

func (p *Connect) appendTo(dst []byte, v Version) []byte {
	start := len(dst)
	dst = begin(dst, byte(TypeConnect)<<4)
	name, level := "MQTT", byte(v)
	if v == V31 {
		name = "MQIsdp"
	}
	if p.Bridge && v != V50 {
		level |= bridgeBit
	}
	dst = append(appendString(dst, name), level, p.flags())
	dst = appendUint16(dst, p.KeepAlive)
	if v == V50 {
		dst = appendProps(dst, p.Props)
	}
	dst = appendString(dst, p.ClientID)
	if w := p.Will; w != nil {
		if v == V50 {
			dst = appendProps(dst, w.Props)
		}
		dst = appendString(appendString(dst, w.Topic), w.Payload)
	}
	if p.HasUsername {
		dst = appendString(dst, p.Username)
	}
	if p.HasPassword {
		dst = appendString(dst, p.Password)
	}
	return finish(dst, start)
}

func (p *Connect) flags() (f byte) {
	if p.CleanStart {
		f |= connectClean
	}
	if w := p.Will; w != nil {
		f |= connectWill | w.QoS<<3&connectWillQoS
		if w.Retain {
			f |= connectWillRetain
		}
	}
	if p.HasUsername {
		f |= connectUsername
	}
	if p.HasPassword {
		f |= connectPassword
	}
	return f
}
