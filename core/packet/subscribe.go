package packet

import "strings"

// Filter is one subscription of a SUBSCRIBE. Whether the filter itself is well
// formed is not decided here.
type Filter struct {
	Filter            string
	QoS               byte
	RetainHandling    byte // 0 send, 1 send if new, 2 do not send; 5.0
	NoLocal           bool // 5.0
	RetainAsPublished bool // 5.0
}

// Subscribe asks for subscriptions (5.0 §3.8). It owns its memory.
type Subscribe struct {
	Props    Props
	Filters  []Filter // at least one
	PacketID uint16
}

// The subscription options.
const (
	optionQoS               = 0x03
	optionNoLocal           = 0x04
	optionRetainAsPublished = 0x08
	optionRetainHandling    = 0x30
	optionReserved          = 0xc0
)

// Type is TypeSubscribe.
func (p *Subscribe) Type() Type { return TypeSubscribe }

func (p *Subscribe) decode(r *reader, v Version) *Error {
	p.PacketID = r.packetID()
	if v == V50 {
		p.Props = append(Props(nil), r.props(in(TypeSubscribe))...)
	}
	if r.err == nil && len(r.b) == 0 {
		return protocolError("SUBSCRIBE without a filter [MQTT-3.8.3-2]")
	}
	for len(r.b) > 0 {
		filter := r.string()
		options := r.byte()
		if r.err != nil {
			break
		}
		f, e := decodeFilter(filter, options, v)
		if e != nil {
			return e
		}
		p.Filters = append(p.Filters, f)
	}
	return r.end()
}

func decodeFilter(filter string, options byte, v Version) (Filter, *Error) {
	f := Filter{Filter: filter, QoS: options & optionQoS}
	if f.QoS == 3 {
		return f, protocolError("QoS of a subscription is 3 [3.1.1 MQTT-3.8.3-4]")
	}
	if v != V50 {
		if v == V311 && options&^optionQoS != 0 {
			return f, malformed("reserved bits of the requested QoS [3.1.1 MQTT-3.8.3-4]")
		}
		return f, nil
	}
	f.NoLocal = options&optionNoLocal != 0
	f.RetainAsPublished = options&optionRetainAsPublished != 0
	f.RetainHandling = options & optionRetainHandling >> 4
	switch {
	case options&optionReserved != 0:
		return f, malformed("reserved subscription options [MQTT-3.8.3-5]")
	case f.RetainHandling == 3:
		return f, protocolError("retain handling is 3")
	case f.NoLocal && strings.HasPrefix(filter, "$share/"):
		return f, protocolError("no local on a shared subscription [MQTT-3.8.3-4]")
	}
	return f, nil
}

func (p *Subscribe) appendTo(dst []byte, v Version) []byte {
	start := len(dst)
	dst = appendUint16(begin(dst, byte(TypeSubscribe)<<4|0x02), p.PacketID)
	if v == V50 {
		dst = appendProps(dst, p.Props)
	}
	for i := range p.Filters {
		f := &p.Filters[i]
		dst = append(appendString(dst, f.Filter), f.options(v))
	}
	return finish(dst, start)
}

func (f *Filter) options(v Version) byte {
	o := f.QoS
	if v != V50 {
		return o
	}
	if f.NoLocal {
		o |= optionNoLocal
	}
	if f.RetainAsPublished {
		o |= optionRetainAsPublished
	}
	return o | f.RetainHandling<<4
}
