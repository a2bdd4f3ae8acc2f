package sdk

import (
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// dispatcher hands the records of frames to a plugin's methods. It is used by
// one goroutine at a time.
type dispatcher struct {
	plugin  any
	hooks   contract.HookSet
	decide  [contract.MaxHook + 1]decider
	observe [contract.MaxHook + 1]observer
	after   func() error // each frame; nil: nothing
	out     encoder
}

// decider has the plugin decide about record i of a frame and encodes the verdict.
type decider func(r contract.Record, i int, out *encoder)

// observer tells the plugin of record i of a frame.
type observer func(r contract.Record, i int)

// plugged is the plugin of this program.
var plugged dispatcher

// Register makes p the plugin of this program. Call it from a package variable,
// var _ = sdk.Register(&plugin{}), since a WASM reactor never runs main. A
// second call replaces the first.
func Register(p any) struct{} {
	plugged = dispatcher{plugin: p}
	plugged.bindDeciding(p)
	plugged.bindObserving(p)
	plugged.bindAnswers(p)
	if h, ok := p.(FrameHandler); ok {
		plugged.after = h.AfterFrame
	}
	return struct{}{}
}

// on registers a deciding handler.
func (d *dispatcher) on(h contract.Hook, fn decider) {
	d.hooks = d.hooks.With(h)
	d.decide[h] = fn
}

// told registers an observing handler.
func (d *dispatcher) told(h contract.Hook, fn observer) {
	d.hooks = d.hooks.With(h)
	d.observe[h] = fn
}

// frame handles n records and returns the verdict block; nil: all Next. It is
// valid until the next call. A malformed frame is answered with nil: the host
// made it.
func (d *dispatcher) frame(frame []byte, n int) []byte {
	d.out.reset(n)
	messages := false
	for i := range n {
		rec, rest, err := contract.Split(frame)
		if err != nil {
			break
		}
		frame = rest
		h := rec.Hook()
		if h > contract.MaxHook {
			continue
		}
		messages = messages || h == contract.HookMessage
		if fn := d.decide[h]; fn != nil {
			fn(rec, i, &d.out)
		} else if fn := d.observe[h]; fn != nil {
			fn(rec, i)
		}
	}
	if d.after != nil {
		if err := d.after(); err != nil {
			d.failed(n, messages, err)
		}
	}
	return d.out.block()
}

// failed answers that none of the n records is done, if they are messages.
func (d *dispatcher) failed(n int, messages bool, err error) {
	if !messages {
		Log(Error, err.Error())
		return
	}
	d.out.reset(n)
	for i := range n {
		v := Verdict{Action: Deny}
		if i == 0 {
			v.Text = err.Error()
		}
		d.out.put(i, &v)
	}
}

// configure hands the plugin its configuration.
func (d *dispatcher) configure(config []byte) error {
	if c, ok := d.plugin.(Configurer); ok {
		if len(config) == 0 {
			config = []byte("{}")
		}
		return c.Configure(config)
	}
	return nil
}

// start handles the init message of contract.InitMessage.
func (d *dispatcher) start(message []byte) error {
	var config []byte
	err := flatjson.Object(message, func(key string, v flatjson.Value) error {
		switch key {
		case "node":
			node, _ = v.String()
		case "features":
			n, _ := v.Int()
			features = contract.Features(n)
		case "config":
			config = v
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.configure(config)
}

func (d *dispatcher) saveState() []byte {
	if s, ok := d.plugin.(Stateful); ok {
		return s.SaveState()
	}
	return nil
}

func (d *dispatcher) restoreState(state []byte) error {
	if s, ok := d.plugin.(Stateful); ok && len(state) > 0 {
		return s.RestoreState(state)
	}
	return nil
}
