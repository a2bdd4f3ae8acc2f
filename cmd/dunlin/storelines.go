package main

import (
	"encoding/base64"

	"github.com/dunlinmq/dunlin/core/access"
	mqtt "github.com/dunlinmq/dunlin/core/message"
)

// hidden is bytes that may be a secret: how many there are, and themselves, in
// base64, only when asked for.
type hidden struct {
	Bytes  int     `json:"bytes"`
	Base64 *string `json:"base64,omitempty"`
}

func (d *dump) hide(p []byte) hidden {
	h := hidden{Bytes: len(p)}
	if d.payloads {
		s := base64.StdEncoding.EncodeToString(p)
		h.Base64 = &s
	}
	return h
}

// The lines of `dunlin store dump`. Their keys are stable.
type (
	sessionLine struct {
		Kind       string  `json:"kind"`
		Client     string  `json:"client"`
		Created    stamp   `json:"created_at"`
		Zone       string  `json:"zone"`
		Durability string  `json:"durability"`
		Expiry     *uint32 `json:"expiry_s"`          // null: never
		Left       stamp   `json:"left_at,omitempty"` // not there: it had a connection
		ExpiresAt  stamp   `json:"expires_at,omitempty"`
		Username   string  `json:"username,omitempty"`
		Protocol   string  `json:"protocol,omitempty"`
		Peer       string  `json:"peer,omitempty"`
		Listener   string  `json:"listener,omitempty"`
	}
	willLine struct {
		Kind   string `json:"kind"`
		Client string `json:"client"`
		Topic  string `json:"topic"`
		QoS    byte   `json:"qos"`
		Retain bool   `json:"retain"`
		Delay  uint32 `json:"delay_s"`
		Due    stamp  `json:"due_at,omitempty"`
		hidden
	}
	subscriptionLine struct {
		Kind              string `json:"kind"`
		Client            string `json:"client"`
		Filter            string `json:"filter"` // with $share/<group>/
		QoS               byte   `json:"qos"`
		ID                uint32 `json:"subscription_id,omitempty"`
		NoLocal           bool   `json:"no_local"`
		RetainAsPublished bool   `json:"retain_as_published"`
		RetainHandling    byte   `json:"retain_handling"`
	}
	placeLine struct {
		Kind     string `json:"kind"`
		Client   string `json:"client"`
		Place    uint64 `json:"place,omitempty"`
		PacketID uint16 `json:"packet_id,omitempty"`
	}
	// messageLine is a message that waits for a client, for its time, or for ever.
	messageLine struct {
		Kind      string `json:"kind"`
		Client    string `json:"client,omitempty"` // for whom
		Place     uint64 `json:"place,omitempty"`
		Plugin    string `json:"plugin,omitempty"` // whose delayed message
		Number    uint64 `json:"number,omitempty"`
		Due       stamp  `json:"due_at,omitempty"`
		Topic     string `json:"topic"`
		QoS       byte   `json:"qos"` // as published
		Delivered *byte  `json:"qos_delivered,omitempty"`
		Retain    bool   `json:"retain"`
		Group     string `json:"share,omitempty"`
		From      string `json:"from,omitempty"` // the publisher's client id
		Username  string `json:"username,omitempty"`
		Published stamp  `json:"published_at,omitempty"`
		ExpiresAt stamp  `json:"expires_at,omitempty"`
		hidden
	}
	logLine struct {
		Kind    string `json:"kind"`
		Plugin  string `json:"plugin"`
		First   uint64 `json:"first"` // the next to be done
		Last    uint64 `json:"last"`
		Bytes   int64  `json:"bytes"`
		Dropped uint64 `json:"dropped"`
	}
	entryLine struct {
		Kind      string `json:"kind"`
		Plugin    string `json:"plugin"`
		Key       string `json:"key,omitempty"`
		Number    uint64 `json:"number,omitempty"`
		ExpiresAt stamp  `json:"expires_at,omitempty"`
		hidden
	}
	banLine struct {
		Kind string `json:"kind"`
		access.Ban
	}
)

func (d *dump) message(kind string, m *mqtt.Message) messageLine {
	return messageLine{Kind: kind, Topic: m.Topic, QoS: m.QoS, Retain: m.Retain || m.Retained, From: m.From, Username: m.Username,
		Published: stamp(m.Time), ExpiresAt: stamp(m.Expiry), hidden: d.hide(m.Payload)}
}
