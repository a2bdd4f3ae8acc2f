package sql

import (
	"strconv"
	"strings"
	"time"
)

// unitOf is nanoseconds of a unit's word.
func unitOf(w string) (int64, error) {
	switch w {
	case "second":
		return 1e9, nil
	case "millisecond":
		return 1e6, nil
	case "microsecond":
		return 1e3, nil
	case "nanosecond":
		return 1, nil
	}
	return 0, errorf("the unit is second, millisecond, microsecond or nanosecond, not %s", clip(w))
}

// toTime is a count of units since 1970.
func toTime(n, unit int64) time.Time {
	per := int64(time.Second) / unit
	s, rest := n/per, n%per
	return time.Unix(s, rest*unit)
}

func sinceEpoch(t time.Time, unit int64) int64 {
	per := int64(time.Second) / unit
	return t.Unix()*per + int64(t.Nanosecond())/unit
}

var fractions = map[int64]string{1e9: "", 1e6: ".000", 1e3: ".000000", 1: ".000000000"}

func rfc3339(t time.Time, unit int64) Value {
	return StringOf(t.Format("2006-01-02T15:04:05" + fractions[unit] + "Z07:00"))
}

var dateFunctions = map[string]function{
	"now_rfc3339": {max: 1, call: func(e *env, args []Value) (Value, error) {
		unit, err := unitOf(word(args, 0, "second"))
		if err != nil {
			return Value{}, err
		}
		return rfc3339(e.now(), unit), nil
	}},
	"now_timestamp": {max: 1, call: func(e *env, args []Value) (Value, error) {
		unit, err := unitOf(word(args, 0, "second"))
		if err != nil {
			return Value{}, err
		}
		return IntOf(sinceEpoch(e.now(), unit)), nil
	}},
	"unix_ts_to_rfc3339": pure(1, 2, func(args []Value) (Value, error) {
		n, err := whole(args, 0)
		if err != nil {
			return Value{}, err
		}
		unit, err := unitOf(word(args, 1, "second"))
		if err != nil {
			return Value{}, err
		}
		return rfc3339(toTime(n, unit), unit), nil
	}),
	"rfc3339_to_unix_ts": pure(1, 2, func(args []Value) (Value, error) {
		unit, err := unitOf(word(args, 1, "second"))
		if err != nil {
			return Value{}, err
		}
		t, err := time.Parse(time.RFC3339Nano, strings.Replace(args[0].Text(), " ", "T", 1))
		if err != nil {
			return Value{}, errorf("%s is no RFC 3339 time", clip(args[0].Text()))
		}
		return IntOf(sinceEpoch(t, unit)), nil
	}),
	"timezone_to_second": pure(1, 1, func(args []Value) (Value, error) {
		n, err := offsetOf(args[0])
		return IntOf(int64(n)), err
	}),
	"format_date":     {min: 3, max: 4, call: formatDate},
	"date_to_unix_ts": pure(3, 4, parseDate),
	"mongo_date":      {max: 2, call: mongoDate},
}

// offsetOf is seconds east of UTC: a number, Z, +08:00, +0800, +08:00:00, or
// local.
func offsetOf(v Value) (int, error) {
	if v.kind == Int {
		if v.num < -86400 || v.num > 86400 {
			return 0, errorf("an offset is at most a day, not %d seconds", v.num)
		}
		return int(v.num), nil
	}
	s := v.Text()
	switch strings.ToLower(s) {
	case "", "z":
		return 0, nil
	case "local":
		_, n := time.Now().Zone()
		return n, nil
	}
	num := strings.ReplaceAll(s[1:], ":", "")
	if (s[0] != '+' && s[0] != '-') || len(num) != 4 && len(num) != 6 || strings.Trim(num, "0123456789") != "" {
		return 0, errorf("%s is no offset: Z, +08:00, seconds, or local", clip(s))
	}
	n := 0
	for i, of := 0, 3600; i < len(num); i, of = i+2, of/60 {
		part, err := strconv.Atoi(num[i : i+2])
		if err != nil || part > 59 {
			return 0, errorf("%s is no offset: Z, +08:00, seconds, or local", clip(s))
		}
		n += part * of
	}
	if s[0] == '-' {
		n = -n
	}
	return n, nil
}

// formatDate is format_date(unit, offset, format[, time]).
func formatDate(e *env, args []Value) (Value, error) {
	unit, err := unitOf(word(args, 0, ""))
	if err != nil {
		return Value{}, err
	}
	offset, err := offsetOf(args[1])
	if err != nil {
		return Value{}, err
	}
	layout, err := text(args, 2)
	if err != nil {
		return Value{}, err
	}
	t := e.now()
	if len(args) == 4 {
		n, err := whole(args, 3)
		if err != nil {
			return Value{}, err
		}
		t = toTime(n, unit)
	}
	return StringOf(strftime(t.In(time.FixedZone("", offset)), layout)), nil
}

