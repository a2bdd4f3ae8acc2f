//go:build unix

package pgsql

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/rdb/rdbtest"
)

// TestPostgreSQL against the real server.
func TestPostgreSQL(t *testing.T) {
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bins) == 0 {
		t.Fatal("PostgreSQL is not installed: apt-get install postgresql")
	}
	bin := bins[len(bins)-1]
	s := rdbtest.New(t, "postgres", func(s *rdbtest.Server) []string {
		return []string{filepath.Join(bin, "postgres"), "-D", filepath.Join(s.Dir, "data"), "-p", s.Port, "-k", s.Dir, "-c", "listen_addresses=127.0.0.1"}
	})
	if out, err := rdbtest.Command("postgres", filepath.Join(bin, "initdb"), "-D", filepath.Join(s.Dir, "data"), "-U", "postgres", "-A", "trust").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.Start("postgres")
	address := "postgres://postgres@127.0.0.1:" + s.Port + "/postgres"
	query := func(text string, to ...any) error {
		conn, err := pgx.Connect(t.Context(), address)
		if err != nil {
			return err
		}
		defer conn.Close(t.Context())
		if len(to) == 0 {
			_, err = conn.Exec(t.Context(), text)
			return err
		}
		return conn.QueryRow(t.Context(), text).Scan(to...)
	}
	rdbtest.Eventually(t, "the table is made", func() error { return query("CREATE TABLE r(id int PRIMARY KEY, t float8, o text)") })
	d, err := Open(params.New(map[string]any{"server": "127.0.0.1:" + s.Port, "database": "postgres", "sslmode": "disable"}))
	if err != nil {
		t.Fatal(err)
	}
	rdbtest.Run(t, d, func() string {
		var n int
		var sum float64
		var o string
		rdbtest.Eventually(t, "the table is read", func() error { return query("SELECT count(*), sum(t), max(o) FROM r", &n, &sum, &o) })
		return fmt.Sprint(n, " ", sum, " ", o)
	}, func() { s.Kill(); s.Start("postgres") })
}
