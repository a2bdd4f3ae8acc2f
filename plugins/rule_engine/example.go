//go:build !wasip1

package main

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/event"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
	sdk "github.com/dunlinmq/dunlin/pluginsdk"
)

// rawJSON is passed on as it is.
func rawJSON(b []byte) json.RawMessage { return json.RawMessage(b) }

// given is a column of a test that nobody has given a value.
type given struct {
	column sql.Column
	value  sql.Value
}

// defaults describe the event of a dry run, as EMQ X does: a message on the topic, or
// an event with the columns that it has.
func defaults(from string) []given {
	word, columns, ok := event.Describe(from)
	if !ok {
		word, columns, _ = event.Describe(event.Message)
	}
	examples := exampleValues(from)
	examples[sql.ColEvent] = sql.StringOf(word)
	var list []given
	for _, c := range columns {
		if v, ok := examples[c]; ok {
			list = append(list, given{c, v})
		}
	}
	return list
}

// exampleValues are the columns as a client might fill them.
func exampleValues(topic string) map[sql.Column]sql.Value {
	now := sql.IntOf(time.Now().UnixMilli())
	flags := &sql.Map{}
	flags.Set("dup", sql.BoolOf(false))
	flags.Set("retain", sql.BoolOf(false))
	if strings.HasPrefix(topic, "$events/") {
		topic = "t/1"
	}
	return map[sql.Column]sql.Value{
		sql.ColTimestamp: now, sql.ColNode: sql.StringOf(sdk.Node()), sql.ColID: sql.StringOf("0005F0B0C0D0E0F00000000000000001"),
		sql.ColClientID: sql.StringOf("c_emqx"), sql.ColUsername: sql.StringOf("u_emqx"), sql.ColFromClientID: sql.StringOf("c_emqx_1"),
		sql.ColPayload: sql.StringOf(`{"msg": "hello"}`), sql.ColPeerHost: sql.StringOf("127.0.0.1"), sql.ColTopic: sql.StringOf(topic),
		sql.ColQoS: sql.IntOf(1), sql.ColFlags: sql.ObjectOf(flags), sql.ColPublishReceivedAt: now,
		sql.ColPeerName: sql.StringOf("127.0.0.1:50000"), sql.ColSockName: sql.StringOf("127.0.0.1:1883"), sql.ColProtoName: sql.StringOf("MQTT"),
		sql.ColProtoVer: sql.IntOf(5), sql.ColKeepalive: sql.IntOf(60), sql.ColCleanStart: sql.BoolOf(true), sql.ColExpiryInterval: sql.IntOf(3600),
		sql.ColIsBridge: sql.BoolOf(false), sql.ColConnectedAt: now, sql.ColDisconnectedAt: now, sql.ColReason: sql.StringOf("normal"),
		sql.ColReasonCode: sql.StringOf("success"), sql.ColAction: sql.StringOf("publish"), sql.ColIsCache: sql.BoolOf(false), sql.ColResult: sql.StringOf("allow"),
	}
}

// valueOf is a decoded JSON value as one of a statement. An object as a payload is
// its text, as a client would send it.
func valueOf(v any) sql.Value {
	if s, ok := v.(string); ok {
		return sql.StringOf(s)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return sql.Value{}
	}
	value, err := sql.DecodeJSON(string(text))
	if err != nil {
		return sql.Value{}
	}
	return value
}
