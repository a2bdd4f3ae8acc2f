package plugintool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/plugin/wasm"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Check is one rule of the contract and whether the plugin keeps it.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// conformer checks one plugin.
type conformer struct {
	target   *Target
	run      *Run
	scenario *Scenario
	samples  map[contract.Hook][]sample
	records  int
}

// Conform checks a plugin against the contract: with the records of a scenario
// (nil: made-up ones), of which so many in all go through it.
func (t *Target) Conform(ctx context.Context, s *Scenario, records int) (checks []Check, err error) {
	c := &conformer{target: t, records: records, scenario: s}
	if c.run, err = t.Open(ctx, s); err != nil {
		return []Check{{Name: "loads", Detail: err.Error()}}, nil
	}
	defer func() { err = errors.Join(err, c.run.Close(context.WithoutCancel(ctx))) }()
	if c.samples, err = c.run.samplesOf(s); err != nil {
		return nil, err
	}
	for _, rule := range []struct {
		name string
		fn   func(context.Context) (string, error)
	}{
		{"loads", c.loads},
		{"1 to 64 records", c.counts},
		{"fewer slots", c.fewer},
		{"unknown slots", c.more},
		{"slots outside the record", c.outside},
		{"empty and absent slots", c.empty},
		{"large records", c.large},
		{"truncated frames", c.truncated},
		{"unknown hooks", c.unknown},
		{"denied capability", c.denied},
		{"reload with state", c.reload},
		{"flat memory", c.memory},
		{"fuel", c.fuel},
	} {
		detail, err := rule.fn(ctx)
		if err != nil {
			detail = err.Error()
		}
		checks = append(checks, Check{Name: rule.name, OK: err == nil, Detail: detail})
	}
	return checks, nil
}

// hooks are the hooks of the manifest in the order of their numbers.
func (c *conformer) hooks() (hs []contract.Hook) {
	for _, h := range contract.Hooks() {
		if len(c.samples[h]) > 0 {
			if _, ok := c.run.Fields(h); ok {
				hs = append(hs, h)
			}
		}
	}
	return hs
}

// ask hands over a frame of n records and returns the verdicts; none of a hook
// that observes.
func (c *conformer) ask(ctx context.Context, k contract.Hook, frame []byte, n int) ([]any, error) {
	call := &plugin.Call{Hook: k, Observe: k.Class() == contract.Observe, Frame: frame, N: n, Key: 1, Records: store{c.run.Services}}
	if err := c.run.settle(ctx, maxAsked); err != nil { // frames that went past this function
		return nil, err
	}
	c.run.lobby.Let(call)
	defer c.run.lobby.Leave(call)
	if err := c.run.Call(ctx, call); err != nil {
		return nil, err
	}
	if err := c.run.settle(ctx, maxRounds); err != nil {
		return nil, err
	}
	if call.Observe {
		return make([]any, n), nil
	}
	out := make([]any, n)
	for i := range out {
		v, _, _, err := c.run.lobby.Final(call, i)
		if err != nil {
			return nil, err
		}
		out[i] = plainJSON(verdictOf(v))
	}
	return out, nil
}

// each runs fn on every sample of every hook and says where it failed.
func (c *conformer) each(fn func(k contract.Hook, s sample) error) (string, error) {
	n := 0
	for _, k := range c.hooks() {
		for i, s := range c.samples[k] {
			if err := fn(k, s); err != nil {
				return "", fmt.Errorf("%s, sample %d: %w", k, i+1, err)
			}
			n++
		}
	}
	return fmt.Sprintf("%d samples", n), nil
}

// loads reports what the plugin is.
func (c *conformer) loads(context.Context) (string, error) {
	kind := "process"
	if c.target.WASM() {
		kind = "module"
	}
	var names []string
	for _, k := range c.hooks() {
		names = append(names, k.String())
	}
	return fmt.Sprintf("%s of %d bytes, hooks %s", kind, len(c.run.Package.Code), strings.Join(names, ", ")), nil
}

// counts compares the verdict about a record alone with that in frames of every
// size.
func (c *conformer) counts(ctx context.Context) (string, error) {
	for _, k := range c.hooks() {
		list := c.samples[k]
		var alone []any
		for _, s := range list {
			v, err := c.ask(ctx, k, s.frame(), 1)
			if err != nil {
				return "", fmt.Errorf("%s: %w", k, err)
			}
			alone = append(alone, v[0])
		}
		for n := 1; n <= contract.MaxRecordsWASM; n++ {
			vs, err := c.ask(ctx, k, frames(list, n), n)
			if err != nil {
				return "", fmt.Errorf("%s: %d records: %w", k, n, err)
			}
			for i, v := range vs {
				if c.pure() && !reflect.DeepEqual(v, alone[i%len(alone)]) {
					return "", fmt.Errorf("%s: record %d of %d: %v, alone %v", k, i+1, n, v, alone[i%len(alone)])
				}
			}
		}
	}
	return "the verdicts do not depend on the frame's size", nil
}

// pure tells whether a verdict depends on the record alone.
func (c *conformer) pure() bool { return c.run.Package.Manifest.State == manifest.StateNone }

