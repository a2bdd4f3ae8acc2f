//go:build unix

package mysql

import (
	"database/sql"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/rdb/rdbtest"
)

// TestMariaDB against the real server.
func TestMariaDB(t *testing.T) {
	server, err := exec.LookPath("mariadbd")
	if err != nil {
		t.Fatalf("MariaDB is not installed: apt-get install mariadb-server: %v", err)
	}
	s := rdbtest.New(t, "mysql", func(s *rdbtest.Server) []string {
		return []string{server, "--no-defaults", "--datadir=" + filepath.Join(s.Dir, "data"), "--port=" + s.Port, "--bind-address=127.0.0.1",
			"--socket=" + filepath.Join(s.Dir, "s"), "--pid-file=" + filepath.Join(s.Dir, "pid"), "--skip-grant-tables", "--skip-networking=0", "--innodb-buffer-pool-size=16M"}
	})
	install := rdbtest.Command("mysql", "mariadb-install-db", "--no-defaults", "--datadir="+filepath.Join(s.Dir, "data"), "--skip-test-db", "--auth-root-authentication-method=normal")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	s.Start("mysql")
	db, err := sql.Open("mysql", "root@tcp(127.0.0.1:"+s.Port+")/")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rdbtest.Eventually(t, "the table is made", func() error {
		if _, err := db.Exec("CREATE DATABASE IF NOT EXISTS d"); err != nil {
			return err
		}
		_, err := db.Exec("CREATE TABLE d.r(id int PRIMARY KEY, t double, o text)")
		return err
	})
	d, err := Open(params.New(map[string]any{"server": "127.0.0.1:" + s.Port, "database": "d"}))
	if err != nil {
		t.Fatal(err)
	}
	rdbtest.Run(t, d, func() string {
		var n int
		var sum float64
		var o string
		rdbtest.Eventually(t, "the table is read", func() error {
			return db.QueryRow("SELECT count(*), sum(t), max(o) FROM d.r").Scan(&n, &sum, &o)
		})
		return fmt.Sprint(n, " ", sum, " ", o)
	}, func() { s.Kill(); s.Start("mysql") })
}
