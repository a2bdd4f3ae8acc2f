package wasm

import (
	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Bounds on what one call of a guest may ask for.
const (
	maxPublishes    = 1024
	maxPublishBytes = 4 << 20
	maxDeliveries   = 4 * contract.MaxRecordsWASM
)

// pending is what the guest's current call is about and what it asked for. A
// publication or a delivery leaves when the call has ended well, so that a
// frame that faults and is tried again does nothing twice. Outside a call
// (while the guest is loaded or drained) nothing can be asked for.
type pending struct {
	records plugin.Records // nil: not a call of the topic store
	open    bool           // in a call
	from, n int            // the records of the call
	hops    uint8

	frame      []byte // publish records, copied from the guest
	publishes  int
	deliveries []int
}

func (p *pending) begin(c *plugin.Call, from, n int) {
	p.records, p.open, p.from, p.n, p.hops = c.Records, true, from, n, c.Hops
	p.frame, p.publishes, p.deliveries = p.frame[:0], 0, p.deliveries[:0]
}

// end forbids further requests; what was asked for stays until finish or begin.
func (p *pending) end() { p.records, p.open = nil, false }

// record turns the guest's index into the call's.
func (p *pending) record(arg uint64) (int, error) {
	i := uint32(arg)
	switch {
	case p.records == nil:
		return 0, contract.ErrnoDenied
	case i >= uint32(p.n):
		return 0, contract.ErrnoInvalid
	}
	return p.from + int(i), nil
}

func (p *pending) deliver(arg uint64) error {
	i, err := p.record(arg)
	switch {
	case err != nil:
		return err
	case len(p.deliveries) >= maxDeliveries:
		return contract.ErrnoQuota
	}
	p.deliveries = append(p.deliveries, i)
	return nil
}

// publish queues one publish record.
func (p *pending) publish(b []byte) error {
	switch {
	case !p.open:
		return contract.ErrnoDenied
	case p.publishes >= maxPublishes || len(p.frame)+len(b) > maxPublishBytes:
		return contract.ErrnoQuota
	}
	r, rest, err := contract.Split(b)
	if err != nil || len(rest) != 0 || r.Check() != nil || contract.CheckPublish(r) != nil {
		return contract.ErrnoInvalid
	}
	p.frame = append(p.frame, b...)
	p.publishes++
	return nil
}

// finish lets go what a call that ended well asked for. Errors are not the
// guest's fault: the queues behind are full or closing.
func (p *pending) finish(pl *Plugin, c *plugin.Call) {
	for rest := p.frame; len(rest) > 0; {
		r, next, err := contract.Split(rest)
		if err == nil {
			err = pl.spec.Services.Publish.Publish(r.Raw(), p.hops)
		}
		if err != nil {
			pl.log.Warn("plugin's message refused", zap.Error(err))
		}
		if rest = next; r.Raw() == nil {
			return
		}
	}
	for _, i := range p.deliveries {
		if err := c.Records.Deliver(i); err != nil {
			pl.log.Warn("plugin's delivery refused", zap.Error(err))
		}
	}
}
