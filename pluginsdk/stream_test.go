//go:build !wasip1

package sdk

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/contract/pluginpb"
)

// pipe is the broker's end of a stream in memory.
type pipe struct {
	ctx  context.Context
	down chan *pluginpb.Frame // to the plugin; closed: the broker is gone
	up   chan *pluginpb.Frame
}

func newPipe(t *testing.T) *pipe {
	return &pipe{ctx: t.Context(), down: make(chan *pluginpb.Frame, 2000), up: make(chan *pluginpb.Frame, 2000)}
}

func (p *pipe) Send(f *pluginpb.Frame) error { p.up <- f; return nil }
func (p *pipe) Recv() (*pluginpb.Frame, error) {
	f, ok := <-p.down
	if !ok {
		return nil, io.EOF
	}
	return f, nil
}
func (p *pipe) Context() context.Context     { return p.ctx }
func (p *pipe) SetHeader(metadata.MD) error  { return nil }
func (p *pipe) SendHeader(metadata.MD) error { return nil }
func (p *pipe) SetTrailer(metadata.MD)       {}
func (p *pipe) SendMsg(any) error            { return nil }
func (p *pipe) RecvMsg(any) error            { return nil }

// running is a service whose end is noted instead of ending the process.
func running(t *testing.T, p any) (s *service, st *pipe, gone chan error) {
	t.Helper()
	Register(p)
	d := plugged
	s, st, gone = newService(&d), newPipe(t), make(chan error, 1)
	s.gone = func(err error) { gone <- err }
	go func() { _ = s.Run(st) }()
	return s, st, gone
}

func call(seq uint64, kind pluginpb.Kind, topic string) *pluginpb.Frame {
	h := contract.HookACL
	if kind == pluginpb.Kind_KIND_OBSERVE {
		h = contract.HookPublished
	}
	return &pluginpb.Frame{Seq: seq, Kind: kind, N: 1,
		Data: record(contract.Header{Hook: h}, map[contract.Slot]string{contract.SlotTopic: topic})}
}

func TestStreamAnswersCallsInOrder(t *testing.T) {
	_, st, gone := running(t, onlyACL{})
	for i, topic := range []string{"a", "deny", "b"} {
		st.down <- call(uint64(10+i), pluginpb.Kind_KIND_CALL, topic)
	}
	st.down <- call(99, pluginpb.Kind_KIND_OBSERVE, "x")
	for i, want := range []contract.Action{Next, Deny, Next} {
		f := <-st.up
		if f.GetSeq() != uint64(10+i) || f.GetKind() != pluginpb.Kind_KIND_VERDICTS || contract.VerdictAt(f.GetData(), 0).Action != want {
			t.Errorf("frame %d: %v", i, f)
		}
	}
	if f := <-st.up; f.GetSeq() != 99 || f.GetKind() != pluginpb.Kind_KIND_ACK {
		t.Errorf("%v", f)
	}
	close(st.down)
	if err := <-gone; !errors.Is(err, io.EOF) {
		t.Errorf("ended with %v", err)
	}
}

// caller makes a host call in its handler, so that its frame waits for the reply.
type caller struct{ errs chan error }

func (c caller) OnACL(*ACLEvent) Verdict {
	_, err := Kept("")
	c.errs <- err
	return Verdict{Action: Allow}
}

func TestHostCallsRideTheStream(t *testing.T) {
	c := caller{errs: make(chan error, 4)}
	_, st, gone := running(t, c)
	st.down <- call(1, pluginpb.Kind_KIND_CALL, "a")
	st.down <- call(2, pluginpb.Kind_KIND_CALL, "b") // the reader must pass it to reach the reply
	f := <-st.up
	h, err := contract.ParseHostCall(f.GetData())
	if err != nil || f.GetKind() != pluginpb.Kind_KIND_HOSTCALL || h.Call != contract.CallStoreCount || h.Seq != 1 {
		t.Fatalf("%v %v", f, err)
	}
	st.down <- &pluginpb.Frame{Seq: f.GetSeq() + 100, Kind: pluginpb.Kind_KIND_HOSTREPLY} // nobody's
	st.down <- &pluginpb.Frame{Seq: f.GetSeq(), Kind: pluginpb.Kind_KIND_HOSTREPLY, Data: contract.AppendHostReply(nil, -3, nil)}
	if err := <-c.errs; err != ErrQuota {
		t.Errorf("%v", err)
	}
	if f := <-st.up; f.GetSeq() != 1 || f.GetKind() != pluginpb.Kind_KIND_VERDICTS {
		t.Errorf("%v", f)
	}
	f = <-st.up
	st.down <- &pluginpb.Frame{Seq: f.GetSeq(), Kind: pluginpb.Kind_KIND_HOSTREPLY, Data: []byte("short")}
	if err := <-c.errs; err != contract.ErrnoInternal {
		t.Errorf("malformed reply: %v", err)
	}
	st.down <- call(3, pluginpb.Kind_KIND_CALL, "c")
	for f = <-st.up; f.GetKind() != pluginpb.Kind_KIND_HOSTCALL; f = <-st.up {
	}
	close(st.down) // the broker dies while the plugin waits for it
	if err := <-c.errs; err != contract.ErrnoInternal {
		t.Errorf("broker gone: %v", err)
	}
	<-gone
}

