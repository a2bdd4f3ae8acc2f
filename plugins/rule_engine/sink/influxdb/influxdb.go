// Package influxdb brings rows to InfluxDB 1 and 2 and to VictoriaMetrics by the line
// protocol: resource influxdb, action data_to_influxdb. A batch is one request.
package influxdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/template"
)

// Database is a server.
type Database struct {
	sink.Actions[*point]

	// Immutable.
	write, ping string
	header      http.Header
	client      *http.Client
}

var _ sink.Resource = (*Database)(nil)

// point is what an action makes of a row.
type point struct {
	measurement, at *template.Template
	tags            []tag
	fields          []field
}

type tag struct {
	name  string
	value *template.Template
}

// field is a value that keeps its type if it is one ${...} alone; whole says that a
// number is written as an integer (${n}i).
type field struct {
	name  string
	path  *template.Path     // nil: a text
	text  *template.Template // nil: a value
	whole bool
}

// Open reads the resource's configuration. It does not connect. With token it is
// InfluxDB 2 (org, bucket), else the interface of version 1 (database).
func Open(p *params.Params) (sink.Resource, error) {
	base, err := url.Parse(p.Required("url"))
	if err != nil || base.Host == "" {
		p.Fault("url", errors.New("an address like http://127.0.0.1:8086 is wanted"))
		return nil, p.Err()
	}
	d := &Database{header: http.Header{}, client: &http.Client{Timeout: p.Duration("request_timeout", 10*time.Second)}}
	q, path := url.Values{}, "/write"
	switch precision := p.OneOf("precision", "ns", "us", "ms", "s"); precision {
	case "ns":
	case "us":
		q.Set("precision", "u") // the word of version 1
		if p.String("token", "") != "" {
			q.Set("precision", "us")
		}
	default:
		q.Set("precision", precision)
	}
	if token := p.String("token", ""); token != "" {
		path = "/api/v2/write"
		q.Set("org", p.Required("org"))
		q.Set("bucket", p.Required("bucket"))
		d.header.Set("Authorization", "Token "+token)
	} else {
		q.Set("db", p.Required("database"))
		if user := p.String("username", ""); user != "" {
			q.Set("u", user)
			q.Set("p", p.String("password", ""))
		}
	}
	w := base.JoinPath(path)
	w.RawQuery = q.Encode()
	d.write, d.ping = w.String(), base.JoinPath("/ping").String()
	return d, p.Err()
}

