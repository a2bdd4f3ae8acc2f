package conn

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	streamIdle    = 512      // what a reader holds while nothing comes
	streamBusy    = 16 << 10 // what it reads with when that was not enough: a TLS record
	streamBacklog = 16 << 10 // less is on its way, not held up
)

// stream is a connection that is no bare descriptor: TLS, WebSocket, another
// system. One goroutine blocks in Read and hands what came to a turn; another
// writes while there is something to write and ends. Turns never block.
type stream struct {
	// Immutable.
	conn   *Conn
	nc     net.Conn
	resume chan struct{} // the turn has taken in; capacity 1

	over    atomic.Bool    // the reader hands nothing over any more
	writers sync.WaitGroup // the writer

	// Written by the reader before the signal readable, then the turn's until it
	// lets the reader go on.
	in  []byte
	err error

	mu sync.Mutex // guards what follows; no other lock is taken under it
	st struct {
		out     *buffer // not yet taken by the writer; nil: none
		busy    int     // bytes in the writer's hands
		writing bool    // there is a writer
		told    bool    // a machine has seen a backlog and waits for its end
		closing bool    // the writer closes our side when all is written
		aborted bool
	}
}

func newStream(c *Conn, nc net.Conn) *stream {
	return &stream{conn: c, nc: nc, resume: make(chan struct{}, 1)}
}

// read is the reader's goroutine. It ends after the writer and closes.
func (s *stream) read() {
	idle := make([]byte, streamIdle)
	var busy *buffer
	for !s.over.Load() {
		p := idle
		if busy != nil {
			p = busy.p
		}
		n, err := s.nc.Read(p)
		s.in, s.err = p[:n], err
		if s.conn.signal(readable) {
			runApart(s.conn)
		}
		<-s.resume
		switch {
		case n == len(p) && busy == nil:
			busy = newBuffer(streamBusy)
		case n < len(p):
			busy.free()
			busy = nil
		}
	}
	busy.free()
	for {
		// Our side is being closed, or all is: wait for the peer's end.
		if _, err := s.nc.Read(idle); err != nil {
			break
		}
	}
	s.writers.Wait()
	_ = s.nc.Close()
	if s.conn.signal(ended) {
		s.conn.loop.post(s.conn)
	}
}

// incoming is what the reader has read. Turn only.
func (s *stream) incoming() ([]byte, error) {
	in := s.in
	s.in = nil
	return in, s.err
}

// next lets the reader go on. Turn only.
func (s *stream) next() {
	select {
	case s.resume <- struct{}{}:
	default:
	}
}

// pending is how many bytes wait to be written, 0 if they are few.
func (s *stream) pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.st.busy
	if s.st.out != nil {
		n += len(s.st.out.b)
	}
	if n < streamBacklog {
		return 0
	}
	s.st.told = true
	return n
}

// write leaves p to the writer and starts one if there is none. Turn only.
func (s *stream) write(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.st.aborted {
		return
	}
	if s.st.out == nil {
		s.st.out = newBuffer(len(p))
	}
	s.st.out.write(p)
	s.st.told = s.st.told || len(p) >= outBatch
	s.startLocked()
}

func (s *stream) startLocked() {
	if s.st.writing {
		return
	}
	s.st.writing = true
	s.writers.Add(1)
	s.conn.loop.engine.group.Go(s.drain)
}

// drain is the writer's goroutine.
func (s *stream) drain() {
	defer s.writers.Done()
	for {
		out, shut := s.grab()
		if shut {
			s.shut()
			return
		}
		if out == nil {
			return
		}
		_, err := s.nc.Write(out.b)
		out.free()
		if err != nil {
			s.abort() // the reader reports it
			return
		}
	}
}

// grab takes what there is to write. Nothing: the writer ends, shut: after having
// closed our side.
func (s *stream) grab() (out *buffer, shut bool) {
	s.mu.Lock()
	out = s.st.out
	s.st.out = nil
	if out != nil {
		s.st.busy = len(out.b)
		s.mu.Unlock()
		return out, false
	}
	s.st.busy = 0
	shut = s.st.closing && !s.st.aborted
	s.st.writing = shut
	told := s.st.told
	s.st.told = false
	s.mu.Unlock()
	if told && s.conn.signal(writable) {
		s.conn.loop.post(s.conn)
	}
	return nil, shut
}

// shut closes our side and gives the peer until the linger's end to close its own.
func (s *stream) shut() {
	_ = s.nc.SetReadDeadline(time.Now().Add(s.conn.loop.engine.linger))
	if h, ok := s.nc.(interface{ CloseWrite() error }); !ok || h.CloseWrite() != nil {
		s.abort()
	}
}

// finish lets the writer write all and close. Turn only, once.
func (s *stream) finish() {
	s.mu.Lock()
	s.st.closing = true
	if !s.st.aborted {
		s.startLocked()
	}
	s.mu.Unlock()
	s.over.Store(true)
	s.next()
}

// abort ends everything at once; it does not block.
func (s *stream) abort() {
	s.mu.Lock()
	first := !s.st.aborted
	s.st.aborted = true
	s.st.out.free()
	s.st.out = nil
	s.mu.Unlock()
	if first {
		_ = innermost(s.nc).Close()
	}
}

// stop is abort for a turn: the reader ends too.
func (s *stream) stop() {
	s.abort()
	s.over.Store(true)
	s.next()
}

// innermost is the connection below TLS and WebSocket: closing it sends nothing
// and so cannot block.
func innermost(nc io.Closer) io.Closer {
	for {
		u, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = u.NetConn()
	}
}
