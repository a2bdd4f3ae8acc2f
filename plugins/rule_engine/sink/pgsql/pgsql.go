// Package pgsql brings rows to PostgreSQL: resource pgsql, action data_to_pgsql. A
// batch is one pipeline and one transaction.
package pgsql

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/rdb"
)

// Database is a PostgreSQL server.
type Database struct {
	sink.Actions[rdb.Statement]
	cfg *pgx.ConnConfig // immutable

	conn *pgx.Conn // owned by Write; nil: not connected
}

var _ sink.Resource = (*Database)(nil)

// Open reads the resource's configuration. It does not connect.
func Open(p *params.Params) (sink.Resource, error) {
	server, mode := p.String("server", "127.0.0.1:5432"), p.OneOf("sslmode", "prefer", "disable", "require", "verify-ca", "verify-full")
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = server, "5432"
	}
	q := url.Values{"sslmode": {mode}, "application_name": {"dunlin"}}
	for key, name := range map[string]string{"cacertfile": "sslrootcert", "certfile": "sslcert", "keyfile": "sslkey"} {
		if v := p.String(key, ""); v != "" {
			q.Set(name, v)
		}
	}
	u := url.URL{Scheme: "postgres", Host: net.JoinHostPort(host, port), Path: "/" + p.Required("database"), RawQuery: q.Encode(),
		User: url.UserPassword(p.String("username", "postgres"), p.String("password", ""))}
	d := &Database{}
	if err := p.Err(); err != nil {
		return nil, err
	}
	if d.cfg, err = pgx.ParseConfig(u.String()); err != nil {
		return nil, errors.New("the settings do not make an address of a server") // the library's text has the password
	}
	d.cfg.ConnectTimeout = p.Duration("connect_timeout", d.cfg.ConnectTimeout)
	return d, p.Err()
}

// Bind implements sink.Resource.
func (d *Database) Bind(action string, p *params.Params) error {
	s, err := rdb.Read(p, func(n int) string { return "$" + strconv.Itoa(n) })
	if err == nil {
		d.Set(action, s)
	}
	return err
}

// Write implements sink.Driver.
func (d *Database) Write(ctx context.Context, items []sink.Item) error {
	return rdb.Write(ctx, d, &d.Actions, items)
}

// All implements rdb.Database.
func (d *Database) All(ctx context.Context, qs []rdb.Query) error {
	if d.conn == nil || d.conn.IsClosed() {
		conn, err := pgx.ConnectConfig(ctx, d.cfg)
		if err != nil {
			return fmt.Errorf("pgsql: %w", err)
		}
		d.conn = conn
	}
	b := &pgx.Batch{}
	for _, q := range qs {
		b.Queue(q.Text, q.Args...)
	}
	if err := d.conn.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("pgsql: %w", err)
	}
	return nil
}

// Refuses implements rdb.Database: errors of data, of constraints, and of statements.
func (d *Database) Refuses(err error) bool {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || len(pe.Code) < 2 {
		return false
	}
	return pe.Code[:2] == "22" || pe.Code[:2] == "23" || pe.Code[:2] == "42" && pe.Code != "42501" // which is a missing right
}

// Check implements sink.Driver.
func (d *Database) Check(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, d.cfg)
	if err != nil {
		return fmt.Errorf("pgsql: %w", err)
	}
	return errors.Join(conn.Ping(ctx), conn.Close(ctx))
}

// Close implements sink.Driver.
func (d *Database) Close() error {
	if d.conn == nil {
		return nil
	}
	return d.conn.Close(context.Background())
}
