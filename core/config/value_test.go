package config

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "250ms": 250 * time.Millisecond, "15s": 15 * time.Second, "5m": 5 * time.Minute,
		"2h": 2 * time.Hour, "2d": 48 * time.Hour, "1w": 7 * 24 * time.Hour, "1h30m": 90 * time.Minute,
		"1.5h": 90 * time.Minute, "1h 2m 3s": time.Hour + 2*time.Minute + 3*time.Second, "15S": 15 * time.Second,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("parseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "15", "s", "-5s", "15x", "1h30", "1..5s", "9999999999w", "15 s s"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("parseDuration(%q) = %v, want an error", text, got)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "512": 512, "512B": 512, "64KB": 64 << 10, "1MB": 1 << 20, "1mb": 1 << 20, "2 GB": 2 << 30, "3KiB": 3 << 10,
	} {
		if got, err := parseBytes(text); err != nil || got != want {
			t.Errorf("parseBytes(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MB", "-1", "1.5MB", "1TB", "9223372036854775807KB", "99999999999999999999"} {
		if got, err := parseBytes(text); err == nil {
			t.Errorf("parseBytes(%q) = %d, want an error", text, got)
		}
	}
}

func TestParseFlag(t *testing.T) {
	for text, want := range map[string]bool{"on": true, "true": true, "ON": true, "off": false, "false": false} {
		if got, err := parseFlag(text); err != nil || got != want {
			t.Errorf("parseFlag(%q) = %t, %v, want %t", text, got, err, want)
		}
	}
	for _, text := range []string{"", "yes", "1"} {
		if _, err := parseFlag(text); err == nil {
			t.Errorf("parseFlag(%q) is accepted", text)
		}
	}
}

func TestParseFraction(t *testing.T) {
	for text, want := range map[string]float64{"0.75": 0.75, "75%": 0.75, "2": 2, "0": 0} {
		if got, err := parseFraction(text); err != nil || got != want {
			t.Errorf("parseFraction(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "%", "NaN", "inf", "a"} {
		if got, err := parseFraction(text); err == nil {
			t.Errorf("parseFraction(%q) = %v, want an error", text, got)
		}
	}
}

func TestParseBind(t *testing.T) {
	for text, want := range map[string]string{
		"1883": "0.0.0.0:1883", ":1883": "0.0.0.0:1883", "127.0.0.1:0": "127.0.0.1:0", "[::1]:1883": "[::1]:1883", "localhost:1": "localhost:1",
	} {
		if got, err := parseBind(text); err != nil || got != want {
			t.Errorf("parseBind(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "127.0.0.1", "65536", "::1:1883", "host:port", "-1"} {
		if got, err := parseBind(text); err == nil {
			t.Errorf("parseBind(%q) = %q, want an error", text, got)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"max_inflight", "max_packet_size", "mountpoint", "idle_timeout"}
	for word, want := range map[string]string{
		"max_inflght": "max_inflight", "max_packetsize": "max_packet_size", "idel_timeout": "idle_timeout", "mount_point": "mountpoint",
	} {
		if got, ok := nearest(word, known); !ok || got != want {
			t.Errorf("nearest(%q) = %q, %t, want %q", word, got, ok, want)
		}
	}
	if got, ok := nearest("something_else", known); ok {
		t.Errorf("nearest of a far word is %q, want nothing", got)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
