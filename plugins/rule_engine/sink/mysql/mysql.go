// Package mysql brings rows to MySQL and MariaDB: resource mysql, action
// data_to_mysql. A batch is one transaction.
package mysql

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/rdb"
)

// Database is a MySQL or MariaDB server.
type Database struct {
	sink.Actions[rdb.Statement]
	db *sql.DB // immutable
}

var _ sink.Resource = (*Database)(nil)

// Open reads the resource's configuration. It does not connect.
func Open(p *params.Params) (sink.Resource, error) {
	cfg := driver.NewConfig()
	cfg.Net, cfg.Addr = "tcp", p.String("server", "127.0.0.1:3306")
	cfg.User, cfg.Passwd, cfg.DBName = p.String("user", "root"), p.String("password", ""), p.Required("database")
	cfg.Timeout = p.Duration("connect_timeout", 5*time.Second)
	cfg.InterpolateParams = true // one round trip a statement
	cfg.Logger = &driver.NopLogger{}
	if ca := p.String("cacertfile", ""); p.Bool("ssl", ca != "") {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		if ca != "" {
			pem, err := os.ReadFile(ca)
			if err != nil {
				p.Fault("cacertfile", err)
			}
			cfg.TLS.RootCAs = x509.NewCertPool()
			cfg.TLS.RootCAs.AppendCertsFromPEM(pem)
		}
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	c, err := driver.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("mysql: %w", err)
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(2) // the worker's and a check's
	return &Database{db: db}, nil
}

// Bind implements sink.Resource.
func (d *Database) Bind(action string, p *params.Params) error {
	s, err := rdb.Read(p, func(int) string { return "?" })
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
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("mysql: %w", err)
	}
	for _, q := range qs {
		if _, err := tx.ExecContext(ctx, q.Text, q.Args...); err != nil {
			_ = tx.Rollback() // the error that counts is the statement's
			return fmt.Errorf("mysql: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("mysql: %w", err)
	}
	return nil
}

// refused are the numbers of errors about a value that have no state of their own.
var refused = []uint16{1366, 1292, 1364, 3140, 3819, 4025}

// Refuses implements rdb.Database: errors of data, of constraints, and of statements.
func (d *Database) Refuses(err error) bool {
	var me *driver.MySQLError
	if !errors.As(err, &me) {
		return false
	}
	switch class := string(me.SQLState[:2]); class {
	case "21", "22", "23":
		return true
	case "42":
		return me.Number != 1142 && me.Number != 1143 && me.Number != 1044 // missing rights
	}
	return slices.Contains(refused, me.Number)
}

// Check implements sink.Driver.
func (d *Database) Check(ctx context.Context) error {
	if err := d.db.PingContext(ctx); err != nil {
		return fmt.Errorf("mysql: %w", err)
	}
	return nil
}

// Close implements sink.Driver.
func (d *Database) Close() error { return d.db.Close() }
