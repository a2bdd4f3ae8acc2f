// Package main is the presence plugin: it publishes on $SYS that a client has
// connected or disconnected, in the JSON of EMQ X 4 (emqx4 §6.1).
package main

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// Presence publishes the events.
type Presence struct {
	qos  byte
	json []byte // the event being built; reused
}

var _ = sdk.Register(&Presence{qos: 1})

func main() { sdk.Main() }

// Configure reads the one key, qos.
func (p *Presence) Configure(text []byte) error {
	p.qos = 1
	return flatjson.Object(text, func(key string, v flatjson.Value) error {
		if key != "qos" {
			return errors.New("there is no key " + key)
		}
		n, ok := v.Int()
		if !ok || n < 0 || n > 2 {
			return errors.New("qos = " + string(v) + ": want 0, 1 or 2")
		}
		p.qos = byte(n)
		return nil
	})
}

// OnConnected publishes .../clients/<clientid>/connected.
func (p *Presence) OnConnected(e *sdk.ClientEvent) {
	p.begin(e)
	p.number("connack", 0)
	p.number("keepalive", int64(e.KeepAlive()))
	p.json = append(p.json, `,"clean_start":`...)
	p.json = strconv.AppendBool(p.json, e.Flags().Has(sdk.CleanStart))
	p.number("expiry_interval", int64(e.SessionExpiry()))
	p.publish(e, "connected")
}

// OnDisconnected publishes .../clients/<clientid>/disconnected.
func (p *Presence) OnDisconnected(e *sdk.DisconnectEvent) {
	p.begin(&e.ClientEvent)
	p.text("reason", e.ReasonBytes())
	p.number("disconnected_at", e.Time().UnixMilli())
	p.publish(&e.ClientEvent, "disconnected")
}

// undefined is what EMQ X 4 writes for a client without a user name.
var undefined = []byte("undefined")

// begin starts the event with what both kinds have.
func (p *Presence) begin(e *sdk.ClientEvent) {
	p.json = append(p.json[:0], `{"clientid":`...)
	p.json = flatjson.AppendString(p.json, e.ClientIDBytes())
	username := e.UsernameBytes()
	if len(username) == 0 {
		username = undefined
	}
	p.text("username", username)
	address, _ := split(e.PeerBytes())
	p.text("ipaddress", address)
	_, port := split(e.LocalBytes())
	p.number("sockport", port)
	p.text("proto_name", e.ProtocolBytes())
	p.number("proto_ver", int64(e.Flags().Version()))
	p.number("connected_at", millis(e.ConnectedAt()))
	p.number("ts", e.Time().UnixMilli())
}

func (p *Presence) publish(e *sdk.ClientEvent, what string) {
	p.json = append(p.json, '}')
	err := sdk.Publish(sdk.Message{
		Topic:   "$SYS/brokers/" + sdk.Node() + "/clients/" + e.ClientID() + "/" + what,
		Payload: p.json,
		QoS:     p.qos,
	})
	if err != nil { // for example a client id that cannot be part of a topic
		sdk.Log(sdk.Warn, what+" event of client "+strconv.Quote(e.ClientID())+" not published: "+err.Error())
	}
}

// text appends a member that is a string.
func (p *Presence) text(key string, v []byte) {
	p.key(key)
	p.json = flatjson.AppendString(p.json, v)
}

// number appends a member that is a number.
func (p *Presence) number(key string, v int64) {
	p.key(key)
	p.json = strconv.AppendInt(p.json, v, 10)
}

func (p *Presence) key(key string) {
	p.json = append(p.json, `,"`...)
	p.json = append(p.json, key...)
	p.json = append(p.json, `":`...)
}

// split takes "192.0.2.1:1883" or "[2001:db8::1]:1883" apart.
func split(addr []byte) (host []byte, port int64) {
	i := bytes.LastIndexByte(addr, ':')
	if i < 0 {
		return addr, 0
	}
	port, _ = strconv.ParseInt(string(addr[i+1:]), 10, 32)
	return bytes.Trim(addr[:i], "[]"), port
}

// millis is t as Unix milliseconds; 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
