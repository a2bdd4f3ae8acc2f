// Package clickhouse brings rows to ClickHouse over HTTP: resource clickhouse, action
// data_to_clickhouse. The rows of a table in a batch are one INSERT in JSONEachRow.
package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/template"
)

// Database is a ClickHouse server.
type Database struct {
	sink.Actions[insert]

	// Immutable.
	base   *url.URL
	header http.Header
	client *http.Client
}

var _ sink.Resource = (*Database)(nil)

// insert is what an action does with a row.
type insert struct {
	table string
	row   *template.Template // a JSON object; empty: all fields
}

var tableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$`)

// Open reads the resource's configuration. It does not connect.
func Open(p *params.Params) (sink.Resource, error) {
	base, err := url.Parse(p.Required("url"))
	if err != nil || base.Host == "" {
		p.Fault("url", errors.New("an address like http://127.0.0.1:8123 is wanted"))
		return nil, p.Err()
	}
	d := &Database{base: base, header: http.Header{}, client: &http.Client{Timeout: p.Duration("request_timeout", 10*time.Second)}}
	d.header.Set("X-ClickHouse-Database", p.String("database", "default"))
	if user := p.String("user", ""); user != "" {
		d.header.Set("X-ClickHouse-User", user)
		d.header.Set("X-ClickHouse-Key", p.String("password", ""))
	}
	return d, p.Err()
}

// Bind implements sink.Resource.
func (d *Database) Bind(action string, p *params.Params) error {
	in := insert{table: p.Required("table"), row: p.Template("row", "")}
	if in.table != "" && !tableForm.MatchString(in.table) {
		p.Fault("table", fmt.Errorf("%q is not a name like readings or db.readings", in.table))
	}
	if err := p.Err(); err != nil {
		return err
	}
	d.Set(action, in)
	return nil
}

// Write implements sink.Driver: each table's rows together, and one by one if the
// server refuses one of them.
func (d *Database) Write(ctx context.Context, items []sink.Item) error {
	bad := map[int]error{}
	rows, at := map[string][][]byte{}, map[string][]int{}
	var tables []string
	for i, it := range items {
		in, row, err := d.Of(it)
		if err != nil {
			bad[i] = err
			continue
		}
		var text []byte
		if in.row.Constant() && in.row.Text(row) == "" {
			text = row.AppendJSON(nil)
		} else {
			text = in.row.Append(nil, row)
		}
		if !slices.Contains(tables, in.table) {
			tables = append(tables, in.table)
		}
		rows[in.table], at[in.table] = append(rows[in.table], append(text, '\n')), append(at[in.table], i)
	}
	for _, table := range tables {
		if err := d.insert(ctx, table, rows[table], func(k int, why error) { bad[at[table][k]] = why }); err != nil {
			return err
		}
	}
	return sink.Refused(bad)
}

// insert brings the rows of a table; refused hears of those that the server does not
// take.
func (d *Database) insert(ctx context.Context, table string, rows [][]byte, refused func(k int, why error)) error {
	var no *sink.Refusal
	err := d.post(ctx, table, bytes.Join(rows, nil))
	if err == nil || !errors.As(err, &no) {
		return err
	}
	for k := range rows {
		if one := d.post(ctx, table, rows[k]); errors.As(one, &no) {
			refused(k, one)
		} else if one != nil {
			return one
		}
	}
	return nil
}

// refusals are ClickHouse's numbers of errors about what was sent.
var refusals = []string{"6", "26", "27", "32", "33", "38", "41", "53", "60", "62", "69", "70", "72", "117", "130", "131", "349"}

func (d *Database) post(ctx context.Context, table string, rows []byte) error {
	u := *d.base
	q := u.Query()
	q.Set("query", "INSERT INTO "+table+" FORMAT JSONEachRow")
	u.RawQuery = q.Encode()
	req, err := http.NewRequest(http.MethodPost, u.String(), bytes.NewReader(rows))
	if err != nil {
		return err
	}
	req.Header = d.header.Clone()
	return sink.Send(ctx, d.client, req, func(status int, h http.Header) bool {
		code := h.Get("X-ClickHouse-Exception-Code")
		return code == "" && status == http.StatusBadRequest || slices.Contains(refusals, code)
	})
}

// Check implements sink.Driver.
func (d *Database) Check(ctx context.Context) error {
	req, err := http.NewRequest(http.MethodGet, d.base.JoinPath("/ping").String(), nil)
	if err != nil {
		return err
	}
	return sink.Send(ctx, d.client, req, func(int, http.Header) bool { return false })
}

// Close implements sink.Driver.
func (d *Database) Close() error {
	d.client.CloseIdleConnections()
	return nil
}
