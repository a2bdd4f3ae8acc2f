package main

import (
	"errors"
	"strconv"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// OnCommand serves delayed.list, with the last message of the page before as due
// (Unix nanoseconds) and number, and delayed.show and delayed.cancel with a number.
func (d *Delayed) OnCommand(name string, body []byte) ([]byte, error) {
	due, number := int64(0), int64(0)
	if len(body) > 0 {
		err := flatjson.Object(body, func(key string, v flatjson.Value) error {
			n, ok := v.Int()
			if !ok || n < 0 {
				return invalid(key + " is not a number")
			}
			switch key {
			case "due":
				due = n
			case "number":
				number = n
			default:
				return invalid("there is no " + key)
			}
			return nil
		})
		if err != nil {
			return nil, invalid(err.Error())
		}
	}
	switch name {
	case "delayed.list":
		return list(sdk.Waiting{Due: time.Unix(0, due), Number: uint64(number)})
	case "delayed.show":
		w, err := sdk.DelayedNumber(uint64(number))
		if errors.Is(err, sdk.ErrNotFound) {
			return nil, missing(number)
		}
		if err != nil {
			return nil, err
		}
		return appendWaiting(nil, &w), nil
	case "delayed.cancel":
		if err := sdk.Cancel(uint64(number)); err != nil {
			return nil, missing(number)
		}
		return []byte(`{"cancelled":` + strconv.FormatInt(number, 10) + `}`), nil
	}
	return nil, sdk.UnknownCommand(name)
}

func invalid(text string) error { return &sdk.CommandError{Kind: sdk.ErrInvalid, Text: text} }

// list is a page of the messages that wait, as JSON.
func list(after sdk.Waiting) ([]byte, error) {
	if after.Number == 0 {
		after = sdk.Waiting{}
	}
	page, err := sdk.DelayedAfter(after)
	if err != nil {
		return nil, err
	}
	out := []byte{'['}
	for i := range page {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendWaiting(out, &page[i])
	}
	return append(out, ']'), nil
}

// appendWaiting appends a message that waits as JSON.
func appendWaiting(out []byte, w *sdk.Waiting) []byte {
	out = strconv.AppendUint(append(out, `{"number":`...), w.Number, 10)
	out = strconv.AppendInt(append(out, `,"due":`...), w.Due.UnixNano(), 10)
	out = w.Due.UTC().AppendFormat(append(out, `,"at":"`...), time.RFC3339)
	out = flatjson.AppendString(append(out, `","topic":`...), w.Topic)
	out = flatjson.AppendString(append(out, `,"from":`...), w.From)
	out = strconv.AppendUint(append(out, `,"qos":`...), uint64(w.QoS), 10)
	out = strconv.AppendBool(append(out, `,"retain":`...), w.Retain)
	out = strconv.AppendInt(append(out, `,"size":`...), int64(w.Size), 10)
	return append(out, '}')
}

func missing(number int64) error {
	return &sdk.CommandError{Kind: sdk.ErrNotFound, Text: "no message waits under the number " + strconv.FormatInt(number, 10)}
}
