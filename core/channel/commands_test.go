package channel_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
)

// do runs one line of a transcript: "<link> <verb> words..." or a command of the
// world: zone, hook, advance, publish, kick, stop, ban, unban, busy.
func (w *world) do(line string) (string, error) {
	w.out.Reset()
	f := strings.Fields(line)
	switch f[0] {
	case "zone":
		w.setZone(parseWords(f[1:]))
	case "hook":
		w.bind(f[1], parseWords(f[2:]))
	case "advance":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			return "", err
		}
		w.advance(d)
	case "broker":
		k := parseWords(f[1:])
		b := w.batch()
		w.env.Broker.PublishOne(b, &message.Message{Topic: k.str("t"), Payload: []byte(k.str("p")), QoS: byte(k.num("q")), Origin: message.OriginSys})
		b.Flush()
	case "kick":
		w.env.Registry.Lookup(f[1]).Evict(packet.AdministrativeAction)
	case "ban", "unban", "busy":
		if err := w.shut(f[0], parseWords(f[1:])); err != nil {
			return "", err
		}
	case "store", "safe", "waiting", "broken", "full", "room", "unreadable", "readable", "crash", "keys":
		if err := w.durable(f[0], parseWords(f[1:])); err != nil {
			return "", err
		}
	case "stop":
		w.env.Registry.EvictAll(packet.ServerShuttingDown)
	default:
		if err := w.client(f[0], f[1:]); err != nil {
			return "", err
		}
	}
	w.settle()
	return w.out.String(), nil
}

// client runs a verb of one client. Packets joined by + arrive in one read.
func (w *world) client(name string, f []string) error {
	var rest []string
	if i := slices.Index(f, "+"); i >= 0 {
		f, rest = f[:i], f[i+1:]
	}
	verb, k := f[0], parseWords(f[1:])
	l := w.link(name)
	if verb == "open" || verb == "connect" && l == nil {
		l = w.open(name, k.str("peer"), k.str("cert"), k.str("certid"))
	}
	switch {
	case l == nil:
		return fmt.Errorf("%s is not connected", name)
	case verb == "open":
		return nil
	case verb == "lost":
		l.lost()
		return nil
	case verb == "backlog":
		l.backlog = k.num("bytes")
		l.turn(l.m.Run)
		l.receive(nil)
		return nil
	case verb == "raw":
		b, err := hex.DecodeString(k.str("hex"))
		if l.version == 0 {
			l.version = packet.V50
		}
		l.receive(b)
		return err
	case verb == "connect" && k.has("v"):
		l.version = packet.Version(k.num("v"))
	case verb == "connect":
		l.version = packet.V50
	}
	b, err := l.encode(verb, k)
	if n := k.num("times"); n > 1 {
		b = []byte(strings.Repeat(string(b), n))
	}
	for len(rest) > 0 && err == nil {
		i := slices.Index(append(rest, "+"), "+")
		var more []byte
		more, err = l.encode(rest[0], parseWords(rest[1:i]))
		b, rest = append(b, more...), rest[min(i+1, len(rest)):]
	}
	l.receive(b)
	return err
}

func (l *link) encode(verb string, k words) ([]byte, error) {
	v := l.version
	code := packet.ReasonCode(k.num("code"))
	id := uint16(0)
	if verb != "connect" {
		id = uint16(k.num("id"))
	}
	var p packet.Packet
	switch verb {
	case "connect":
		p = connectOf(v, k)
	case "publish":
		p = &packet.Publish{
			Topic: k.str("t"), Payload: []byte(k.str("p") + strings.Repeat("x", k.num("size"))), QoS: byte(k.num("q")), PacketID: id, Dup: k.has("dup"), Retain: k.has("retain"),
			Props: k.props(v, "format", "msgexpiry", "ctype", "resp", "corr", "alias", "user"),
		}
	case "puback", "pubrec", "pubrel", "pubcomp":
		kind := map[string]packet.Type{"puback": packet.TypePuback, "pubrec": packet.TypePubrec, "pubrel": packet.TypePubrel, "pubcomp": packet.TypePubcomp}[verb]
		p = &packet.Ack{Kind: kind, PacketID: id, Code: code, Props: k.props(v, "reason", "user")}
	case "subscribe":
		s := &packet.Subscribe{PacketID: id, Props: k.props(v, "sid", "user")}
		for _, f := range k["f"] {
			s.Filters = append(s.Filters, filterOf(f))
		}
		p = s
	case "unsubscribe":
		p = &packet.Unsubscribe{PacketID: id, Filters: k["f"]}
	case "ping":
		p = &packet.Pingreq{}
	case "disconnect":
		p = &packet.Disconnect{Code: code, Props: k.props(v, "expiry", "reason")}
	case "auth":
		p = &packet.Auth{Code: code, Props: k.props(v, "method", "data")}
	default:
		return nil, fmt.Errorf("no verb %q", verb)
	}
	return packet.Append(nil, v, p), nil
}

