//go:build unix

package redis

import (
	"errors"
	"os/exec"
	"slices"
	"testing"

	client "github.com/redis/go-redis/v9"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink/rdb/rdbtest"
)

func TestSplit(t *testing.T) {
	for text, want := range map[string][]string{
		`SET a b`: {"SET", "a", "b"}, ` HSET  k "a b" 'c"d' ""`: {"HSET", "k", "a b", `c"d`, ""}, `SET k:${a b} x${y}z`: {"SET", "k:${a b}", "x${y}z"}, ``: nil,
	} {
		if got, err := split(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	if _, err := split(`SET "a`); err == nil {
		t.Error("a quote may stay open")
	}
}

// TestRedis against the real server: commands in a pipeline, one that is refused
// alone, and a server that goes away and comes back.
func TestRedis(t *testing.T) {
	server, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("Redis is not installed: apt-get install redis-server: %v", err)
	}
	s := rdbtest.New(t, "redis", func(s *rdbtest.Server) []string {
		return []string{server, "--port", s.Port, "--bind", "127.0.0.1", "--dir", s.Dir, "--appendonly", "yes", "--appendfsync", "always", "--save", ""}
	})
	s.Start("redis")
	d, err := Open(params.New(map[string]any{"server": "127.0.0.1:" + s.Port}))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	rdbtest.Eventually(t, "the server answers", func() error { return d.Check(t.Context()) })
	bind := func(action, cmd string) {
		t.Helper()
		if err := d.Bind(action, params.New(map[string]any{"cmd": cmd})); err != nil {
			t.Fatal(err)
		}
	}
	bind("push", "RPUSH list:${k} ${v}")
	bind("set", `SET text "a ${v}"`)
	item := func(action, row string) sink.Item { return sink.Item{Action: action, Row: []byte(row)} }
	err = d.Write(t.Context(), []sink.Item{item("push", `{"k":1,"v":"a"}`), item("set", `{"v":"b c"}`), item("gone", `{}`), item("push", `{"k":1,"v":"d"}`)})
	var bad *sink.Bad
	if !errors.As(err, &bad) || len(bad.Items) != 1 || !errors.Is(bad.Items[2], sink.ErrUnbound) {
		t.Fatalf("refused: %v", err)
	}
	bind("wrong", "RPUSH text ${v}")
	if err := d.Write(t.Context(), []sink.Item{item("wrong", `{"v":1}`), item("push", `{"k":1,"v":"e"}`)}); !errors.As(err, &bad) || len(bad.Items) != 1 || bad.Items[0] == nil {
		t.Fatalf("wrong type: %v", err)
	}
	s.Kill()
	rows := []sink.Item{item("push", `{"k":1,"v":"f"}`)}
	if err := d.Write(t.Context(), rows); err == nil || errors.As(err, &bad) {
		t.Errorf("down: %v", err)
	}
	s.Start("redis")
	rdbtest.Eventually(t, "it is written after a restart", func() error { return d.Write(t.Context(), rows) })
	c := client.NewClient(&client.Options{Addr: "127.0.0.1:" + s.Port})
	defer c.Close()
	if got, err := c.LRange(t.Context(), "list:1", 0, -1).Result(); err != nil || !slices.Equal(got, []string{"a", "d", "e", "f"}) {
		t.Errorf("the list is %q, %v", got, err)
	}
	if got, err := c.Get(t.Context(), "text").Result(); err != nil || got != "a b c" {
		t.Errorf("the text is %q, %v", got, err)
	}
}
