package channel_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dunlinmq/dunlin/core/packet"
)

// words are the key=value words and bare flags of a command line.
type words map[string][]string

func parseWords(fields []string) words {
	w := words{}
	for _, f := range fields {
		k, v, _ := strings.Cut(f, "=")
		w[k] = append(w[k], v)
	}
	return w
}

func (w words) has(k string) bool { return w[k] != nil }

func (w words) str(k string) string {
	if w[k] == nil {
		return ""
	}
	return w[k][0]
}

func (w words) num(k string) int {
	if w[k] == nil {
		return 0
	}
	n, err := strconv.ParseInt(w[k][0], 0, 64)
	if err != nil {
		panic(fmt.Sprintf("%s=%s is no number", k, w[k][0]))
	}
	return int(n)
}

// propNames are the words of properties that go into a packet or come out.
var propNames = []struct {
	id   packet.PropID
	name string
	kind byte // 1, 2 or 4 bytes, v varint, s string, u user
}{
	{packet.PropPayloadFormat, "format", '1'},
	{packet.PropMessageExpiry, "msgexpiry", '4'},
	{packet.PropContentType, "ctype", 's'},
	{packet.PropResponseTopic, "resp", 's'},
	{packet.PropCorrelationData, "corr", 's'},
	{packet.PropSubscriptionID, "sid", 'v'},
	{packet.PropSessionExpiry, "expiry", '4'},
	{packet.PropAssignedClientID, "assigned", 's'},
	{packet.PropServerKeepAlive, "serverkeep", '2'},
	{packet.PropAuthMethod, "method", 's'},
	{packet.PropAuthData, "data", 's'},
	{packet.PropRequestProblemInfo, "problem", '1'},
	{packet.PropWillDelay, "willdelay", '4'},
	{packet.PropRequestResponseInfo, "askresponse", '1'},
	{packet.PropResponseInfo, "responseinfo", 's'},
	{packet.PropReasonString, "reason", 's'},
	{packet.PropReceiveMaximum, "recvmax", '2'},
	{packet.PropTopicAliasMaximum, "aliasmax", '2'},
	{packet.PropTopicAlias, "alias", '2'},
	{packet.PropMaximumQoS, "maxqos", '1'},
	{packet.PropRetainAvailable, "retainavailable", '1'},
	{packet.PropUserProperty, "user", 'u'},
	{packet.PropMaximumPacketSize, "maxpacket", '4'},
	{packet.PropWildcardAvailable, "wildcard", '1'},
	{packet.PropSharedAvailable, "shared", '1'},
}

// props makes properties of those words that the packet may have.
func (w words) props(v packet.Version, names ...string) (p packet.Props) {
	if v != packet.V50 {
		return nil
	}
	for _, d := range propNames {
		if !slices.Contains(names, d.name) {
			continue
		}
		for _, val := range w[d.name] {
			switch d.kind {
			case 's':
				p = packet.AppendStringProp(p, d.id, val)
			case 'u':
				key, value, _ := strings.Cut(val, ":")
				p = packet.AppendUserProp(p, key, value)
			case '1':
				p = packet.AppendByteProp(p, d.id, byte(w.num(d.name)))
			case '2':
				p = packet.AppendUint16Prop(p, d.id, uint16(w.num(d.name)))
			case '4':
				p = packet.AppendUint32Prop(p, d.id, uint32(w.num(d.name)))
			case 'v':
				p = packet.AppendVarintProp(p, d.id, uint32(w.num(d.name)))
			}
		}
	}
	return p
}

// propText writes properties as words, in the order of the packet.
func propText(p packet.Props) string {
	var b strings.Builder
	users := p.UserProperties()
	p.Each(func(id packet.PropID, value []byte) bool {
		for _, d := range propNames {
			if d.id != id {
				continue
			}
			switch {
			case id == packet.PropAssignedClientID:
				fmt.Fprintf(&b, " %s=auto", d.name) // it is random
			case d.kind == 's':
				fmt.Fprintf(&b, " %s=%s", d.name, value[2:])
			case d.kind == 'u':
				fmt.Fprintf(&b, " %s=%s:%s", d.name, users[0][0], users[0][1])
				users = users[1:]
			default:
				n := 0
				for _, x := range value {
					n = n<<8 | int(x)
				}
				fmt.Fprintf(&b, " %s=%d", d.name, n)
			}
			return true
		}
		fmt.Fprintf(&b, " prop%d=%s", id, hex.EncodeToString(value))
		return true
	})
	return b.String()
}

func codeText(c packet.ReasonCode) string {
	if c == 0 {
		return ""
	}
	return fmt.Sprintf(" code=%#02x", byte(c))
}

// text writes a packet that a server sent.
func text(p packet.Packet) string {
	switch p := p.(type) {
	case *packet.Connack:
		s := "connack" + codeText(p.Code)
		if p.SessionPresent {
			s += " present"
		}
		return s + propText(p.Props)
	case *packet.Publish:
		s := "publish t=" + p.Topic
		if p.QoS > 0 {
			s += fmt.Sprintf(" q=%d id=%d", p.QoS, p.PacketID)
		}
		if p.Dup {
			s += " dup"
		}
		if p.Retain {
			s += " retain"
		}
		if len(p.Payload) > 40 {
			return s + fmt.Sprintf(" p=[%d bytes]", len(p.Payload)) + propText(p.Props)
		}
		return s + " p=" + string(p.Payload) + propText(p.Props)
	case *packet.Ack:
		kind := map[packet.Type]string{packet.TypePuback: "puback", packet.TypePubrec: "pubrec", packet.TypePubrel: "pubrel", packet.TypePubcomp: "pubcomp"}[p.Kind]
		return fmt.Sprintf("%s id=%d", kind, p.PacketID) + codeText(p.Code) + propText(p.Props)
	case *packet.Suback:
		return fmt.Sprintf("suback id=%d codes=%x", p.PacketID, codes(p.Codes)) + propText(p.Props)
	case *packet.Unsuback:
		return fmt.Sprintf("unsuback id=%d codes=%x", p.PacketID, codes(p.Codes)) + propText(p.Props)
	case *packet.Pingresp:
		return "pingresp"
	case *packet.Disconnect:
		return "disconnect" + codeText(p.Code) + propText(p.Props)
	case *packet.Auth:
		return "auth" + codeText(p.Code) + propText(p.Props)
	}
	return fmt.Sprintf("%T", p)
}

func codes(cs []packet.ReasonCode) (b []byte) {
	for _, c := range cs {
		b = append(b, byte(c))
	}
	return b
}
