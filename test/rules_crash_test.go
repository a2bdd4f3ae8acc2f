//go:build unix

package test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/rdb/rdbtest"
)

// store is where the rows of rules go, and how it is ended as by a power cut.
type store struct {
	resource string // TOML
	action   string // TOML
	ready    func() error
	cut      func()              // ends it
	back     func()              // starts it again
	has      func() (int, error) // distinct rows
}

// postgres is a PostgreSQL with the table r.
func postgres(t *testing.T) *store {
	t.Helper()
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bins) == 0 {
		t.Fatal("PostgreSQL is not installed: apt-get install postgresql")
	}
	bin := bins[len(bins)-1]
	s := rdbtest.New(t, "postgres", func(s *rdbtest.Server) []string {
		return []string{filepath.Join(bin, "postgres"), "-D", filepath.Join(s.Dir, "data"), "-p", s.Port, "-k", s.Dir, "-c", "listen_addresses=127.0.0.1"}
	})
	if out, err := rdbtest.Command("postgres", filepath.Join(bin, "initdb"), "-N", "-D", filepath.Join(s.Dir, "data"), "-U", "postgres", "-A", "trust").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.Start("postgres")
	query := func(text string, to ...any) error {
		conn, err := pgx.Connect(t.Context(), "postgres://postgres@127.0.0.1:"+s.Port+"/postgres")
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
	return &store{
		resource: fmt.Sprintf("type = \"pgsql\"\nconfig = { server = \"127.0.0.1:%s\", database = \"postgres\", username = \"postgres\", sslmode = \"disable\", retry_max = \"300ms\" }", s.Port),
		action:   `name = "data_to_pgsql"` + "\n" + `params = { "$resource" = "%s", sql = "INSERT INTO r(n) VALUES (${n}) ON CONFLICT DO NOTHING" }`,
		ready:    func() error { return query("CREATE TABLE r(n int PRIMARY KEY)") },
		cut:      s.Kill, back: func() { s.Start("postgres") },
		has: func() (n int, err error) { err = query("SELECT count(*) FROM r", &n); return n, err },
	}
}

// mariadb is a MariaDB with the table d.r.
func mariadb(t *testing.T) *store {
	t.Helper()
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
	t.Cleanup(func() { _ = db.Close() })
	return &store{
		resource: fmt.Sprintf("type = \"mysql\"\nconfig = { server = \"127.0.0.1:%s\", database = \"d\", retry_max = \"300ms\" }", s.Port),
		action:   `name = "data_to_mysql"` + "\n" + `params = { "$resource" = "%s", sql = "INSERT IGNORE INTO r(n) VALUES (${n})" }`,
		ready: func() error {
			if _, err := db.Exec("CREATE DATABASE IF NOT EXISTS d"); err != nil {
				return err
			}
			_, err := db.Exec("CREATE TABLE d.r(n int PRIMARY KEY)")
			return err
		},
		cut: s.Kill, back: func() { s.Start("mysql") },
		has: func() (n int, err error) {
			err = db.QueryRow("SELECT count(*) FROM d.r").Scan(&n)
			return n, err
		},
	}
}

// redisServer is a Redis that syncs each command.
func redisServer(t *testing.T) *store {
	t.Helper()
	server, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("Redis is not installed: apt-get install redis-server: %v", err)
	}
	s := rdbtest.New(t, "redis", func(s *rdbtest.Server) []string {
		return []string{server, "--port", s.Port, "--bind", "127.0.0.1", "--dir", s.Dir, "--appendonly", "yes", "--appendfsync", "always", "--save", ""}
	})
	s.Start("redis")
	db := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + s.Port, MaxRetries: -1})
	t.Cleanup(func() { _ = db.Close() })
	return &store{
		resource: fmt.Sprintf("type = \"redis\"\nconfig = { server = \"127.0.0.1:%s\", retry_max = \"300ms\" }", s.Port),
		action:   `name = "data_to_redis"` + "\n" + `params = { "$resource" = "%s", cmd = "SADD rows ${n}" }`,
		ready:    func() error { return db.Ping(t.Context()).Err() },
		cut:      s.Kill, back: func() { s.Start("redis") },
		has: func() (int, error) {
			n, err := db.SCard(t.Context(), "rows").Result()
			return int(n), err
		},
	}
}

