//go:build !wasip1

package sdk

import (
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
	return s.kept(w.Frame())
}

// kept sends the call and returns what waits for its reply.
func (r *session) kept(rec []byte) (wait func() error) {
	f := &pluginpb.Frame{Kind: pluginpb.Kind_KIND_HOSTCALL, Data: contract.AppendHostCall(nil, contract.HostCall{Call: contract.CallPublishKept, Data: rec})}
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