// Bind implements sink.Resource.
func (d *Database) Bind(action string, p *params.Params) error {
	p.Required("measurement")
	pt := &point{measurement: p.Template("measurement", ""), at: p.Template("timestamp", "")}
	for name, text := range p.Texts("tags") {
		t, err := template.Parse(text)
		if err != nil {
			p.Fault("tags."+name, err)
			continue
		}
		pt.tags = append(pt.tags, tag{name, t})
	}
	for name, text := range p.Texts("fields") {
		f, err := parseField(name, text)
		if err != nil {
			p.Fault("fields."+name, err)
			continue
		}
		pt.fields = append(pt.fields, f)
	}
	if len(pt.fields) == 0 {
		p.Fault("fields", errors.New(`at least one is wanted, such as fields = { value = "${payload.t}" }`))
	}
	slices.SortFunc(pt.tags, func(a, b tag) int { return strings.Compare(a.name, b.name) })
	slices.SortFunc(pt.fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	if err := p.Err(); err != nil {
		return err
	}
	d.Set(action, pt)
	return nil
}

func parseField(name, text string) (field, error) {
	f := field{name: name}
	inner, ok := strings.CutPrefix(text, "${")
	inner, whole := strings.CutSuffix(inner, "}i")
	if !whole {
		inner, ok = strings.CutSuffix(inner, "}")
	}
	if ok && !strings.Contains(inner, "${") && strings.HasPrefix(text, "${") {
		path, err := template.ParsePath(inner)
		f.path, f.whole = path, whole
		return f, err
	}
	t, err := template.Parse(text)
	f.text = t
	return f, err
}

var (
	escapeName = strings.NewReplacer(",", `\,`, "=", `\=`, " ", `\ `, "\n", `\n`)
	escapeText = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
)

// line appends a row as a line; an error refuses it.
func (pt *point) line(dst []byte, row *sql.Map) ([]byte, error) {
	m := pt.measurement.Text(row)
	if m == "" {
		return dst, errors.New("the measurement is empty")
	}
	dst = append(dst, escapeName.Replace(m)...)
	for _, t := range pt.tags {
		if v := t.value.Text(row); v != "" && v != "undefined" {
			dst = append(append(append(append(dst, ','), escapeName.Replace(t.name)...), '='), escapeName.Replace(v)...)
		}
	}
	sep := byte(' ')
	for _, f := range pt.fields {
		v, ok := f.value(row)
		if !ok {
			continue
		}
		dst = append(append(append(append(dst, sep), escapeName.Replace(f.name)...), '='), v...)
		sep = ','
	}
	if sep == ' ' {
		return dst, errors.New("no field has a value")
	}
	if at := pt.at.Text(row); at != "" {
		if _, err := strconv.ParseInt(at, 10, 64); err != nil {
			return dst, fmt.Errorf("the timestamp %q is no whole number", at)
		}
		dst = append(append(dst, ' '), at...)
	}
	return append(dst, '\n'), nil
}

// value is the field's value as the protocol writes it. Numbers are floats, so that a
// column does not change its type with its first whole number.
func (f *field) value(row *sql.Map) (string, bool) {
	if f.path == nil {
		return `"` + escapeText.Replace(f.text.Text(row)) + `"`, true
	}
	switch v := f.path.Get(row); v.Kind() {
	case sql.Undefined, sql.Null:
		return "", false
	case sql.Int:
		if f.whole {
			return strconv.FormatInt(v.Int(), 10) + "i", true
		}
		return strconv.FormatInt(v.Int(), 10), true
	case sql.Float:
		if f.whole {
			return strconv.FormatInt(int64(v.Float()), 10) + "i", true
		}
		return strconv.FormatFloat(v.Float(), 'g', -1, 64), true
	case sql.Bool:
		return v.Text(), true
	case sql.Object, sql.Array:
		return `"` + escapeText.Replace(string(sql.AppendJSON(nil, v))) + `"`, true
	default:
		return `"` + escapeText.Replace(v.Text()) + `"`, true
	}
}

// Write implements sink.Driver: together, and one by one if the server refuses a
// point. Points have the same place however often they come.
func (d *Database) Write(ctx context.Context, items []sink.Item) error {
	bad := map[int]error{}
	var lines [][]byte
	var at []int
	for i, it := range items {
		pt, row, err := d.Of(it)
		var line []byte
		if err == nil {
			line, err = pt.line(nil, row)
		}
		if err != nil {
			bad[i] = err
			continue
		}
		lines, at = append(lines, line), append(at, i)
	}
	if len(lines) == 0 {
		return sink.Refused(bad)
	}
	var no *sink.Refusal
	err := d.post(ctx, bytes.Join(lines, nil))
	if err != nil && !errors.As(err, &no) {
		return err
	}
	for k := 0; err != nil && k < len(lines); k++ {
		if one := d.post(ctx, lines[k]); errors.As(one, &no) {
			bad[at[k]] = one
		} else if one != nil {
			return one
		}
	}
	return sink.Refused(bad)
}

func (d *Database) post(ctx context.Context, lines []byte) error {
	req, err := http.NewRequest(http.MethodPost, d.write, bytes.NewReader(lines))
	if err != nil {
		return err
	}
	req.Header = d.header.Clone()
	return sink.Send(ctx, d.client, req, func(status int, _ http.Header) bool { return status == 400 || status == 413 || status == 422 })
}

// Check implements sink.Driver.
func (d *Database) Check(ctx context.Context) error {
	req, err := http.NewRequest(http.MethodGet, d.ping, nil)
	if err != nil {
		return err
	}
	req.Header = d.header.Clone()
	return sink.Send(ctx, d.client, req, func(int, http.Header) bool { return false })
}

// Close implements sink.Driver.
func (d *Database) Close() error {
	d.client.CloseIdleConnections()
	return nil
}
