package kafka

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
)

// TestKafka against kfake, which is a cluster in this process: topics, keys and
// payloads as actions want them, a record that the cluster refuses alone, a cluster
// that is not there.
func TestKafka(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "rows", "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	servers := strings.Join(fake.ListenAddrs(), ",")
	c, err := Open(params.New(map[string]any{"servers": servers}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := errors.Join(c.Check(t.Context()), c.Bind("all", params.New(map[string]any{"topic": "rows", "key": "${a}"})),
		c.Bind("some", params.New(map[string]any{"topic": "${to}", "payload_tmpl": "a=${a}"}))); err != nil {
		t.Fatal(err)
	}
	var bad *sink.Bad
	err = c.Write(t.Context(), []sink.Item{{Action: "all", Row: []byte(`{"a":1}`)}, {Action: "some", Row: []byte(`{"a":2,"to":"other"}`)}, {Action: "gone", Row: []byte(`{}`)}})
	if !errors.As(err, &bad) || len(bad.Items) != 1 || !errors.Is(bad.Items[2], sink.ErrUnbound) {
		t.Fatalf("refused: %v", err)
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...), kgo.ConsumeTopics("rows", "other"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	got := map[string]string{}
	for len(got) < 2 && ctx.Err() == nil {
		reader.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got[r.Topic] = string(r.Key) + " " + string(r.Value) })
	}
	if got["rows"] != `1 {"a":1}` || got["other"] != " a=2" {
		t.Errorf("the cluster has %q", got)
	}
	fake.Close()
	short, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer stop()
	if err := c.Write(short, []sink.Item{{Action: "all", Row: []byte(`{"a":1}`)}}); err == nil || errors.As(err, &bad) {
		t.Errorf("down: %v", err)
	}
}

// TestLogin: each way to log in is one that a cluster takes, and a wrong password is
// no login.
func TestLogin(t *testing.T) {
	for mechanism, name := range map[string]string{"plain": "PLAIN", "scram_sha_256": "SCRAM-SHA-256", "scram_sha_512": "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "rows"), kfake.EnableSASL(), kfake.Superuser(name, "rules", "secret"))
			if err != nil {
				t.Fatal(err)
			}
			defer fake.Close()
			for password, ok := range map[string]bool{"secret": true, "wrong": false} {
				c, err := Open(params.New(map[string]any{"servers": strings.Join(fake.ListenAddrs(), ","), "mechanism": mechanism, "username": "rules", "password": password}))
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Bind("a", params.New(map[string]any{"topic": "rows"})); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), map[bool]time.Duration{true: 30 * time.Second, false: time.Second}[ok])
				err = c.Write(ctx, []sink.Item{{Action: "a", Row: []byte(`{"a":1}`)}})
				cancel()
				if ok != (err == nil) {
					t.Errorf("password %s: %v", password, err)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, config := range []map[string]any{{"servers": "a:1", "mechanism": "gssapi"}, {"servers": "a:1", "cacertfile": "/nothing"}} {
		if _, err := Open(params.New(config)); err == nil {
			t.Errorf("%v was taken", config)
		}
	}
}
