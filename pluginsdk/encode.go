package sdk

import (
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// encoder turns verdicts into a verdict block. A block of nothing but Next
// stays empty.
type encoder struct {
	w       contract.VerdictWriter
	n       int  // records of the frame
	started bool // the block exists
	scratch []byte
	message contract.Writer
}

func (c *encoder) reset(n int) { c.n, c.started = n, false }

// block is the verdict block; nil when every verdict is Next.
func (c *encoder) block() []byte {
	if !c.started {
		return nil
	}
	return c.w.Block()
}

// put encodes the verdict about record i.
func (c *encoder) put(i int, v *Verdict) {
	plain := v.plain()
	if plain && v.Action == Next {
		return
	}
	if !c.started {
		c.w.Reset(nil, c.n)
		c.started = true
	}
	c.w.Set(i, v.Action, v.Reason)
	if v.Action == Pending {
		c.scratch = contract.AppendPending(c.scratch[:0], uint64(v.token), millis(v.wait))
		c.w.Put(i, contract.ExtPending, c.scratch)
		return
	}
	if plain {
		return
	}
	c.text(i, contract.ExtText, v.Text)
	if v.CacheTTL > 0 {
		c.w.SetCacheTTL(i, millis(v.CacheTTL))
	}
	if v.Permissions != nil {
		c.permissions(i, v.Permissions)
	}
	if v.Throttle > 0 {
		c.w.PutUint32(i, contract.ExtThrottle, millis(v.Throttle))
	}
	if v.Login != nil {
		c.login(i, v.Login)
	}
	if v.Connect != nil {
		c.connect(i, v.Connect)
	}
	if v.Message != nil {
		c.change(i, v.Message)
	}
	if v.Filters != nil {
		c.filters(i, v.Filters)
	}
	if v.CacheFilter != "" {
		c.w.SetFlags(i, contract.CacheFilter|v.shared())
		c.text(i, contract.ExtCacheFilter, v.CacheFilter)
	} else if v.CacheShared {
		c.w.SetFlags(i, contract.CacheShared)
	}
	if len(v.Also) > 0 {
		c.message.Reset(nil)
		for k := range v.Also {
			appendMessage(&c.message, &v.Also[k])
		}
		if v.publishes() {
			c.w.PutOnly(i, contract.ExtPublishes, c.message.Frame())
		} else {
			c.w.Put(i, contract.ExtPublishes, c.message.Frame())
		}
	}
}

// publishes tells whether further messages are all there is: what rules answer, many
// in a frame.
func (v *Verdict) publishes() bool {
	return len(v.Also) > 0 && v.Text == "" && v.Throttle == 0 && v.CacheFilter == "" && v.Permissions == nil &&
		v.Login == nil && v.Connect == nil && v.Message == nil && v.Filters == nil
}

// shared is the flag of CacheShared.
func (v *Verdict) shared() contract.VerdictFlags {
	if v.CacheShared {
		return contract.CacheShared
	}
	return 0
}

// plain tells whether there is nothing but action and reason to encode.
func (v *Verdict) plain() bool {
	return len(v.Text)|len(v.CacheFilter) == 0 && v.CacheTTL|v.Throttle == 0 && !v.CacheShared && v.Permissions == nil &&
		v.Login == nil && v.Connect == nil && v.Message == nil && v.Filters == nil && v.Also == nil
}

func (c *encoder) login(i int, l *Login) {
	if l.Superuser {
		c.w.SetFlags(i, contract.VerdictSuperuser)
	}
	c.text(i, contract.ExtPrincipal, l.Principal)
	c.text(i, contract.ExtTenant, l.Tenant)
	if len(l.Attributes) > 0 {
		c.scratch = c.scratch[:0]
		for k, v := range l.Attributes {
			c.scratch = contract.AppendPair(c.scratch, k, v)
		}
		c.w.Put(i, contract.ExtAttributes, c.scratch)
	}
	if l.Permissions != nil {
		c.permissions(i, l.Permissions)
	}
	if !l.ExpiresAt.IsZero() {
		c.w.PutUint64(i, contract.ExtExpiresAt, uint64(l.ExpiresAt.UnixNano()))
	}
	if l.Reply != nil {
		c.w.Put(i, contract.ExtReply, l.Reply)
	}
	if l.State != nil {
		c.w.Put(i, contract.ExtState, l.State)
	}
}

func (c *encoder) permissions(i int, ps []contract.Permission) {
	c.scratch = c.scratch[:0]
	for _, p := range ps {
		c.scratch = contract.AppendPermission(c.scratch, p)
	}
	c.w.Put(i, contract.ExtPermissions, c.scratch)
}

func (c *encoder) connect(i int, ch *ConnectChange) {
	c.text(i, contract.ExtClientID, ch.ClientID)
	l := contract.Limits{
		ReceiveMax: contract.KeepLimit, PacketSize: contract.KeepLimit,
		KeepAlive: contract.KeepLimit, SessionExpiry: contract.KeepLimit,
	}
	if ch.ReceiveMax != nil {
		l.ReceiveMax = uint32(*ch.ReceiveMax)
	}
	if ch.PacketSize != nil {
		l.PacketSize = *ch.PacketSize
	}
	if ch.KeepAlive != nil {
		l.KeepAlive = uint32(*ch.KeepAlive)
	}
	if ch.SessionExpiry != nil {
		l.SessionExpiry = *ch.SessionExpiry
	}
	c.scratch = contract.AppendLimits(c.scratch[:0], l)
	c.w.Put(i, contract.ExtLimits, c.scratch)
	if len(ch.Subscriptions) > 0 {
		c.scratch = c.scratch[:0]
		for _, s := range ch.Subscriptions {
			c.scratch = contract.AppendSubscription(c.scratch, s.Filter, s.Options)
		}
		c.w.Put(i, contract.ExtSubscriptions, c.scratch)
	}
}

func (c *encoder) change(i int, m *MessageChange) {
	if m.Topic != nil {
		c.scratch = append(c.scratch[:0], *m.Topic...)
		c.w.Put(i, contract.ExtTopic, c.scratch)
	}
	if m.Payload != nil {
		c.w.Put(i, contract.ExtPayload, *m.Payload)
	}
	if m.Props != nil {
		c.w.Put(i, contract.ExtProps, *m.Props)
	}
	if m.Expiry != nil {
		c.w.PutUint32(i, contract.ExtExpiry, *m.Expiry)
	}
	var mask, value contract.Flags
	if m.QoS != nil {
		mask, value = contract.FlagQoS, contract.Flags(*m.QoS)
	}
	if m.Retain != nil {
		mask |= contract.FlagRetain
		if *m.Retain {
			value |= contract.FlagRetain
		}
	}
	if mask != 0 {
		c.w.PutFlags(i, mask, value)
	}
}

func (c *encoder) filters(i int, f *FilterChange) {
	if f.Codes != nil {
		c.w.Put(i, contract.ExtCodes, f.Codes)
	}
	if f.Filters != nil {
		c.w.Put(i, contract.ExtFilters, f.Filters)
	}
}

func (c *encoder) text(i int, x contract.Ext, s string) {
	if s != "" {
		c.scratch = append(c.scratch[:0], s...)
		c.w.Put(i, x, c.scratch)
	}
}

// millis is d in milliseconds, at least 1 and at most what a u32 holds.
func millis(d time.Duration) uint32 { return uint32(min(max(d.Milliseconds(), 1), 1<<32-1)) }

// appendMessage appends m as a publish record.
func appendMessage(w *contract.Writer, m *Message) {
	flags := contract.Flags(0).WithQoS(m.QoS)
	if m.Retain {
		flags |= contract.FlagRetain
	}
	slots := int(contract.SlotPayload) + 1
	if len(m.Props) > 0 || m.Expiry > 0 {
		slots = int(contract.SlotExpiry) + 1
	}
	w.BeginShort(contract.Header{Hook: contract.HookPublish, Flags: flags, Aux: uint32(len(m.Payload))}, slots)
	w.String(contract.SlotTopic, m.Topic)
	w.Bytes(contract.SlotPayload, m.Payload)
	if len(m.Props) > 0 {
		w.Bytes(contract.SlotProps, m.Props)
	}
	if m.Expiry > 0 {
		w.Uint32(contract.SlotExpiry, uint32(min(max(m.Expiry/time.Second, 1), 1<<32-2)))
	}
	w.End()
}
