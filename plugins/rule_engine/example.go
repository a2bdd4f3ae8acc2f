//go:build !wasip1

package main

import (
	"encoding/json"
	"time"

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

// defaults describe the event of a dry run, as EMQ X does.
func defaults(from string) []given {
	now := sql.IntOf(time.Now().UnixMilli())
	flags := &sql.Map{}
	flags.Set("dup", sql.BoolOf(false))
	flags.Set("retain", sql.BoolOf(false))
	return []given{
		{sql.ColEvent, sql.StringOf("message.publish")}, {sql.ColTimestamp, now}, {sql.ColNode, sql.StringOf(sdk.Node())},
		{sql.ColID, sql.StringOf("0005F0B0C0D0E0F00000000000000001")}, {sql.ColClientID, sql.StringOf("c_emqx")}, {sql.ColUsername, sql.StringOf("u_emqx")},
		{sql.ColPayload, sql.StringOf(`{"msg": "hello"}`)}, {sql.ColPeerHost, sql.StringOf("127.0.0.1")}, {sql.ColTopic, sql.StringOf(from)},
		{sql.ColQoS, sql.IntOf(1)}, {sql.ColFlags, sql.ObjectOf(flags)}, {sql.ColPublishReceivedAt, now},
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
