package main

import (
	"encoding/json"
	"os"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	c, err := parse([]byte(`{"max_retained_messages":5,"max_payload_size":"2MB","expiry_interval":"1h30m","stop_publish_clear_msg":true,"exclude_sys":true}`))
	want := config{maxMessages: 5, maxPayload: 2 << 20, expiry: 90 * time.Minute, stopClear: true, excludeSys: true}
	if err != nil || c != want {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := parse([]byte(`{}`)); err != nil || c != (config{maxPayload: 1 << 20}) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `{"max_retained_messages":-1}`, `{"max_retained_messages":3000000000}`, `{"max_retained_messages":"5"}`,
		`{"max_payload_size":"x"}`, `{"max_payload_size":-1}`, `{"max_payload_size":"9999999999999GB"}`, `{"max_payload_size":""}`,
		`{"expiry_interval":"1"}`, `{"expiry_interval":"1y"}`, `{"expiry_interval":"h"}`, `{"expiry_interval":""}`, `{"expiry_interval":-5}`,
		`{"expiry_interval":"99999999999999d"}`, `{"stop_publish_clear_msg":1}`, `{"exclude_sys":"yes"}`, `{"colour":1}`,
	} {
		if c, err := parse([]byte(text)); err == nil {
			t.Errorf("%s is taken: %+v", text, c)
		}
	}
}

func TestSizesAndIntervals(t *testing.T) {
	for text, want := range map[string]int64{`1048576`: 1 << 20, `"1048576"`: 1 << 20, `"1KB"`: 1024, `"1k"`: 1024, `"3 MB"`: 3 << 20, `"1gb"`: 1 << 30, `0`: 0, `"0B"`: 0} {
		if n, ok := size([]byte(text)); !ok || n != want {
			t.Errorf("%s: %d %v", text, n, ok)
		}
	}
	for text, want := range map[string]time.Duration{`90`: 90 * time.Second, `"0"`: 0, `0`: 0, `"250ms"`: 250 * time.Millisecond, `"90s"`: 90 * time.Second,
		`"20m"`: 20 * time.Minute, `"1d12h"`: 36 * time.Hour} {
		if d, ok := interval([]byte(text)); !ok || d != want {
			t.Errorf("%s: %v %v", text, d, ok)
		}
	}
}

// The schema has the keys and defaults that the code has.
func TestSchemaIsTheCode(t *testing.T) {
	text, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]struct{ Default json.RawMessage }
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	all := map[string]json.RawMessage{}
	for key, p := range schema.Properties {
		all[key] = p.Default
	}
	if len(all) != 5 {
		t.Errorf("%d keys", len(all))
	}
	config, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := parse(config); err != nil || c != defaults() {
		t.Errorf("the schema's defaults give %+v, %v", c, err)
	}
}
