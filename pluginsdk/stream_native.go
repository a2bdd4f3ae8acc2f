//go:build !wasip1

package sdk

import (
	"errors"
	"sync"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/contract/pluginpb"
)

// queueFrames bounds the frames that wait for the plugin. The contract lets the
// broker keep that many open. The reader never waits for the plugin, since the
// plugin may wait for a host reply that only the reader can bring.
const queueFrames = contract.MaxOpenFrames

var errFlood = errors.New("the broker keeps more frames open than the contract allows")

// stream is the gRPC stream, in the two methods that are needed.
type stream interface {
	Send(*pluginpb.Frame) error
	Recv() (*pluginpb.Frame, error)
}

// session is one Run: a reader that sorts incoming frames, and a worker that
// runs the plugin, one frame after another.
type session struct {
	stream stream
	frames chan *pluginpb.Frame // reader -> worker; closed by the reader
	ended  chan struct{}        // closed when the reader has ended

	sendMu sync.Mutex // serialises Send
	calls  hostCalls
}

// openPublications bounds the publications without a reply. Waiting for each
// would cost a round trip of about 100 µs a message.
const openPublications = 256

// hostCalls are the host calls that wait for a reply.
type hostCalls struct {
	open chan struct{} // one entry for each publication without a reply

	mu      sync.Mutex
	seq     uint64
	waiting map[uint64]chan *pluginpb.Frame // nil: a publication, nobody waits
	late    int64                           // result of a publication that failed
}

// runStream serves one stream until it ends.
func runStream(s *service, st stream) error {
	r := &session{
		stream: st,
		frames: make(chan *pluginpb.Frame, queueFrames),
		ended:  make(chan struct{}),
		calls:  hostCalls{open: make(chan struct{}, openPublications), waiting: map[uint64]chan *pluginpb.Frame{}},
	}
	attach(r)
	worked := make(chan error, 1)
	go func() { worked <- r.work(s) }()
	readErr := r.read(s)
	close(r.ended)
	close(r.frames)
	workErr := <-worked
	return errors.Join(readErr, workErr)
}

// read sorts what comes in, until the stream ends.
func (r *session) read(s *service) error {
	for {
		f, err := r.stream.Recv()
		if err != nil {
			return err
		}
		switch f.GetKind() {
		case pluginpb.Kind_KIND_CALL, pluginpb.Kind_KIND_OBSERVE:
			s.queued.Add(1)
			select {
			case r.frames <- f:
			default:
				return errFlood
			}
		case pluginpb.Kind_KIND_HOSTREPLY:
			r.calls.resolve(f)
		}
	}
}

// work runs the plugin on each frame. The turn is taken for one frame at a
// time, so that Configure and Drain find the plugin between two of them.
func (r *session) work(s *service) error {
	for f := range r.frames {
		s.turn <- struct{}{}
		err := r.handle(s.d, f)
		<-s.turn
		if s.queued.Add(-1) == 0 {
			select {
			case s.idle <- struct{}{}:
			default:
			}
		}
		if err != nil {
			r.discard()
			return err
		}
	}
	return nil
}

// handle runs the plugin on one frame and answers it.
func (r *session) handle(d *dispatcher, f *pluginpb.Frame) error {
	link.seq = f.GetSeq()
	block := d.frame(f.GetData(), int(f.GetN()))
	answer := &pluginpb.Frame{Seq: f.GetSeq(), N: f.GetN(), Kind: pluginpb.Kind_KIND_VERDICTS, Data: block}
	if f.GetKind() == pluginpb.Kind_KIND_OBSERVE {
		answer.Kind, answer.Data = pluginpb.Kind_KIND_ACK, nil
	}
	return r.send(answer)
}

// discard lets the reader end when the plugin cannot answer any more.
func (r *session) discard() {
	for range r.frames { //nolint:revive // empty on purpose: the frames are lost
	}
}

func (r *session) send(f *pluginpb.Frame) error {
	r.sendMu.Lock()
	defer r.sendMu.Unlock()
	return r.stream.Send(f)
}

// Call carries out a host call over the stream and waits for its reply.
func (r *session) Call(c contract.HostCall) (int64, []byte) {
	f := &pluginpb.Frame{Kind: pluginpb.Kind_KIND_HOSTCALL, Data: contract.AppendHostCall(nil, c)}
	if !c.Call.Replies() {
		_ = r.send(f) // a lost log line is not worth a fault; a lost stream is seen by the reader
		return 0, nil
	}
	if c.Call == contract.CallPublish {
		return r.publish(f), nil
	}
	reply := make(chan *pluginpb.Frame, 1)
	r.calls.add(f, reply)
	defer r.calls.remove(f.GetSeq())
	if err := r.send(f); err != nil {
		return int64(contract.ErrnoInternal), nil
	}
	select {
	case got := <-reply:
		result, data, err := contract.ParseHostReply(got.GetData())
		if err != nil {
			return int64(contract.ErrnoInternal), nil
		}
		return result, data
	case <-r.ended:
		return int64(contract.ErrnoInternal), nil
	}
}

// publish sends a publication and does not wait: the result is that of an
// earlier one that failed, or 0.
func (r *session) publish(f *pluginpb.Frame) int64 {
	select {
	case r.calls.open <- struct{}{}:
	case <-r.ended:
		return int64(contract.ErrnoInternal)
	}
	late := r.calls.add(f, nil)
	if err := r.send(f); err != nil {
		return int64(contract.ErrnoInternal)
	}
	return late
}

// add numbers the call f and notes who waits for its reply. It takes the result
// of a failed publication, if there is one.
func (c *hostCalls) add(f *pluginpb.Frame, reply chan *pluginpb.Frame) (late int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	f.Seq = c.seq
	c.waiting[c.seq] = reply
	if reply == nil {
		late, c.late = c.late, 0
	}
	return late
}

func (c *hostCalls) remove(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, seq)
}

// resolve hands a reply to the call that waits for it, if one does.
func (c *hostCalls) resolve(f *pluginpb.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch, ok := c.waiting[f.GetSeq()]
	if !ok {
		return
	}
	delete(c.waiting, f.GetSeq())
	if ch != nil {
		ch <- f
		return
	}
	<-c.open
	if result, _, err := contract.ParseHostReply(f.GetData()); err != nil {
		c.late = int64(contract.ErrnoInternal)
	} else if result < 0 {
		c.late = result
	}
}
