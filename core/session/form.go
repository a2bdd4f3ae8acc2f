package session

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dunlinmq/dunlin/core/message"
)

// Bits of the flag bytes in the byte form of deliveries and messages.
const (
	formNoLocal byte = 1 << iota
	formRetainAsPublished
	formShared

	maxSubscriptionID = 268_435_455
)

var errShort = errors.New("the bytes end too early")

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func appendOptions(dst []byte, o *message.SubOptions) []byte {
	var flags byte
	if o.NoLocal {
		flags |= formNoLocal
	}
	if o.RetainAsPublished {
		flags |= formRetainAsPublished
	}
	dst = binary.AppendUvarint(dst, uint64(o.ID))
	return append(dst, o.QoS, o.RetainHandling, flags)
}

func appendDelivery(dst []byte, d *message.Delivery) []byte {
	return d.Msg.AppendForm(appendTerms(dst, d))
}

func appendTerms(dst []byte, d *message.Delivery) []byte {
	if d.Share != nil {
		dst = append(dst, formShared)
		dst = appendString(dst, d.Share.Group)
		dst = appendString(dst, d.Share.Filter)
	} else {
		dst = append(dst, 0)
	}
	return appendOptions(dst, &d.Opts)
}

// reader takes a byte form apart. After the first fault it returns zero values.
type reader struct {
	b     []byte
	err   error
	share *message.Share // the last one: neighbours often have the same
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.b = nil
}

func (r *reader) short() {
	if r.err == nil {
		r.err = errShort
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.short()
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.short()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.short()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads a number of items, each of which takes at least one byte.
func (r *reader) count() int {
	v := r.uvarint()
	if v > uint64(len(r.b)) {
		r.short()
		return 0
	}
	return int(v)
}

// below reads a number that is at most limit.
func (r *reader) below(limit uint64, what string) uint64 {
	v := r.uvarint()
	if v > limit {
		r.fail("%s is %d", what, v)
		return 0
	}
	return v
}

func (r *reader) id() uint16 { return uint16(r.below(maxPacketID, "packet identifier")) }

func (r *reader) qos() byte {
	v := r.byte()
	if v > 2 {
		r.fail("QoS is %d", v)
	}
	return v
}

// take returns the next n bytes, borrowed.
func (r *reader) take(n int) []byte {
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) string() string {
	return string(r.take(r.count()))
}

func (r *reader) options() (o message.SubOptions) {
	o.ID = uint32(r.below(maxSubscriptionID, "subscription identifier"))
	o.QoS = r.qos()
	o.RetainHandling = r.byte()
	flags := r.byte()
	if o.RetainHandling > 2 || flags > formNoLocal|formRetainAsPublished {
		r.fail("subscription options are %#x %#x", o.RetainHandling, flags)
	}
	o.NoLocal = flags&formNoLocal != 0
	o.RetainAsPublished = flags&formRetainAsPublished != 0
	return o
}

func (r *reader) delivery() (d message.Delivery) {
	d = r.terms()
	d.Msg = r.message()
	return d
}

func (r *reader) terms() (d message.Delivery) {
	switch flags := r.byte(); flags {
	case 0:
	case formShared:
		share := message.Share{Group: r.string(), Filter: r.string()}
		if r.share == nil || *r.share != share {
			r.share = &share
		}
		d.Share = r.share
	default:
		r.fail("delivery flags are %#x", flags)
	}
	d.Opts = r.options()
	return d
}

func (r *reader) message() *message.Message {
	if r.err != nil {
		return nil
	}
	m, rest, err := message.CutForm(r.b)
	if err != nil {
		r.fail("%w", err)
		return nil
	}
	r.b = rest
	return m
}