func (c *conformer) fewer(ctx context.Context) (string, error) {
	return c.each(func(k contract.Hook, s sample) error {
		for n := range s.slots {
			if _, err := c.ask(ctx, k, s.resized(n, nil).frame(), 1); err != nil {
				return fmt.Errorf("%d slots: %w", n, err)
			}
		}
		return nil
	})
}

func (c *conformer) more(ctx context.Context) (string, error) {
	return c.each(func(k contract.Hook, s sample) error {
		want, err := c.ask(ctx, k, s.frame(), 1)
		if err != nil {
			return err
		}
		return c.same(ctx, k, s.resized(len(s.slots)+4, []byte("of a later version")).frame(), want)
	})
}

// same wants the verdict of one record.
func (c *conformer) same(ctx context.Context, k contract.Hook, frame []byte, want []any) error {
	got, err := c.ask(ctx, k, frame, 1)
	if err == nil && c.pure() && !reflect.DeepEqual(got, want) {
		err = fmt.Errorf("the verdict is %v, not %v", got[0], want[0])
	}
	return err
}

// outside points slots out of their record: they read as absent.
func (c *conformer) outside(ctx context.Context) (string, error) {
	return c.each(func(k contract.Hook, s sample) error {
		for i := range s.slots {
			want, err := c.ask(ctx, k, s.with(i, nil).frame(), 1)
			if err != nil {
				return err
			}
			good := s.with(i, nil).frame()
			size := uint32(len(good))
			for _, e := range [][2]uint32{{size, 1}, {size + 8, 0}, {40, size}, {0xFFFFFFF0, 0x20}, {64, 0xFFFFFFFF}, {8, 4}, {0x7FFFFFFF, 0x7FFFFFFF}} {
				bad := slices.Clone(good)
				binary.LittleEndian.PutUint32(bad[contract.HeaderSize+i*contract.SlotSize:], e[0])
				binary.LittleEndian.PutUint32(bad[contract.HeaderSize+i*contract.SlotSize+4:], e[1])
				if err := c.same(ctx, k, bad, want); err != nil {
					return fmt.Errorf("slot %s at %d, %d bytes: %w", k.Slots()[i], e[0], e[1], err)
				}
			}
		}
		return nil
	})
}

func (c *conformer) empty(ctx context.Context) (string, error) {
	return c.each(func(k contract.Hook, s sample) error {
		for _, v := range [][]byte{{}, nil, {0}, {0xFF, 0xFE}} {
			if _, err := c.ask(ctx, k, s.filled(v).frame(), 1); err != nil {
				return fmt.Errorf("every slot is %q: %w", v, err)
			}
		}
		return nil
	})
}

// large fills each slot with as much as MQTT allows.
func (c *conformer) large(ctx context.Context) (string, error) {
	return c.each(func(k contract.Hook, s sample) error {
		for i, name := range k.Slots() {
			n := 65535
			if name == "payload" || name == "filters" {
				n = 1 << 20
			}
			if i >= len(s.slots) || len(s.slots[i]) == 0 {
				continue
			}
			if _, err := c.ask(ctx, k, s.with(i, []byte(strings.Repeat("a", n))).frame(), 1); err != nil {
				return fmt.Errorf("slot %s of %d bytes: %w", name, n, err)
			}
		}
		return nil
	})
}

// raw is the module's own way in, past the host's checks.
func (c *conformer) raw() *wasm.Plugin {
	p, _ := c.run.instance.(*wasm.Plugin)
	return p
}

const hostChecks = "a process gets no such frame: the broker checks before"

func (c *conformer) truncated(ctx context.Context) (string, error) {
	p := c.raw()
	if p == nil {
		return hostChecks, nil
	}
	return c.each(func(_ contract.Hook, s sample) error {
		whole := append(s.frame(), s.frame()...)
		for n := 0; n <= len(whole); n += contract.Align {
			if _, _, err := p.Raw(ctx, whole[:n], 2); err != nil {
				return fmt.Errorf("%d of %d bytes: %w", n, len(whole), err)
			}
			lie := slices.Clone(whole)
			binary.LittleEndian.PutUint32(lie, uint32(n))
			if _, _, err := p.Raw(ctx, lie, 2); err != nil {
				return fmt.Errorf("a record that says it has %d of %d bytes: %w", n, len(whole), err)
			}
		}
		return nil
	})
}

func (c *conformer) unknown(ctx context.Context) (string, error) {
	p := c.raw()
	if p == nil {
		return hostChecks, nil
	}
	return c.each(func(_ contract.Hook, s sample) error {
		for _, k := range []contract.Hook{0, 15, 63, 64, 255, 65535} {
			s.header.Hook = k
			block, _, err := p.Raw(ctx, s.frame(), 1)
			if err != nil {
				return fmt.Errorf("hook %d: %w", k, err)
			}
			if v := contract.VerdictAt(block, 0); v.Action != contract.Next {
				return fmt.Errorf("hook %d: %s, not next", k, v.Action)
			}
		}
		return nil
	})
}