// publisher publishes once a frame.
type publisher struct{ errs chan error }

func (p publisher) OnACL(e *ACLEvent) Verdict {
	p.errs <- Publish(Message{Topic: e.Topic()})
	return Verdict{}
}

// Publications do not wait for the broker: a bad one is refused at once, what
// the broker says comes with the next, and a bounded number is open.
func TestPublicationsAreNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := publisher{errs: make(chan error, openPublications+10)}
		_, st, gone := running(t, p)
		st.down <- call(1, pluginpb.Kind_KIND_CALL, "bad/+")
		st.down <- call(2, pluginpb.Kind_KIND_CALL, "good")
		if err := <-p.errs; err != ErrInvalid {
			t.Errorf("bad topic: %v", err)
		}
		if err := <-p.errs; err != nil {
			t.Errorf("good topic: %v", err)
		}
		f := <-st.up
		for ; f.GetKind() != pluginpb.Kind_KIND_HOSTCALL; f = <-st.up {
		}
		st.down <- &pluginpb.Frame{Seq: f.GetSeq(), Kind: pluginpb.Kind_KIND_HOSTREPLY, Data: contract.AppendHostReply(nil, int64(ErrQuota), nil)}
		st.down <- call(3, pluginpb.Kind_KIND_CALL, "next")
		if err := <-p.errs; err != ErrQuota {
			t.Errorf("after a refusal: %v", err)
		}
		for seq := range uint64(openPublications) {
			st.down <- call(10+seq, pluginpb.Kind_KIND_CALL, "t")
		}
		synctest.Wait()
		if n := len(p.errs); n != openPublications-1 {
			t.Errorf("%d publications went out", n+1)
		}
		close(st.down)
		<-gone
	})
}

func TestDrainWaitsForWhatIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &everything{state: "kept"}
		hold := make(chan struct{})
		p.look = func(any) { <-hold }
		s, st, gone := running(t, p)
		for seq := range uint64(3) {
			st.down <- call(seq, pluginpb.Kind_KIND_CALL, "a")
		}
		synctest.Wait()
		drained := make(chan *pluginpb.DrainResp, 1)
		go func() {
			resp, err := s.Drain(t.Context(), nil)
			if err != nil {
				t.Error(err)
			}
			drained <- resp
		}()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Drain(short, nil); err == nil {
			t.Error("drained while a frame is in hand")
		}
		if len(drained) != 0 {
			t.Error("drained too early")
		}
		close(hold)
		resp := <-drained
		synctest.Wait()
		if string(resp.GetState()) != "kept" || len(st.up) != 3 {
			t.Errorf("state %q, %d answers", resp.GetState(), len(st.up))
		}
		close(st.down)
		<-gone
	})
}

func TestAFloodOfFramesEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		p := &everything{look: func(any) { <-hold }}
		_, st, gone := running(t, p)
		for seq := range uint64(contract.MaxOpenFrames + 2) {
			st.down <- call(seq, pluginpb.Kind_KIND_CALL, "a")
		}
		synctest.Wait() // the reader has seen them all
		close(hold)
		if err := <-gone; !errors.Is(err, errFlood) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestHelloConfigureHealth(t *testing.T) {
	p := &everything{}
	Register(p)
	d := plugged
	s := newService(&d)
	if _, err := s.Hello(t.Context(), &pluginpb.HelloReq{Abi: 2}); err == nil {
		t.Error("another contract is taken")
	}
	resp, err := s.Hello(t.Context(), &pluginpb.HelloReq{Abi: contract.ABI, Node: "n7"})
	if err != nil || resp.GetAbi() != contract.ABI || len(resp.GetHooks()) != 30 || Node() != "n7" {
		t.Errorf("%v %v", resp, err)
	}
	if _, err := s.Configure(t.Context(), &pluginpb.ConfigureReq{Config: []byte(`{"a":1}`), State: []byte("old")}); err != nil || p.state != "old" || p.config != `{"a":1}` {
		t.Errorf("%v %q %q", err, p.state, p.config)
	}
	for _, req := range []*pluginpb.ConfigureReq{{Config: []byte(`{"bad":1}`)}, {State: []byte("broken")}} {
		if _, err := s.Configure(t.Context(), req); err == nil {
			t.Errorf("%v is taken", req)
		}
	}
	if h, err := s.Health(t.Context(), nil); err != nil || !h.GetOk() {
		t.Error(h, err)
	}
}

func TestOrphanEnds(t *testing.T) {
	s := newService(&dispatcher{})
	gone := make(chan error, 1)
	s.gone = func(err error) { gone <- err }
	tick := make(chan time.Time, 1)
	tick <- time.Time{}
	s.orphaned(-1, tick) // no process has that parent
	if err := <-gone; err == nil {
		t.Error("no reason")
	}
	s.running.Store(true)
	tick <- time.Time{}
	s.orphaned(-1, tick)
	if len(gone) != 0 {
		t.Error("ended although the stream is open")
	}
}
