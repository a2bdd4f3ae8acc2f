// Package redis brings rows to Redis and Valkey: resource redis, action
// data_to_redis. A batch is one pipeline.
package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	client "github.com/redis/go-redis/v9"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/template"
)

// Database is a Redis server.
type Database struct {
	sink.Actions[[]*template.Template]                // the words of the command
	db                                 *client.Client // immutable
}

var _ sink.Resource = (*Database)(nil)

// Open reads the resource's configuration. It does not connect.
func Open(p *params.Params) (sink.Resource, error) {
	o := &client.Options{
		Addr: p.String("server", "127.0.0.1:6379"), DB: p.Int("database", 0, 0, 1<<16), Username: p.String("username", ""), Password: p.String("password", ""),
		DialTimeout: p.Duration("connect_timeout", 5*time.Second), MaxRetries: -1, PoolSize: 2, // the worker tries again itself
	}
	secure, err := sink.TLS(p)
	if err != nil {
		p.Fault("cacertfile", err)
	}
	if p.Bool("ssl", false) {
		o.TLSConfig = secure
		if o.TLSConfig.ServerName == "" {
			o.TLSConfig.ServerName, _, _ = net.SplitHostPort(o.Addr)
		}
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	return &Database{db: client.NewClient(o)}, nil
}

// Bind implements sink.Resource. cmd is a command as redis-cli takes it.
func (d *Database) Bind(action string, p *params.Params) error {
	words, err := split(p.Required("cmd"))
	if err != nil {
		p.Fault("cmd", err)
	}
	var ts []*template.Template
	for _, w := range words {
		t, err := template.Parse(w)
		if err != nil {
			p.Fault("cmd", err)
			continue
		}
		ts = append(ts, t)
	}
	if err := p.Err(); err != nil {
		return err
	}
	d.Set(action, ts)
	return nil
}

// split parts a command at its blanks; quotes of either kind keep a word together, and
// so does ${...}.
func split(s string) (words []string, err error) {
	var word strings.Builder
	quote, open, any := byte(0), false, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && !open && (c == '"' || c == '\''):
			quote, any = c, true
		case quote == 0 && !open && (c == ' ' || c == '\t' || c == '\n'):
			if any {
				words = append(words, word.String())
			}
			word.Reset()
			any = false
		default:
			open = open && c != '}' || c == '{' && i > 0 && s[i-1] == '$'
			word.WriteByte(c)
			any = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the closing %c is missing", quote)
	}
	if any {
		words = append(words, word.String())
	}
	return words, nil
}

// Write implements sink.Driver.
func (d *Database) Write(ctx context.Context, items []sink.Item) error {
	bad := map[int]error{}
	pipe := d.db.Pipeline()
	var at []int
	for i, it := range items {
		words, row, err := d.Of(it)
		if err != nil {
			bad[i] = err
			continue
		}
		args := make([]any, len(words))
		for k, w := range words {
			args[k] = w.Text(row)
		}
		pipe.Do(ctx, args...)
		at = append(at, i)
	}
	if len(at) == 0 {
		return sink.Refused(bad)
	}
	cmds, err := pipe.Exec(ctx)
	if err != nil && len(cmds) != len(at) {
		return fmt.Errorf("redis: %w", err)
	}
	for k, c := range cmds {
		switch err := c.Err(); {
		case err == nil || errors.Is(err, client.Nil):
		case refuses(err):
			bad[at[k]] = err
		default:
			return fmt.Errorf("redis: %w", err)
		}
	}
	return sink.Refused(bad)
}

// refuses tells whether the server has answered that it does not take the command,
// and not that it takes none at the moment.
func refuses(err error) bool {
	var re client.Error
	if !errors.As(err, &re) {
		return false
	}
	for _, word := range []string{"LOADING", "READONLY", "OOM", "MISCONF", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "BUSY", "NOAUTH", "NOPERM", "NOREPLICAS", "UNKILLABLE", "ERR max"} {
		if strings.HasPrefix(err.Error(), word) {
			return false
		}
	}
	return true
}

// Check implements sink.Driver.
func (d *Database) Check(ctx context.Context) error {
	if err := d.db.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return nil
}

// Close implements sink.Driver.
func (d *Database) Close() error { return d.db.Close() }
