// Package mqtt brings rows to another MQTT broker: resource bridge_mqtt, action
// data_to_mqtt_broker (emqx4 §7.4). A batch is done when the broker has acknowledged
// each message of QoS 1. It owns what an action makes of a row; the connection is
// link's. It refuses what comes from the other broker: that is the plugin
// bridge_mqtt's.
package mqtt

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/template"
	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/topic"
)

// Broker is another broker.
type Broker struct {
	sink.Actions[message]

	// Immutable.
	settings settings
	mount    string // before each topic
	turn     chan struct{}

	link *link // owned by who has the turn; nil: not connected
}

// message is what an action makes of a row.
type message struct {
	topic, payload *template.Template
	qos            byte
	retain         bool
}

var _ sink.Resource = (*Broker)(nil)

// versions are those of the protocol, in EMQ X's words.
var versions = map[string]packet.Version{"mqttv3": packet.V31, "mqttv4": packet.V311, "mqttv5": packet.V50}

// Open reads the resource's configuration. It does not connect.
func Open(p *params.Params) (sink.Resource, error) {
	b := &Broker{turn: make(chan struct{}, 1)}
	s := &b.settings
	s.address = p.Required("address")
	if _, _, err := net.SplitHostPort(s.address); err != nil && s.address != "" {
		p.Fault("address", fmt.Errorf("%q: host:port is wanted", s.address))
	}
	s.version = versions[p.OneOf("proto_ver", "mqttv4", "mqttv3", "mqttv5")]
	s.window = p.Int("max_inflight", 100, 1, 65535)
	s.timeout = p.Duration("connect_timeout", 5*time.Second)
	s.hello = packet.Connect{
		ClientID: p.String("clientid", ""), Username: p.String("username", ""), Password: []byte(p.String("password", "")), CleanStart: true, Version: s.version,
		KeepAlive: uint16(min(p.Duration("keepalive", time.Minute)/time.Second, 65535)), Bridge: p.Bool("bridge_mode", false) && s.version != packet.V50,
	}
	s.hello.HasUsername, s.hello.HasPassword = s.hello.Username != "", len(s.hello.Password) > 0
	if p.Bool("append", true) || s.hello.ClientID == "" {
		s.hello.ClientID += random(s.hello.ClientID)
	}
	b.mount = strings.ReplaceAll(p.String("mountpoint", ""), "${node}", sdk.Node())
	tls, err := sink.TLS(p)
	if err != nil {
		p.Fault("cacertfile", err)
	}
	if p.Bool("ssl", false) {
		s.tls = tls
	}
	return b, p.Err()
}

// random is the end of a client identifier that nobody else has.
func random(begin string) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it never fails
	if begin == "" {
		begin = "rules"
	} else {
		begin = ""
	}
	return begin + "-" + hex.EncodeToString(b[:])
}

// Bind implements sink.Resource.
func (b *Broker) Bind(action string, p *params.Params) error {
	m := message{
		topic: p.Template("forward_topic", "${topic}"), payload: p.Template("payload_tmpl", "${payload}"),
		qos: byte(p.Int("qos", 1, 0, 1)), retain: p.Bool("retain", false),
	}
	if m.topic.Constant() && m.topic.Text(nil) == "" {
		m.topic, _ = template.Parse("${topic}") // EMQ X's "" is the message's own
	}
	if m.topic.Constant() {
		if err := topic.ValidateName(b.mount + m.topic.Text(nil)); err != nil {
			p.Fault("forward_topic", err)
		}
	}
	if err := p.Err(); err != nil {
		return err
	}
	b.Set(action, m)
	return nil
}

// publication is the message of an item. An error refuses it.
func (b *Broker) publication(it sink.Item) (*packet.PublishOut, error) {
	m, row, err := b.Of(it)
	if err != nil {
		return nil, err
	}
	out := &packet.PublishOut{Topic: b.mount + m.topic.Text(row), Payload: payload(m.payload, row), QoS: m.qos, Retain: m.retain}
	if err := topic.ValidateName(out.Topic); err != nil {
		return nil, fmt.Errorf("forward_topic: %w", err)
	}
	return out, nil
}

func payload(t *template.Template, row *sql.Map) []byte {
	if t.Constant() && t.Text(row) == "" {
		return row.AppendJSON(nil)
	}
	return t.Append(nil, row)
}

// take waits for the turn: the connection has one user.
func (b *Broker) take(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// connected is the link, made anew if it is gone.
func (b *Broker) connected(ctx context.Context) (*link, error) {
	if b.link == nil {
		l, err := dial(ctx, &b.settings)
		if err != nil {
			return nil, fmt.Errorf("mqtt %s: %w", b.settings.address, err)
		}
		b.link = l
	}
	return b.link, nil
}

// lost ends the connection.
func (b *Broker) lost(err error) error {
	if b.link != nil {
		b.link.close()
		b.link = nil
	}
	return fmt.Errorf("mqtt %s: %w", b.settings.address, err)
}

// Write implements sink.Driver.
func (b *Broker) Write(ctx context.Context, items []sink.Item) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	defer func() { <-b.turn }()
	bad, outs, at := map[int]error{}, make([]*packet.PublishOut, 0, len(items)), make([]int, 0, len(items))
	for i, it := range items {
		out, err := b.publication(it)
		if err != nil {
			bad[i] = err
			continue
		}
		outs, at = append(outs, out), append(at, i)
	}
	if len(outs) > 0 {
		l, err := b.connected(ctx)
		if err != nil {
			return err
		}
		done, refused, err := l.publish(ctx, outs)
		for k, why := range refused {
			bad[at[k]] = why
		}
		if err != nil {
			return b.some(items, at[:done], bad, b.lost(err))
		}
	}
	return sink.Refused(bad)
}

// some tells of the items that have arrived before the first that has not, or that
// was refused: those are tried again, and refused again.
func (b *Broker) some(items []sink.Item, arrived []int, bad map[int]error, why error) error {
	n := 0
	for n < len(items) && n < len(arrived) && arrived[n] == n && bad[n] == nil {
		n++
	}
	if n == 0 {
		return why
	}
	return &sink.Partial{Done: n, Err: why}
}

// Check implements sink.Driver: a ping, which keeps the connection too.
func (b *Broker) Check(ctx context.Context) error {
	if err := b.take(ctx); err != nil {
		return errors.Join(errors.New("a batch is under way for too long"), err)
	}
	defer func() { <-b.turn }()
	fresh := b.link == nil
	l, err := b.connected(ctx)
	if err != nil {
		return err
	}
	if err = l.ping(ctx); err == nil || fresh {
		if err != nil {
			err = b.lost(err)
		}
		return err
	}
	_ = b.lost(err) // it may have ended while nobody used it
	if l, err = b.connected(ctx); err != nil {
		return err
	}
	if err := l.ping(ctx); err != nil {
		return b.lost(err)
	}
	return nil
}

// Close implements sink.Driver.
func (b *Broker) Close() error {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	if b.link != nil {
		b.link.leave()
		b.link = nil
	}
	return nil
}
