package packet

// Publish carries an application message (5.0 §3.3). Topic, Props and Payload
// of a decoded one borrow the read buffer.
type Publish struct {
	Topic    string // may be empty in 5.0 if there is a topic alias
	Props    Props
	Payload  []byte
	PacketID uint16 // 0 for QoS 0
	QoS      byte
	Dup      bool
	Retain   bool

	kept Props // reused by Forward
}

// The flags of a PUBLISH.
const (
	publishRetain = 0x01
	publishQoS    = 0x06
	publishDup    = 0x08
)

// maxKept is the largest buffer that a Publish keeps for Forward.
const maxKept = 256

// Type is TypePublish.
func (p *Publish) Type() Type { return TypePublish }

func checkPublishFlags(flags byte) *Error {
	if flags&publishQoS == publishQoS {
		return malformed("QoS is 3 [MQTT-3.3.1-4]")
	}
	if flags&publishDup != 0 && flags&publishQoS == 0 {
		return malformed("DUP with QoS 0 [MQTT-3.3.1-2]")
	}
	return nil
}

func (p *Publish) decode(r *reader, first byte, d *Decoder) *Error {
	p.Dup = first&publishDup != 0
	p.QoS = first & publishQoS >> 1
	p.Retain = first&publishRetain != 0
	name := r.bytes()
	if r.err != nil {
		return r.err
	}
	if valid, wild := validName(name); !valid {
		return malformed("topic name is ill-formed UTF-8 or has U+0000 [MQTT-3.3.2-1]")
	} else if wild {
		return &Error{Code: TopicNameInvalid, Msg: "topic name has a wildcard [MQTT-3.3.2-2]"}
	}
	p.Topic = borrow(name)
	p.PacketID, p.Props = 0, nil
	if p.QoS > 0 {
		p.PacketID = r.packetID()
	}
	switch {
	case d.Version != V50:
	case len(r.b) > 0 && r.b[0] == 0: // the usual block
		r.b = r.b[1:]
	default:
		p.Props = r.props(d.publishProps())
	}
	if r.err != nil {
		return r.err
	}
	if len(name) == 0 && (d.Version != V50 || !p.Props.Has(PropTopicAlias)) {
		return protocolError("topic name is empty [MQTT-4.7.3-1]")
	}
	p.Payload = nil
	if len(r.b) > 0 {
		p.Payload = r.b
	}
	return nil
}

func (d *Decoder) publishProps() propSet {
	if d.FromServer {
		return inPublishFromServer
	}
	return inPublish
}

// TopicAlias returns the topic alias, if there is one.
func (p *Publish) TopicAlias() (alias uint16, ok bool) { return p.Props.Uint16(PropTopicAlias) }

// Forward splits the properties into those that every subscriber receives
// unchanged, in order, and the message expiry interval in seconds. Topic alias
// and subscription identifiers belong to the one connection and are left out.
// props is valid as long as p; it shares p.Props if what is left out stands at
// the ends, else it is a copy in a buffer that p reuses.
func (p *Publish) Forward() (props Props, expiry uint32, hasExpiry bool) {
	if len(p.Props) == 0 {
		return nil, 0, false
	}
	expiry, hasExpiry = p.Props.Uint32(PropMessageExpiry)
	first, last, gap := p.span()
	if last == 0 {
		return nil, expiry, hasExpiry
	}
	if !gap {
		return p.Props[first:last:last], expiry, hasExpiry
	}
	kept := p.kept[:0]
	for rest := p.Props; ; {
		id, _, next, ok := rest.next()
		if !ok {
			break
		}
		if !id.local() {
			kept = append(kept, rest[:len(rest)-len(next)]...)
		}
		rest = next
	}
	p.kept = nil
	if cap(kept) <= maxKept {
		p.kept = kept
	}
	return kept, expiry, hasExpiry
}

// local tells whether a property of a PUBLISH is not forwarded as it is.
func (id PropID) local() bool {
	return id == PropTopicAlias || id == PropMessageExpiry || id == PropSubscriptionID
}

// span is the part of p.Props from the first to the last property to forward;
// gap tells whether it contains one that is not.
func (p *Publish) span() (first, last int, gap bool) {
	pending := false // a property that stays is behind one to forward
	for rest := p.Props; ; {
		id, _, next, ok := rest.next()
		if !ok {
			return first, last, gap
		}
		if id.local() {
			pending = last > 0
		} else {
			if last == 0 {
				first = len(p.Props) - len(rest)
			}
			gap = pending
			last = len(p.Props) - len(next)
		}
		rest = next
	}
}

func (p *Publish) appendTo(dst []byte, v Version) []byte {
	return AppendPublish(dst, v, &PublishOut{
		Topic: p.Topic, Props: p.Props, Payload: p.Payload,
		PacketID: p.PacketID, QoS: p.QoS, Dup: p.Dup, Retain: p.Retain,
	})
}