// kafkaCluster is kfake, which stops to take what is produced while it is cut off.
func kafkaCluster(t *testing.T) *store {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "rows"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	var off atomic.Bool
	fake.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		return nil, errors.New("cut off"), off.Load()
	})
	reader, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...), kgo.ConsumeTopics("rows"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	seen := map[string]bool{}
	return &store{
		resource: fmt.Sprintf("type = \"kafka\"\nconfig = { servers = \"%s\", retry_max = \"300ms\" }", strings.Join(fake.ListenAddrs(), ",")),
		action:   `name = "data_to_kafka"` + "\n" + `params = { "$resource" = "%s", topic = "rows", payload_tmpl = "${n}" }`,
		ready:    func() error { return nil },
		cut:      func() { off.Store(true) }, back: func() { off.Store(false) },
		has: func() (int, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) { seen[string(r.Value)] = true })
			return len(seen), nil
		},
	}
}

// otherBroker is a second node, with a client that comes for what it has missed.
func otherBroker(t *testing.T) *store {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b := start(t, setup{config: "[mqtt]\nmax_mqueue_len = 0\n", listeners: fmt.Sprintf("[listener.tcp.external]\nbind = %q\n", address)})
	c := b.dial(v5)
	c.resume("rows")
	c.subscribe("from/#", 1)
	c.close()
	seen := map[string]bool{}
	return &store{
		resource: fmt.Sprintf("type = \"bridge_mqtt\"\nconfig = { address = %q, proto_ver = \"mqttv5\", mountpoint = \"from/\", retry_max = \"300ms\" }", address),
		action:   `name = "data_to_mqtt_broker"` + "\n" + `params = { "$resource" = "%s", payload_tmpl = "${n}" }`,
		ready:    func() error { return nil },
		cut:      b.kill, back: b.run,
		has: func() (int, error) {
			c := b.dial(v5)
			defer c.close()
			c.resume("rows")
			for _, p := range c.ping() {
				if p.Topic != "from/in/x" {
					t.Errorf("it came on %s", p.Topic)
				}
				seen[string(p.Payload)] = true
			}
			return len(seen), nil
		},
	}
}

// TestRulesLoseNothing: while messages come, each store that rules bring rows to, the
// plugin and the broker are killed in turn. What a publisher was told is taken is in
// every store in the end.
func TestRulesLoseNothing(t *testing.T) {
	t.Parallel()
	stores := map[string]*store{"pg": postgres(t), "my": mariadb(t), "re": redisServer(t), "ka": kafkaCluster(t), "mq": otherBroker(t)}
	order := []string{"pg", "my", "re", "ka", "mq"}
	var rules strings.Builder
	rules.WriteString("[rule.all]\nsql = 'SELECT payload.n as n FROM \"in/#\"'\n")
	for _, id := range order {
		rdbtest.Eventually(t, id+" is ready", stores[id].ready)
		fmt.Fprintf(&rules, "[[rule.all.action]]\n"+stores[id].action+"\n", id)
	}
	for _, id := range order {
		fmt.Fprintf(&rules, "[resource.%s]\n%s\n", id, stores[id].resource)
	}
	b := start(t, ruleFiles(t, map[string]string{"all.toml": rules.String()}))
	n := 0
	publish := func(count int) {
		c := b.dial(v5)
		defer c.close()
		c.connect("publisher")
		for range count {
			c.publishSync(&packet.Publish{Topic: "in/x", Payload: fmt.Appendf(nil, `{"n": %d}`, n), QoS: byte(1 + n%2)})
			n++
		}
	}
	const each = 25
	for _, id := range order {
		s := stores[id]
		publish(each)
		s.cut()
		publish(each)
		b.killPlugin()
		publish(each)
		b.kill()
		b.run()
		publish(each)
		s.back()
	}
	for _, id := range order {
		rdbtest.Eventually(t, id+" has all rows", func() error {
			got, err := stores[id].has()
			if err == nil && got != n {
				err = fmt.Errorf("%d of %d", got, n)
			}
			return err
		})
	}
}
