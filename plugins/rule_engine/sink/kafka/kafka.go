// Package kafka brings rows to Kafka: resource kafka, action data_to_kafka. A batch is
// done when all replicas that are in sync have it. The producer is not idempotent:
// such a one cannot give a record up while the cluster is away, and the worker could
// not stop; rows may come twice anyway.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/template"
)

// Cluster is a Kafka cluster.
type Cluster struct {
	sink.Actions[message]
	client *kgo.Client // immutable
}

// message is what an action makes of a row.
type message struct {
	topic, key, payload *template.Template
}

var _ sink.Resource = (*Cluster)(nil)

// Open reads the resource's configuration. It does not connect.
func Open(p *params.Params) (sink.Resource, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(strings.Split(p.Required("servers"), ",")...), kgo.ClientID("dunlin"), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(3),
		kgo.DisableIdempotentWrite()}
	secure, err := sink.TLS(p)
	if err != nil {
		p.Fault("cacertfile", err)
	}
	if p.Bool("ssl", false) {
		opts = append(opts, kgo.DialTLSConfig(secure))
	}
	if login := login(p); login != nil {
		opts = append(opts, kgo.SASL(login))
	}
	codecs := map[string]kgo.CompressionCodec{"snappy": kgo.SnappyCompression(), "gzip": kgo.GzipCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(), "none": kgo.NoCompression()}
	opts = append(opts, kgo.ProducerBatchCompression(codecs[p.OneOf("compression", "none", "gzip", "lz4", "snappy", "zstd")]))
	if err := p.Err(); err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return &Cluster{client: client}, nil
}

// login is how to log in; nil: not at all.
func login(p *params.Params) sasl.Mechanism {
	user, password := p.String("username", ""), p.String("password", "")
	how := p.OneOf("mechanism", "plain", "scram_sha_256", "scram_sha_512")
	if user == "" {
		return nil
	}
	switch how {
	case "scram_sha_256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism()
	case "scram_sha_512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism()
	}
	return plain.Auth{User: user, Pass: password}.AsMechanism()
}

// Bind implements sink.Resource.
func (c *Cluster) Bind(action string, p *params.Params) error {
	p.Required("topic")
	m := message{topic: p.Template("topic", ""), key: p.Template("key", ""), payload: p.Template("payload_tmpl", "")}
	if err := p.Err(); err != nil {
		return err
	}
	c.Set(action, m)
	return nil
}

// Write implements sink.Driver.
func (c *Cluster) Write(ctx context.Context, items []sink.Item) error {
	bad := map[int]error{}
	var rs []*kgo.Record
	at := map[*kgo.Record]int{}
	for i, it := range items {
		m, row, err := c.Of(it)
		if err != nil {
			bad[i] = err
			continue
		}
		r := &kgo.Record{Topic: m.topic.Text(row)}
		if key := m.key.Text(row); key != "" {
			r.Key = []byte(key)
		}
		if r.Value = m.payload.Append(nil, row); len(r.Value) == 0 {
			r.Value = row.AppendJSON(nil)
		}
		rs = append(rs, r)
		at[r] = i
	}
	for _, result := range c.client.ProduceSync(ctx, rs...) {
		switch err := result.Err; {
		case err == nil:
		case refuses(err):
			bad[at[result.Record]] = err
		default:
			return fmt.Errorf("kafka: %w", err)
		}
	}
	return sink.Refused(bad)
}

// refuses tells whether an error is about the record.
func refuses(err error) bool {
	for _, e := range []error{kerr.MessageTooLarge, kerr.InvalidRecord, kerr.InvalidTopicException, kerr.RecordListTooLarge, kerr.InvalidTimestamp} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Check implements sink.Driver.
func (c *Cluster) Check(ctx context.Context) error {
	if err := c.client.Ping(ctx); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	return nil
}

// Close implements sink.Driver.
func (c *Cluster) Close() error {
	c.client.Close()
	return nil
}
