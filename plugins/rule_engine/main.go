//go:build !wasip1

// Package main is the rule_engine plugin: statements select from messages and
// events, and actions republish what they yield or bring it to servers and databases
// (emqx4 §7). It owns the process; the packages below it own all else.
package main

import (
	"errors"
	"sync"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/action"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/buffer"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/event"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/files"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/resource"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/rules"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Engine is the plugin.
type Engine struct {
	// Immutable once configured.
	cfg       config
	rules     *rules.Engine
	resources *resource.Set
	actions   *action.Services
	options   sql.Options

	// Owned by the handlers.
	batch   batch
	source  event.Source
	scratch rules.Scratch
	also    []sdk.Message

	disk struct { // opened by the first who needs it
		sync.Mutex
		buf *buffer.Buffer
		err error
	}

	mu sync.Mutex
	// Guarded by mu: the files and what they have made.
	folder  *files.Folder
	content *files.Content
	broken  map[string]string // of the rules and resources that are not right
	said    string            // what was last said to be wrong
}

var _ = sdk.Register(&Engine{})

func main() { sdk.Main() }

// Configure reads the settings and all rules. A rule that is not right is told and
// left out; only the settings can refuse the load.
func (e *Engine) Configure(text []byte) error {
	cfg, err := parse(text)
	if err != nil {
		return err
	}
	e.cfg = cfg
	e.resources = resource.New(resource.Config{Types: types, Hears: e})
	e.actions = &action.Services{Resources: e.resources, Inspect: inspect}
	e.options = sql.Options{Store: sql.NewStore(0)}
	e.rules = rules.NewEngine(e.options, e.actions.Builder, e.failed)
	e.batch.begin(e)
	e.folder, e.broken = files.Open(cfg.RulesDir), map[string]string{}
	if _, err := e.read(); err != nil {
		sdk.Log(sdk.Warn, "the rest of the rules work")
	}
	go e.watch()
	return nil
}

// watch reads the files when they have changed, and lets time pass for the speeds.
func (e *Engine) watch() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for now := range tick.C {
		e.rules.Tick(now)
		_, _ = e.read() // it tells what is wrong
		if len(e.resources.List()) > 0 {
			_, _ = e.open(0) // so that what is left from an earlier run is brought
		}
	}
}

// failed tells of a rule that failed on an event. The broker limits the lines.
func (e *Engine) failed(rule string, err error) {
	sdk.Log(sdk.Warn, "rule "+rule+": "+err.Error())
}

func inspect(rule, act string, row *sql.Map) {
	sdk.Log(sdk.Info, "inspect: rule "+rule+", action "+act+": "+string(row.AppendJSON(nil)))
}

// Dead implements resource.Hears: what will never arrive goes to the topic of the
// dead.
func (e *Engine) Dead(id string, it sinkItem, why error) {
	sdk.Log(sdk.Error, "resource "+id+", action "+it.Action+": a row is given up: "+why.Error())
	if e.cfg.DeadLetters == "" {
		return
	}
	m := &sql.Map{}
	m.Set("resource", sql.StringOf(id))
	m.Set("action", sql.StringOf(it.Action))
	m.Set("error", sql.StringOf(why.Error()))
	row, err := sql.DecodeJSON(string(it.Row))
	if err != nil {
		row = sql.StringOf(string(it.Row))
	}
	m.Set("row", row)
	if err := sdk.Publish(sdk.Message{Topic: e.cfg.DeadLetters + "/" + id, Payload: m.AppendJSON(nil), QoS: 1}); err != nil {
		sdk.Log(sdk.Error, "resource "+id+": the dead letter was not published: "+err.Error())
	}
}

// Health implements resource.Hears.
func (e *Engine) Health(id string, up bool, why error) {
	if up {
		sdk.Log(sdk.Info, "resource "+id+" is up")
		return
	}
	sdk.Log(sdk.Error, "resource "+id+" is down: "+why.Error())
}

// open opens the queues and lets the resources work. While a reload hands over, the
// process before this one still has them: it is waited for, at most patience.
func (e *Engine) open(patience time.Duration) (*buffer.Buffer, error) {
	e.disk.Lock()
	defer e.disk.Unlock()
	if e.disk.buf != nil {
		return e.disk.buf, nil
	}
	if e.cfg.dataDir == "" {
		return nil, errors.New("the broker gives this process no directory to keep rows in")
	}
	for end := time.Now().Add(patience); ; {
		buf, err := buffer.Open(e.cfg.dataDir)
		if err == nil {
			e.disk.buf = buf
			return buf, e.resources.Start(buf)
		}
		if !time.Now().Before(end) {
			return nil, err
		}
		pause := time.NewTimer(50 * time.Millisecond)
		<-pause.C
	}
}