func connectOf(v packet.Version, k words) *packet.Connect {
	c := &packet.Connect{
		Version: v, Bridge: k.has("bridge"), CleanStart: !k.has("resume"), KeepAlive: uint16(k.num("keep")), ClientID: k.str("id"),
		HasUsername: k.has("user"), Username: k.str("user"), HasPassword: k.has("pass"), Password: []byte(k.str("pass")),
		Props: k.props(v, "expiry", "recvmax", "maxpacket", "aliasmax", "method", "data", "problem", "askresponse"),
	}
	if k.has("will") {
		c.Will = &packet.Will{Topic: k.str("will"), Payload: []byte("gone"), QoS: byte(k.num("willqos")), Retain: k.has("willretain"),
			Props: k.props(v, "willdelay", "msgexpiry", "format", "ctype", "resp", "corr", "user")}
	}
	return c
}

// filterOf reads filter:qos,nl,rap,rh=n.
func filterOf(s string) packet.Filter {
	name, opts, _ := strings.Cut(s, ":")
	f := packet.Filter{Filter: name}
	for _, o := range strings.Split(opts, ",") {
		switch o {
		case "0", "1", "2":
			f.QoS = o[0] - '0'
		case "nl":
			f.NoLocal = true
		case "rap":
			f.RetainAsPublished = true
		case "rh1":
			f.RetainHandling = 1
		case "rh2":
			f.RetainHandling = 2
		}
	}
	return f
}

func (w *world) setZone(k words) {
	w.zone = defaultZone()
	z := &w.zone
	z.MaxQoS = byte(pick(k, "maxqos", int(z.MaxQoS)))
	z.MaxPacketSize = uint32(pick(k, "maxpacket", int(z.MaxPacketSize)))
	z.MaxTopicLevels = pick(k, "levels", z.MaxTopicLevels)
	z.MaxSubscriptions = pick(k, "maxsubs", z.MaxSubscriptions)
	z.MaxTopicAlias = uint16(pick(k, "aliasmax", int(z.MaxTopicAlias)))
	z.MaxClientIDLen = pick(k, "idlen", z.MaxClientIDLen)
	z.ServerKeepAlive = uint16(pick(k, "serverkeep", int(z.ServerKeepAlive)))
	z.MaxSessionExpiry = uint32(pick(k, "expirycap", int(z.MaxSessionExpiry)))
	z.Session.MaxAwaitingRel = pick(k, "awaiting", z.Session.MaxAwaitingRel)
	z.Session.MaxInflight = uint16(pick(k, "inflight", int(z.Session.MaxInflight)))
	z.MaxBacklog = pick(k, "maxbacklog", z.MaxBacklog)
	z.Mountpoint = k.str("mount")
	z.ResponseInformation = k.str("responseinfo")
	z.SharedAvailable = !k.has("noshared")
	z.WildcardAvailable = !k.has("nowildcard")
	z.Access.NoMatch = !k.has("nomatch")
	z.ACLDenyDisconnect = k.has("denydisconnect")
	z.UseUsernameAsClientID = k.has("userasid")
	z.IgnoreLoopDeliver = k.has("noloop")
	w.setGuards(k)
}

func pick(k words, name string, old int) int {
	if k.has(name) {
		return k.num(name)
	}
	return old
}
