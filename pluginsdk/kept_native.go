//go:build !wasip1

package sdk

import (
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/contract/pluginpb"
)

// PublishKept publishes a message as the plugin's own (capability "publish") for a
// process that has to acknowledge it to somebody: wait returns when the broker has
// routed it and everything that it promised by that is on the disk. Messages leave in
// the order of the calls, and wait need not be called in that order. It may be called
// by any goroutine once the broker has opened the stream. The error of wait is
// [ErrInvalid] for a bad message, [ErrQuota] if the broker has no room now: it may
// have taken the message in part, and the message is to be published again; any other
// if the broker is gone.
func PublishKept(m Message) (wait func() error) {
	var w contract.Writer
	appendMessage(&w, &m)
	fail := func(n contract.Errno) func() error { return func() error { return n } }
	if r, _, err := contract.Split(w.Frame()); err != nil || contract.CheckPublish(r) != nil {
		return fail(contract.ErrnoInvalid)
	}
	s, ok := host().(*session)
	if !ok {
		return fail(contract.ErrnoInternal)
	}
	return s.kept(contract.HostCall{Call: contract.CallPublishKept, Data: w.Frame()})
}

// PublishOnce is [PublishKept] for a message that must not be published twice: it is
// published only if key is not in the plugin's durable key space (capability
// "kv:durable"), where it is from then on for ttl; 0: for ever. With the same key it
// may be called again over any crash. The error of wait is [ErrDenied] without the
// capability; then nothing was published.
func PublishOnce(key string, ttl time.Duration, m Message) (wait func() error) {
	var w contract.Writer
	appendMessage(&w, &m)
	return once(key, ttl, w.Frame())
}

// ForgetOnce removes the key of [PublishOnce]; wait returns when that is on the disk.
func ForgetOnce(key string) (wait func() error) { return once(key, 0, nil) }

func once(key string, ttl time.Duration, rec []byte) (wait func() error) {
	if rec != nil {
		if r, _, err := contract.Split(rec); err != nil || contract.CheckPublish(r) != nil {
			return func() error { return contract.ErrnoInvalid }
		}
	}
	s, ok := host().(*session)
	if !ok {
		return func() error { return contract.ErrnoInternal }
	}
	return s.kept(contract.HostCall{
		Call: contract.CallPublishOnce, Record: uint32(len(key)), Arg: ttl.Milliseconds(), Data: append([]byte(key), rec...),
	})
}

// kept sends the call and returns what waits for its reply.
func (r *session) kept(c contract.HostCall) (wait func() error) {
	f := &pluginpb.Frame{Kind: pluginpb.Kind_KIND_HOSTCALL, Data: contract.AppendHostCall(nil, c)}
	reply := make(chan *pluginpb.Frame, 1)
	r.calls.add(f, reply)
	err := r.send(f)
	return func() error {
		defer r.calls.remove(f.GetSeq())
		if err != nil {
			return contract.ErrnoInternal
		}
		select {
		case got := <-reply:
			n, _, err := contract.ParseHostReply(got.GetData())
			if err != nil {
				return contract.ErrnoInternal
			}
			return errnoOf(int32(n))
		case <-r.ended:
			return contract.ErrnoInternal
		}
	}
}
