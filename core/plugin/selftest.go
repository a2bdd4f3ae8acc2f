package plugin

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// prove asks a new version about the self-tests of its manifest, one record a call. An
// error names the first verdict that is another one.
func (v *version) prove() error {
	for i := range v.spec.Manifest.SelfTests {
		t := &v.spec.Manifest.SelfTests[i]
		var w contract.Writer
		t.Record(&w)
		k, _ := contract.ParseHook(t.Hook)
		c := &Call{Hook: k, Frame: w.Frame(), N: 1}
		err := v.inst.Call(v.ctx, c)
		got, fault := c.Verdict(0)
		if err == nil {
			err = fault
		}
		if err != nil {
			return fmt.Errorf("self_test %d (%s): %w", i+1, t.Hook, err)
		}
		want, _ := t.Action()
		switch {
		case got.Action != want:
			return fmt.Errorf("self_test %d (%s): the verdict is %s, want %s", i+1, t.Hook, got.Action, want)
		case t.Reason != 0 && got.Reason != t.Reason:
			return fmt.Errorf("self_test %d (%s): the reason code is 0x%02X, want 0x%02X", i+1, t.Hook, got.Reason, t.Reason)
		}
	}
	return nil
}

// hush refuses what a plugin publishes until it has passed its self-tests.
type hush struct {
	Publisher
	Keeper
	passed atomic.Bool
}

// Publish implements [Publisher].
func (h *hush) Publish(record []byte, hops uint8) error {
	if !h.passed.Load() {
		return contract.ErrnoDenied
	}
	return h.Publisher.Publish(record, hops)
}

// PublishKept implements [Keeper].
func (h *hush) PublishKept(record []byte, hops uint8, done func(error)) error {
	if !h.passed.Load() {
		return contract.ErrnoDenied
	}
	return h.Keeper.PublishKept(record, hops, done)
}

// PublishOnce implements [Keeper].
func (h *hush) PublishOnce(key string, ttl time.Duration, record []byte, done func(error)) error {
	if !h.passed.Load() {
		return contract.ErrnoDenied
	}
	return h.Keeper.PublishOnce(key, ttl, record, done)
}
