package config

import (
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// value is one leaf of the configuration, as text: a file's integer, flag and
// string are read alike, so that other sources than TOML can use the same keys.
type value struct {
	text string
	list []string // the elements when the leaf is an array; text joins them
}

// valueOf turns what the TOML reader yields for a leaf into a value.
func valueOf(v any) (value, error) {
	switch v := v.(type) {
	case []any:
		var out value
		for _, e := range v {
			s, err := scalar(e)
			if err != nil {
				return value{}, err
			}
			out.list = append(out.list, s)
		}
		out.text = strings.Join(out.list, ",")
		return out, nil
	default:
		s, err := scalar(v)
		return value{text: s}, err
	}
}

func scalar(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	default:
		return "", fmt.Errorf("a %s is not a value that a key takes", typeName(v))
	}
}

func typeName(v any) string {
	switch v.(type) {
	case map[string]any, []map[string]any:
		return "table"
	case time.Time:
		return "date"
	case []any:
		return "nested list"
	default:
		return fmt.Sprintf("%T", v)
	}
}

// elements is the value as a list: an array, or text with commas.
func (v value) elements() []string {
	if v.list != nil {
		return v.list
	}
	var out []string
	for s := range strings.SplitSeq(v.text, ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// parseDuration reads "1h30m", "15s", "250ms", "2d" or a sum of such parts; "0"
// needs no unit. Negative durations do not exist in a configuration.
func parseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	var total time.Duration
	rest := s
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if n <= 0 {
			return 0, badDuration(s)
		}
		number, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, badDuration(s)
		}
		rest = rest[n:]
		m := strings.IndexFunc(rest, func(r rune) bool { return r >= '0' && r <= '9' })
		if m < 0 {
			m = len(rest)
		}
		unit, ok := durationUnits[strings.ToLower(strings.TrimSpace(rest[:m]))]
		if !ok {
			return 0, badDuration(s)
		}
		rest = rest[m:]
		part := number * float64(unit)
		if part > math.MaxInt64-float64(total) {
			return 0, fmt.Errorf("%q is longer than 292 years", s)
		}
		total += time.Duration(part)
	}
	if s == "" {
		return 0, badDuration(s)
	}
	return total, nil
}

var durationUnits = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour,
	"d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

func badDuration(s string) error {
	return fmt.Errorf("%q is not a duration: write a number and a unit, for example 250ms, 15s, 5m, 2h or 7d", s)
}

// parseBytes reads "64KB", "1MB", "2GB" (powers of 1024, as EMQ X 4 has it) or a
// plain number of bytes.
func parseBytes(s string) (int64, error) {
	n := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if n < 0 {
		n = len(s)
	}
	number, err := strconv.ParseInt(s[:n], 10, 64)
	shift, ok := byteUnits[strings.ToUpper(strings.TrimSpace(s[n:]))]
	if err != nil || !ok || number > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is not a size: write a number and a unit, for example 512, 64KB, 1MB or 2GB", s)
	}
	return number << shift, nil
}

var byteUnits = map[string]uint{
	"": 0, "B": 0, "K": 10, "KB": 10, "KIB": 10, "M": 20, "MB": 20, "MIB": 20, "G": 30, "GB": 30, "GIB": 30,
}

// parseFlag reads on, off, true, false.
func parseFlag(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "on", "true":
		return true, nil
	case "off", "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is not a flag: write true or false (on and off are accepted)", s)
}

// parseFraction reads "75%" or "0.75".
func parseFraction(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, fmt.Errorf("%q is not a number: write for example 0.75 or 75%%", s)
	}
	if percent {
		f /= 100
	}
	return f, nil
}

// parseBind reads "IP:port", ":port" or a port alone, which means every address.
// Port 0 asks the system for a free one.
func parseBind(s string) (string, error) {
	if _, err := strconv.ParseUint(s, 10, 16); err == nil {
		return "0.0.0.0:" + s, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return "", fmt.Errorf("%q is not an address: write for example 127.0.0.1:1883, [::1]:1883 or 1883", s)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	return net.JoinHostPort(host, port), nil
}
