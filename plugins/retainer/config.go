package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// config has the keys of EMQ X 4's emqx_retainer (emqx4 §4.2, §9.4).
type config struct {
	maxMessages int           // max_retained_messages; 0: no limit
	maxPayload  int64         // max_payload_size, bytes; 0: no limit
	expiry      time.Duration // expiry_interval; 0: for ever
	stopClear   bool          // stop_publish_clear_msg
	excludeSys  bool          // exclude_sys
}

func defaults() config { return config{maxPayload: 1 << 20} }

// parse reads the configuration. The broker has validated it against
// schema.json; what is checked here again keeps the plugin right without it.
func parse(text []byte) (config, error) {
	c := defaults()
	err := flatjson.Object(text, func(key string, v flatjson.Value) error {
		var ok bool
		switch key {
		case "max_retained_messages":
			var n int64
			n, ok = v.Int()
			c.maxMessages, ok = int(n), ok && n >= 0 && n <= math.MaxInt32
		case "max_payload_size":
			c.maxPayload, ok = size(v)
		case "expiry_interval":
			c.expiry, ok = interval(v)
		case "stop_publish_clear_msg":
			c.stopClear, ok = v.Bool()
		case "exclude_sys":
			c.excludeSys, ok = v.Bool()
		default:
			return errors.New("there is no key " + key)
		}
		if !ok {
			return errors.New(key + " = " + string(v) + ": not a valid value")
		}
		return nil
	})
	return c, err
}

// size reads 1048576, "1048576", "1024KB" or "1MB".
func size(v flatjson.Value) (int64, bool) {
	text, ok := v.String()
	if !ok {
		n, ok := v.Int()
		return n, ok && n >= 0
	}
	text = strings.TrimRight(text, "bB")
	shift := 0
	if text != "" {
		switch text[len(text)-1] {
		case 'k', 'K':
			shift = 10
		case 'm', 'M':
			shift = 20
		case 'g', 'G':
			shift = 30
		}
	}
	if shift > 0 {
		text = text[:len(text)-1]
	}
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return n << shift, err == nil && n >= 0 && n <= math.MaxInt64>>shift
}

// interval reads seconds as a number, or "0", "90s", "20m", "1h30m", "7d".
func interval(v flatjson.Value) (time.Duration, bool) {
	text, ok := v.String()
	if !ok {
		n, ok := v.Int()
		return time.Duration(n) * time.Second, ok && n >= 0 && n <= math.MaxInt64/int64(time.Second)
	}
	if text == "0" {
		return 0, true
	}
	var sum time.Duration
	for text != "" {
		i := strings.IndexFunc(text, func(c rune) bool { return c < '0' || c > '9' })
		if i <= 0 {
			return 0, false
		}
		n, err := strconv.ParseInt(text[:i], 10, 64)
		unit, width := unitOf(text[i:])
		if err != nil || unit == 0 || n > int64((math.MaxInt64-sum)/unit) {
			return 0, false
		}
		sum += time.Duration(n) * unit
		text = text[i+width:]
	}
	return sum, sum > 0
}

// unitOf reads the unit at the start of text and tells how long its name is.
func unitOf(text string) (unit time.Duration, width int) {
	if strings.HasPrefix(text, "ms") {
		return time.Millisecond, 2
	}
	switch text[0] {
	case 's':
		return time.Second, 1
	case 'm':
		return time.Minute, 1
	case 'h':
		return time.Hour, 1
	case 'd':
		return 24 * time.Hour, 1
	}
	return 0, 0
}