// dateWords are the parts of a date format and Go's words for them. Longer ones
// come first.
var dateWords = []struct{ word, layout string }{
	{"%::z", "-07:00:00"}, {"%:z", "-07:00"}, {"%z", "-0700"},
	{"%3N", ".000"}, {"%6N", ".000000"}, {"%9N", ".000000000"}, {"%N", ".000000000"},
	{"%Y", "2006"}, {"%m", "01"}, {"%d", "02"}, {"%H", "15"}, {"%M", "04"}, {"%S", "05"},
}

// strftime writes t in the format.
func strftime(t time.Time, format string) string {
	var b strings.Builder
	for format != "" {
		w, layout := dateWord(format)
		if w == "" {
			b.WriteByte(format[0])
			format = format[1:]
			continue
		}
		b.WriteString(strings.TrimPrefix(t.Format(layout), "."))
		format = format[len(w):]
	}
	return b.String()
}

func dateWord(format string) (word, layout string) {
	for _, d := range dateWords {
		if strings.HasPrefix(format, d.word) {
			return d.word, d.layout
		}
	}
	return "", ""
}

// parseDate is date_to_unix_ts(unit, [offset,] format, text).
func parseDate(args []Value) (Value, error) {
	unit, err := unitOf(word(args, 0, ""))
	if err != nil {
		return Value{}, err
	}
	offset := 0
	if len(args) == 4 {
		if offset, err = offsetOf(args[1]); err != nil {
			return Value{}, err
		}
		args = args[1:]
	}
	t, err := strptime(args[1].Text(), args[2].Text(), offset)
	if err != nil {
		return Value{}, err
	}
	return IntOf(sinceEpoch(t, unit)), nil
}

// dateReader reads a date part by part.
type dateReader struct {
	rest   string
	parts  map[byte]int // by the letter of the format
	nanos  int
	offset int
}

// strptime reads s in the format. offset is for a format without %z.
func strptime(format, s string, offset int) (time.Time, error) {
	r := &dateReader{rest: s, parts: map[byte]int{'Y': 1970, 'm': 1, 'd': 1}, offset: offset}
	ok := true
	for format != "" && ok {
		w, _ := dateWord(format)
		if w == "" {
			ok = strings.HasPrefix(r.rest, format[:1])
			if ok {
				format, r.rest = format[1:], r.rest[1:]
			}
			continue
		}
		format = format[len(w):]
		ok = r.part(w[len(w)-1])
	}
	p := r.parts
	t := time.Date(p['Y'], time.Month(p['m']), p['d'], p['H'], p['M'], p['S'], r.nanos, time.FixedZone("", r.offset))
	if !ok || r.rest != "" || t.Day() != p['d'] || int(t.Month()) != p['m'] || t.Hour() != p['H'] || t.Minute() != p['M'] {
		return time.Time{}, errorf("%s is not in the format", clip(s))
	}
	return t, nil
}

// part reads one part and tells whether it was there.
func (r *dateReader) part(verb byte) bool {
	n := 2
	switch verb {
	case 'Y':
		n = 4
	case 'N':
		n = digits(r.rest, 0)
	case 'z':
		return r.zone()
	}
	if n == 0 || n > 9 || len(r.rest) < n || digits(r.rest[:n], 0) != n {
		return false
	}
	v, err := strconv.Atoi(r.rest[:n])
	if verb == 'N' {
		for r.nanos = v; n < 9; n++ {
			r.nanos *= 10
		}
		n = digits(r.rest, 0)
	}
	r.parts[verb] = v
	r.rest = r.rest[n:]
	return err == nil
}

func (r *dateReader) zone() bool {
	n := strings.IndexFunc(r.rest, func(c rune) bool { return !strings.ContainsRune("+-:0123456789Zz", c) })
	if n < 0 {
		n = len(r.rest)
	}
	var err error
	r.offset, err = offsetOf(StringOf(r.rest[:n]))
	r.rest = r.rest[n:]
	return n > 0 && err == nil
}

// mongoDate is mongo_date([time[, unit]]) in MongoDB's extended JSON.
func mongoDate(e *env, args []Value) (Value, error) {
	ms := e.now().UnixMilli()
	if len(args) > 0 {
		n, err := whole(args, 0)
		if err != nil {
			return Value{}, err
		}
		unit, err := unitOf(word(args, 1, "millisecond"))
		if err != nil {
			return Value{}, err
		}
		ms = toTime(n, unit).UnixMilli()
	}
	m := &Map{}
	m.Set("$date", IntOf(ms))
	return ObjectOf(m), nil
}
