package session

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
)

// epoch is the time at which transcripts begin.
const epoch = int64(1_700_000_000_000_000_000)

// machine runs the commands of a transcript on one session.
type machine struct {
	s      *Session
	cfg    *Config
	now    int64
	e      Effects
	number int // of the message delivered last
	prefix string

	seq     uint64            // the latest place in the journal
	journal map[uint64]Loaded // what a journal would have; Msg is nil: received
	inbound map[uint16]bool
	wanted  []Loaded // what was read back and not brought
}

func newMachine() *machine {
	m := &machine{now: epoch, cfg: &Config{}, journal: map[uint64]Loaded{}, inbound: map[uint16]bool{}}
	m.s = New("c", m.cfg, m.now)
	return m
}

// args are the words of a command after its name: key=value or flags.
type args map[string]string

func parseArgs(words []string) args {
	a := args{}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		a[k] = v
	}
	return a
}

func (a args) has(k string) bool { _, ok := a[k]; return ok }

func (a args) num(k string, otherwise int) int {
	v, ok := a[k]
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseInt(v, 0, 64)
	if err != nil {
		panic(fmt.Sprintf("%s=%s: %v", k, v, err))
	}
	return int(n)
}

func (a args) duration(k string) time.Duration {
	v, ok := a[k]
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		panic(err)
	}
	return d
}

// do runs one command and returns what it prints.
func (m *machine) do(cmd string) (out string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	words := strings.Fields(cmd)
	quiet := words[0] == "quiet"
	if quiet {
		words = words[1:]
	}
	a := parseArgs(words[1:])
	m.e.Reset()
	m.prefix = ""
	if words[0] == "receive" {
		m.receive(words[1], parseArgs(words[2:]))
	} else if !m.control(words[0], a) && !m.outbound(words[0], a) && !m.durable(words[0], a) {
		return "", fmt.Errorf("no such command")
	}
	if n := len(m.e.Send); quiet && n > 0 {
		first, last := &m.e.Send[0], &m.e.Send[n-1]
		return fmt.Sprintf("out %d publishes, %s to %s\n", n, describe(first.Delivery), describe(last.Delivery)), nil
	}
	out = m.prefix + m.effects()
	m.write()
	return out, nil
}

// control runs the commands that are not about one message.
func (m *machine) control(name string, a args) bool {
	switch name {
	case "config":
		m.cfg = readConfig(a)
		m.s = New("c", m.cfg, m.now)
	case "configure":
		m.cfg = readConfig(a)
		m.s.Configure(m.cfg)
	case "attach":
		m.s.Attach(m.now, uint16(a.num("max", 0)), a.has("resend"), &m.e)
	case "detach":
		m.s.Detach()
	case "pump":
		m.s.Pump(m.now, &m.e)
	case "advance":
		m.now += int64(a.duration("by"))
	case "tick":
		m.s.Tick(m.now, &m.e)
	case "next":
		m.printf("%s\n", m.nextTick())
	case "hold":
		m.s.Hold(true)
	case "unhold":
		m.s.Hold(false)
		m.s.Pump(m.now, &m.e)
	case "hold-off":
		m.s.Hold(false)
	case "restore":
		m.restore()
	case "subscribe":
		o := message.SubOptions{QoS: byte(a.num("qos", 0)), ID: uint32(a.num("subid", 0))}
		m.printf("new=%v\n", m.s.Subscribe(a["filter"], o))
	case "unsubscribe":
		o, ok := m.s.Unsubscribe(a["filter"])
		m.printf("found=%v qos=%d\n", ok, o.QoS)
	case "subscriptions":
		m.subscriptions()
	case "info":
		i := m.s.Info()
		m.printf("inflight=%d/%d window=%d queue=%d dropped=%d awaiting=%d subscriptions=%d\n",
			i.Inflight, i.MaxInflight, i.Window, i.Queue, i.Dropped, i.AwaitingRel, i.Subscriptions)
	case "bytes":
		m.printf("%d\n", m.s.Info().QueueBytes)
	case "undelivered":
		m.s.Undelivered(func(d message.Delivery, inflight bool) {
			m.printf("%s inflight=%v\n", describe(d), inflight)
		})
	default:
		return false
	}
	return true
}

// outbound runs the commands about messages to the client.
func (m *machine) outbound(name string, a args) bool {
	switch name {
	case "deliver":
		for range a.num("count", 1) {
			d := m.delivery(a)
			if a.has("kept") {
				m.seq++
				d.Seq = m.seq
				m.journal[d.Seq] = Loaded{Delivery: d, QoS: m.s.effectiveQoS(&d)}
			}
			m.s.Deliver(m.now, d, &m.e)
		}
	case "skip":
		m.s.Skip(uint16(a.num("id", 0)), m.now, &m.e)
	default:
		return false
	}
	return true
}

