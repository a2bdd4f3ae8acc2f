// Package action makes the actions of rules (emqx4 §7.4): republish, inspect,
// do_nothing, and those that put a row in the queue of a resource. It owns their
// names and parameters. It refuses to know how a resource is reached.
package action

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/rules"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/template"
	"github.com/dunlinmq/dunlin/pluginsdk/topic"
)

// Resources knows the resources that actions name with $resource.
type Resources interface {
	// Bind ties an action to a resource of the type. name is the rule and the
	// action; the error says what is wrong.
	Bind(resource, kind, name string, p *params.Params) error
}

// Services are what actions need.
type Services struct {
	Resources Resources
	Inspect   func(rule, action string, row *sql.Map) // inspect: prints
}

// sinks are the actions that put rows in a queue, and the type of their
// resource.
var sinks = map[string]string{
	"data_to_webserver": "web_hook", "data_to_pgsql": "pgsql", "data_to_mysql": "mysql", "data_to_redis": "redis",
	"data_to_kafka": "kafka", "data_to_influxdb": "influxdb", "data_to_clickhouse": "clickhouse", "data_to_file": "file",
	mqttAction: "bridge_mqtt",
}

// mqttAction is the action whose messages may have the topic of the event.
const mqttAction = "data_to_mqtt_broker"

// Names are the actions there are.
func Names() []string {
	names := []string{"republish", "inspect", "do_nothing"}
	for name := range sinks {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Kind is the resource type of an action, "" for one without a resource.
func Kind(name string) string { return sinks[name] }

// Builder makes actions; it is a rules.Builder.
func (s *Services) Builder(rule string, spec *rules.ActionSpec) (rules.Action, error) {
	p := params.New(spec.Params)
	switch spec.Name {
	case "republish":
		return republish(rule, p)
	case "inspect":
		return &inspect{s.Inspect, rule, spec.ID}, p.Err()
	case "do_nothing":
		return nothing{}, p.Err()
	}
	kind, ok := sinks[spec.Name]
	if !ok {
		return nil, fmt.Errorf("there is no action %q; there are %s", spec.Name, strings.Join(Names(), ", "))
	}
	q := &queued{resource: p.Required("$resource"), name: rule + "/" + spec.ID, topic: spec.Name == mqttAction}
	if q.resource == "" {
		return nil, p.Err()
	}
	return q, s.Resources.Bind(q.resource, kind, q.name, p)
}

// queued puts the row in the queue of a resource.
type queued struct {
	resource, name string
	topic          bool // the row has the event's topic, if it has none
}

func (q *queued) Do(tx *rules.Tx, row *sql.Map) error {
	if column := sql.ColTopic.String(); q.topic && !row.Has(column) {
		row = row.Clone()
		row.Set(column, tx.Event.Column(sql.ColTopic))
	}
	return tx.Queue(q.resource, q.name, row)
}

type nothing struct{}

func (nothing) Do(*rules.Tx, *sql.Map) error { return nil }

type inspect struct {
	print        func(rule, action string, row *sql.Map)
	rule, action string
}

func (i *inspect) Do(_ *rules.Tx, row *sql.Map) error {
	i.print(i.rule, i.action, row)
	return nil
}

// repub publishes the row as a message.
type repub struct {
	rule    string
	topic   *template.Template
	payload *template.Template
	qos     *template.Template // constant 0, 1, 2, or -1: the message's own
	retain  *template.Template
}

func republish(rule string, p *params.Params) (rules.Action, error) {
	r := &repub{
		rule: rule, topic: p.Template("target_topic", "repub/to/${clientid}"), payload: p.Template("payload_tmpl", "${payload}"),
		qos: p.Template("target_qos", "0"), retain: p.Template("target_retain", "false"),
	}
	if r.topic.Constant() {
		if err := topic.ValidateName(r.topic.Text(nil)); err != nil {
			p.Fault("target_topic", err)
		}
	}
	if r.qos.Constant() {
		if _, err := r.level(nil, nil); err != nil {
			p.Fault("target_qos", err)
		}
	}
	return r, p.Err()
}

var errQoS = errors.New("0, 1, 2, -1 (the message's own) or a template like ${qos} is wanted")

// level is the QoS to publish with.
func (r *repub) level(tx *rules.Tx, row *sql.Map) (byte, error) {
	switch r.qos.Text(row) {
	case "0":
		return 0, nil
	case "1":
		return 1, nil
	case "2":
		return 2, nil
	case "-1":
		if tx == nil {
			return 0, nil
		}
		return byte(tx.Event.Column(sql.ColQoS).Int()) & 3, nil
	}
	return 0, errQoS
}

func (r *repub) Do(tx *rules.Tx, row *sql.Map) error {
	qos, err := r.level(tx, row)
	if err != nil {
		return err
	}
	name := r.topic.Text(row)
	if err := topic.ValidateName(name); err != nil {
		return fmt.Errorf("target_topic: %w", err)
	}
	retain := r.retain.Text(row)
	start := len(tx.Bytes)
	tx.Bytes = r.payload.Append(tx.Bytes, row)
	end := len(tx.Bytes)
	return tx.Publish(rules.Message{
		Topic: name, Payload: tx.Bytes[start:end:end], QoS: qos, Retain: retain == "true" || retain == "1", Rule: r.rule,
	})
}