// SaveState ends the workers and closes the queues for the process that comes after
// this one.
func (e *Engine) SaveState() []byte {
	e.disk.Lock()
	defer e.disk.Unlock()
	err := e.resources.Close()
	if e.disk.buf != nil {
		err = errors.Join(err, e.disk.buf.Close())
		e.disk.buf = nil
		e.cfg.dataDir = ""
	}
	if err != nil {
		sdk.Log(sdk.Error, "end: "+err.Error())
	}
	return nil
}

// RestoreState has nothing to take over: all is on the disk.
func (e *Engine) RestoreState([]byte) error { return nil }

// mostBytes is what is kept of the memory of payloads.
const mostBytes = 1 << 20

// ready begins the event of source: what the one before has published is gone.
func (e *Engine) ready() {
	tx := &e.batch.tx
	e.also, tx.Event, tx.Bytes = e.also[:0], &e.source, tx.Bytes[:0]
	if cap(tx.Bytes) > mostBytes {
		tx.Bytes = nil
	}
}

// OnMessage runs the rules of a topic.
func (e *Engine) OnMessage(m *sdk.MessageEvent) sdk.Verdict {
	e.source.Set(event.Message, m.Record())
	e.ready()
	e.rules.Message(&e.batch.tx, e.source.Topic(), "", &e.scratch)
	e.batch.chain()
	if len(e.also) == 0 {
		return sdk.Verdict{}
	}
	return sdk.Verdict{Also: e.also}
}

// AfterFrame makes what the actions of a frame have queued safe.
func (e *Engine) AfterFrame() error { return e.batch.commit() }

// observed runs the rules of an event; what they publish leaves at once.
func (e *Engine) observed(name string, rec contract.Record) {
	e.source.Set(name, rec)
	e.ready()
	e.rules.Event(&e.batch.tx, name, &e.scratch)
	e.batch.chain()
	for _, m := range e.also {
		if err := sdk.Publish(m); err != nil {
			sdk.Log(sdk.Warn, name+": not published on "+m.Topic+": "+err.Error())
		}
	}
}

// OnConnected is $events/client_connected.
func (e *Engine) OnConnected(ev *sdk.ClientEvent) { e.observed(event.ClientConnected, ev.Record()) }

// OnDisconnected is $events/client_disconnected.
func (e *Engine) OnDisconnected(ev *sdk.DisconnectEvent) {
	e.observed(event.ClientDisconnected, ev.Record())
}

// OnConnack is $events/client_connack.
func (e *Engine) OnConnack(ev *sdk.ConnackEvent) { e.observed(event.ClientConnack, ev.Record()) }

// OnACLChecked is $events/client_check_acl_complete.
func (e *Engine) OnACLChecked(ev *sdk.ACLCheckedEvent) {
	e.observed(event.ClientACLChecked, ev.Record())
}

// OnSubscribed is $events/session_subscribed.
func (e *Engine) OnSubscribed(ev *sdk.FilterEvent) { e.observed(event.SessionSubscribed, ev.Record()) }

// OnUnsubscribed is $events/session_unsubscribed.
func (e *Engine) OnUnsubscribed(ev *sdk.FilterEvent) {
	e.observed(event.SessionUnsubscribed, ev.Record())
}

// OnDelivered is $events/message_delivered.
func (e *Engine) OnDelivered(ev *sdk.MessageEvent) { e.observed(event.MessageDelivered, ev.Record()) }

// OnAcked is $events/message_acked.
func (e *Engine) OnAcked(ev *sdk.MessageEvent) { e.observed(event.MessageAcked, ev.Record()) }

// OnDropped is $events/message_dropped for what nobody wanted, and
// $events/delivery_dropped for what a subscriber did not get.
func (e *Engine) OnDropped(ev *sdk.MessageEvent) {
	name := event.DeliveryDropped
	if r := ev.DropReason(); r == "no_subscribers" || r == "loop" {
		name = event.MessageDropped
	}
	e.observed(name, ev.Record())
}