// receive runs a packet from the client.
func (m *machine) receive(kind string, a args) {
	id := uint16(a.num("id", 0))
	ok := true
	switch kind {
	case "publish":
		m.receivePublish(id, a)
	case "pubrel":
		delete(m.inbound, id)
		if m.s.Release(id) {
			m.printf("out pubcomp id=%d\n", id)
		} else {
			m.printf("out pubcomp id=%d code=0x92\n", id)
		}
	case "puback":
		ok = m.s.Puback(m.now, id, &m.e)
	case "pubrec":
		ok = m.s.Pubrec(m.now, id, packet.ReasonCode(a.num("code", 0)), &m.e)
	case "pubcomp":
		ok = m.s.Pubcomp(m.now, id, &m.e)
	default:
		panic("no such packet")
	}
	if !ok {
		m.printf("unknown id=%d\n", id)
	}
}

func (m *machine) receivePublish(id uint16, a args) {
	switch m.s.Receive(id, m.now) {
	case ReceiveNew:
		m.printf("publish %s\nout pubrec id=%d\n", a["topic"], id)
		m.inbound[id] = true
	case ReceiveDuplicate:
		m.printf("out pubrec id=%d\n", id)
	case ReceiveFull:
		m.printf("out disconnect code=0x93\n")
	}
}

func readConfig(a args) *Config {
	cfg := &Config{
		MaxInflight:           uint16(a.num("inflight", 0)),
		RetryInterval:         a.duration("retry"),
		MaxAwaitingRel:        a.num("awaiting", 0),
		AwaitRelTimeout:       a.duration("await-timeout"),
		MaxQueueLen:           a.num("queue", 0),
		MaxQueueBytes:         int64(a.num("bytes", 0)),
		DefaultPriorityLowest: a.has("default-lowest"),
		StoreQoS0:             a.has("store-qos0"),
		DropNewest:            a.has("drop-newest"),
		UpgradeQoS:            a.has("upgrade"),
	}
	for k, v := range a {
		if topic, ok := strings.CutPrefix(k, "prio:"); ok {
			if cfg.Priorities == nil {
				cfg.Priorities = map[string]uint8{}
			}
			cfg.Priorities[topic] = uint8(parseArgs([]string{"p=" + v}).num("p", 0))
		}
	}
	return cfg
}

func (m *machine) delivery(a args) message.Delivery {
	m.number++
	topic := a["topic"]
	if topic == "" {
		topic = "a"
	}
	msg := &message.Message{
		Topic:   topic,
		Payload: []byte(strconv.Itoa(m.number) + strings.Repeat(".", a.num("size", 0))),
		QoS:     byte(a.num("qos", 0)),
		From:    a["from"],
		Time:    m.now,
	}
	if a.has("expiry") {
		msg.Expiry = m.now + int64(a.duration("expiry"))
	}
	d := message.Delivery{Msg: msg, Opts: message.SubOptions{QoS: byte(a.num("sub", 2)), NoLocal: a.has("no-local")}}
	if a.has("share") {
		d.Share = &message.Share{Group: a["share"], Filter: topic}
	}
	return d
}

// restore moves the session through its byte form.
func (m *machine) restore() {
	b, _ := m.s.AppendBinary(nil)
	s := New("", m.cfg, 0)
	if err := s.UnmarshalBinary(b); err != nil {
		panic(err)
	}
	m.s = s
}

func (m *machine) subscriptions() {
	subs := m.s.Subscriptions()
	filters := make([]string, 0, len(subs))
	for f := range subs {
		filters = append(filters, f)
	}
	slices.Sort(filters)
	for _, f := range filters {
		m.printf("%s qos=%d subid=%d\n", f, subs[f].QoS, subs[f].ID)
	}
}

func (m *machine) nextTick() string {
	at := m.s.NextTick()
	if at == 0 {
		return "never"
	}
	return "in " + time.Duration(at-m.now).String()
}

func (m *machine) printf(format string, v ...any) { m.prefix += fmt.Sprintf(format, v...) }

func describe(d message.Delivery) string {
	if d.Msg == nil {
		return fmt.Sprintf("place %d", d.Seq)
	}
	s := fmt.Sprintf("%s#%s", d.Msg.Topic, strings.TrimRight(string(d.Msg.Payload), "."))
	if d.Share != nil {
		s += " share=" + d.Share.Group
	}
	return s
}

// check fails the test if the session's inner counts do not agree.
func (m *machine) check(t testing.TB) {
	t.Helper()
	if err := checkInvariants(m.s); err != nil {
		t.Fatal(err)
	}
}
