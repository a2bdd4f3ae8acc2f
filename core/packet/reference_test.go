package packet

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// cursor is the slow and plain reader that the references below are written
// with: no borrowing, no words, no tables of the product.
type cursor struct {
	b  []byte
	ok bool
}

func (c *cursor) take(n int) []byte {
	if !c.ok || n > len(c.b) {
		c.ok = false
		return make([]byte, min(n, 4))
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) int(n int) (v int) {
	for _, x := range c.take(n) {
		v = v<<8 | int(x)
	}
	return v
}

func (c *cursor) data() string { return string(c.take(c.int(2))) }

func (c *cursor) text() string {
	s := c.data()
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		c.ok = false
	}
	return s
}

func (c *cursor) varint() int {
	v, shift := 0, 0
	for i := range 4 {
		x := c.int(1)
		v |= x & 0x7f << shift
		shift += 7
		if x < 0x80 {
			if x == 0 && i > 0 {
				c.ok = false
			}
			return v
		}
	}
	c.ok = false
	return 0
}

// refPublish is a PUBLISH of a client as the reference reads it.
type refPublish struct {
	topic, payload string
	id, alias      int
	expiry         int // -1: none
	users          []string
}

// readProps reads the properties of a PUBLISH into p.
func (p *refPublish) readProps(c *cursor) {
	n := c.varint()
	block := cursor{b: c.take(n), ok: c.ok}
	seen := map[int]bool{}
	for block.ok && len(block.b) > 0 {
		id := block.int(1)
		if seen[id] && id != 38 {
			block.ok = false
		}
		seen[id] = true
		switch id {
		case 1:
			block.ok = block.int(1) <= 1 && block.ok
		case 2:
			p.expiry = block.int(4)
		case 3:
			block.text()
		case 8:
			s := block.text()
			block.ok = block.ok && s != "" && !strings.ContainsAny(s, "+#")
		case 9:
			block.data()
		case 35:
			p.alias = block.int(2)
			block.ok = block.ok && p.alias != 0
		case 38:
			k := block.text()
			p.users = append(p.users, k, block.text())
		default:
			block.ok = false
		}
	}
	c.ok = c.ok && block.ok
}

// readPublish is the definition of a valid PUBLISH with a first byte and a body.
func readPublish(first byte, body []byte, v5 bool) (p refPublish, ok bool) {
	p.expiry = -1
	c := cursor{b: body, ok: true}
	qos := first >> 1 & 3
	if qos == 3 || qos == 0 && first&8 != 0 {
		return p, false
	}
	p.topic = c.text()
	if qos > 0 {
		p.id = c.int(2)
		c.ok = c.ok && p.id != 0
	}
	if v5 {
		p.readProps(&c)
	}
	if strings.ContainsAny(p.topic, "+#") || p.topic == "" && p.alias == 0 {
		c.ok = false
	}
	p.payload = string(c.b)
	return p, c.ok
}

// FuzzPublish compares the hot decoder with the plain one.
func FuzzPublish(f *testing.F) {
	for _, v := range []Version{V311, V50} {
		for _, p := range samples(v, false) {
			if p, is := p.(*Publish); is {
				b := Append(nil, v, p)
				_, head, _ := varint(b[1:])
				f.Add(b[0], b[1+head:], v == V50)
			}
		}
	}
	f.Fuzz(func(t *testing.T, first byte, body []byte, v5 bool) {
		first = 0x30 | first&0x0f
		d := from311
		if v5 {
			d = from5
		}
		want, ok := readPublish(first, body, v5)
		got, _, err := d.Next(append(appendVarint([]byte{first}, len(body)), body...))
		if ok != (err == nil) {
			t.Fatalf("%x % x: %v, want it valid: %v", first, body, err, ok)
		}
		if ok {
			compare(t, got.(*Publish), &want)
		}
	})
}

func compare(t *testing.T, p *Publish, want *refPublish) {
	t.Helper()
	alias, _ := p.TopicAlias()
	_, expiry, has := p.Forward()
	if p.Topic != want.topic || string(p.Payload) != want.payload || int(p.PacketID) != want.id || int(alias) != want.alias {
		t.Errorf("got %+v, want %+v", p, want)
	}
	if has != (want.expiry >= 0) || has && int(expiry) != want.expiry {
		t.Errorf("expiry %d %v, want %d", expiry, has, want.expiry)
	}
	users := p.Props.UserProperties()
	if len(users) != len(want.users)/2 {
		t.Fatalf("%d user properties, want %d", len(users), len(want.users)/2)
	}
	for i, u := range users {
		if u[0] != want.users[2*i] || u[1] != want.users[2*i+1] {
			t.Errorf("user property %d is %q", i, u)
		}
	}
}

// validConnect is the definition of a valid CONNECT body of 3.1.1 and 5.0
// without properties in either block.
func validConnect(body []byte) bool {
	c := cursor{b: body, ok: true}
	name, level, flags := c.text(), c.int(1), c.int(1)
	c.int(2)
	v5 := level == 5
	noProps := func() { c.ok = c.ok && (!v5 || c.int(1) == 0) }
	noProps()
	c.text()
	if flags&4 != 0 {
		noProps()
		topic := c.text()
		c.data()
		c.ok = c.ok && topic != "" && !strings.ContainsAny(topic, "+#")
	}
	if flags&0x80 != 0 {
		c.text()
	}
	if flags&0x40 != 0 {
		c.data()
	}
	qos := flags >> 3 & 3
	switch {
	case name != "MQTT" || level != 4 && level != 5 && level != 0x84,
		flags&1 != 0, qos == 3, flags&4 == 0 && flags&0x38 != 0,
		!v5 && flags&0xc0 == 0x40, len(c.b) > 0:
		return false
	}
	return c.ok
}

// FuzzConnect compares the decoder of CONNECT with the plain one.
func FuzzConnect(f *testing.F) {
	for _, v := range []Version{V311, V50} {
		for _, p := range connects(v) {
			b := Append(nil, v, p)
			f.Add(b[2:])
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var d Decoder
		p, _, err := d.Next(append(appendVarint([]byte{0x10}, len(body)), body...))
		if c, is := p.(*Connect); is && (c.Version == V31 || len(c.Props) > 0 || c.Will != nil && len(c.Will.Props) > 0) {
			return // what the reference does not know
		}
		if want := validConnect(body); want != (err == nil) {
			t.Errorf("% x: %v, want it valid: %v", body, err, want)
		}
	})
}
