package packet

// Decoder decodes the packets of one connection, in one direction. It is owned
// by that connection's turn. The zero Decoder serves a server that waits for a
// CONNECT.
type Decoder struct {
	// MaxSize limits a packet with its fixed header, in bytes; 0: no limit but
	// the protocol's 256 MiB.
	MaxSize uint32
	// Version is 0 until the CONNECT, whose level sets it, at the latest when
	// Next returns; also when Next refuses the CONNECT, so that it is the version
	// to answer in (V311 or V50 for a level that is not supported). A client sets
	// it before the first call.
	Version Version
	// FromServer accepts what servers send instead of what clients send.
	FromServer bool

	// Reused by every packet of their kind.
	publish Publish
	ack     Ack
}

// maxHeader is the longest fixed header.
const maxHeader = 5

// Next decodes the packet at the start of b, n bytes long. If b does not hold a
// whole packet yet, p is nil, n is 0 and err is nil. The packet is valid until
// the next call of Next or until b changes, whichever is first.
//
// err is always an *Error and ends the stream. A wrong type or flag is refused
// as soon as the first byte is there, and a packet larger than MaxSize as soon
// as the fixed header is (PacketTooLarge). Before a CONNECT everything else is a
// protocol error [MQTT-3.1.0-1], and so is a second CONNECT [MQTT-3.1.0-2].
func (d *Decoder) Next(b []byte) (p Packet, n int, err error) {
	if len(b) == 0 {
		return nil, 0, nil
	}
	if e := d.checkFirst(b[0]); e != nil {
		return nil, 0, e
	}
	if len(b) < 2 {
		return nil, 0, nil
	}
	size, head := int(b[1]), 2
	if size >= 0x80 {
		var e *Error
		if size, head, e = d.longLength(b); e != nil || head == 0 {
			return nil, 0, errorOrNil(e)
		}
	}
	n = head + size
	if d.MaxSize != 0 && uint32(n) > d.MaxSize {
		if d.Version == 0 {
			d.Version = peekVersion(b[head:])
		}
		return nil, 0, &Error{Code: PacketTooLarge, Msg: "packet exceeds the maximum packet size"}
	}
	if len(b) < n {
		return nil, 0, nil
	}
	p, e := d.body(b[0], b[head:n:n], head == minHead(size))
	if e != nil {
		return nil, 0, e
	}
	return p, n, nil
}

// Release lets go of the last packet's bytes, so that an idle connection does
// not keep a read buffer alive.
func (d *Decoder) Release() { d.publish, d.ack = Publish{}, Ack{} }

// errorOrNil keeps a nil *Error from becoming a non-nil error.
func errorOrNil(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}

// minHead is the size of a fixed header with the Remaining Length size.
func minHead(size int) int { return 1 + sizeVarint(size) }

// longLength reads a Remaining Length of more than one byte; head is 0 if there
// are too few bytes yet. A fifth length byte is malformed in every version; a
// non-minimal length only in 5.0 [5.0 MQTT-1.5.5-1]: clients of 3.1.1 exist
// that reserve four bytes, and that standard does not forbid it.
func (d *Decoder) longLength(b []byte) (size, head int, e *Error) {
	for i := 1; i < len(b) && i < maxHeader; i++ {
		size |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i] < 0x80 {
			if b[i] == 0 && d.Version == V50 {
				return 0, 0, malformed("remaining length is not minimal [MQTT-1.5.5-1]")
			}
			return size, i + 1, nil
		}
	}
	if len(b) >= maxHeader {
		return 0, 0, malformed("remaining length has a fifth byte")
	}
	return 0, 0, nil
}

// checkFirst checks packet type and flags [MQTT-2.1.3-1].
func (d *Decoder) checkFirst(first byte) *Error {
	t, flags := Type(first>>4), first&0x0f
	if d.Version == 0 {
		switch {
		case d.FromServer:
			return protocolError("packet before the version is known")
		case t != TypeConnect:
			return protocolError("first packet is not CONNECT [MQTT-3.1.0-1]")
		case flags != 0:
			return malformed("reserved flags of the fixed header [MQTT-2.1.3-1]")
		}
		return nil
	}
	if t == TypePublish {
		return checkPublishFlags(flags)
	}
	if e := d.checkDirection(t); e != nil {
		return e
	}
	want := byte(0)
	if t == TypePubrel || t == TypeSubscribe || t == TypeUnsubscribe {
		want = 0x02
	}
	if d.Version == V31 {
		// 3.1 sends these with DUP and has its other flags "not used".
		flags, want = flags&0x06, want&0x06
		if want == 0 {
			return nil
		}
	}
	if flags != want {
		return malformed("reserved flags of the fixed header [MQTT-2.1.3-1]")
	}
	return nil
}

// checkDirection refuses the types that the sender may not send.
func (d *Decoder) checkDirection(t Type) *Error {
	switch t {
	case TypePuback, TypePubrec, TypePubrel, TypePubcomp:
		return nil
	case TypeSubscribe, TypeUnsubscribe, TypePingreq:
		if !d.FromServer {
			return nil
		}
	case TypeConnack, TypeSuback, TypeUnsuback, TypePingresp:
		if d.FromServer {
			return nil
		}
	case TypeConnect:
		if !d.FromServer {
			return protocolError("second CONNECT [MQTT-3.1.0-2]")
		}
	case TypeDisconnect:
		if !d.FromServer || d.Version == V50 {
			return nil
		}
	case TypeAuth:
		if d.Version == V50 {
			return nil
		}
		return malformed("packet type 15 is reserved")
	default:
		return malformed("packet type 0 is reserved")
	}
	return protocolError("packet type of the other direction")
}

// body decodes the variable header and payload b of a packet whose first byte
// has been checked. minimal tells whether its Remaining Length was.
func (d *Decoder) body(first byte, b []byte, minimal bool) (Packet, *Error) {
	r := reader{b: b}
	switch t := Type(first >> 4); t {
	case TypePublish:
		return ok(&d.publish, d.publish.decode(&r, first, d))
	case TypePuback, TypePubrec, TypePubrel, TypePubcomp:
		return ok(&d.ack, d.ack.decode(&r, t, d))
	case TypeConnect:
		return d.connect(&r, minimal)
	case TypeConnack:
		p := new(Connack)
		return ok(p, p.decode(&r, d.Version))
	case TypeSubscribe:
		p := new(Subscribe)
		return ok(p, p.decode(&r, d.Version))
	case TypeSuback:
		p := new(Suback)
		return ok(p, p.decode(&r, d.Version))
	case TypeUnsubscribe:
		p := new(Unsubscribe)
		return ok(p, p.decode(&r, d.Version))
	case TypeUnsuback:
		p := new(Unsuback)
		return ok(p, p.decode(&r, d.Version))
	case TypePingreq:
		return ok(&pingreq, r.end())
	case TypePingresp:
		return ok(&pingresp, r.end())
	case TypeDisconnect:
		p := new(Disconnect)
		return ok(p, p.decode(&r, d))
	default: // checkFirst lets nothing else through
		p := new(Auth)
		return ok(p, p.decode(&r, d))
	}
}

// ok gives p if there is no error.
func ok[P Packet](p P, e *Error) (Packet, *Error) {
	if e != nil {
		return nil, e
	}
	return p, nil
}

func (d *Decoder) connect(r *reader, minimal bool) (Packet, *Error) {
	p := new(Connect)
	e := p.decode(r)
	d.Version = p.Version
	if e == nil && !minimal && p.Version == V50 {
		e = malformed("remaining length is not minimal [MQTT-1.5.5-1]")
	}
	return ok(p, e)
}
