package conn

import "time"

// pending is how many bytes of earlier turns the socket has not taken.
func (c *Conn) pending() int {
	switch {
	case c.stream != nil:
		return c.stream.pending()
	case c.backlog != nil:
		return len(c.backlog.b)
	}
	return 0
}

// flush sends what the turn has encoded; what the socket does not take is kept.
func (w *worker) flush(c *Conn) {
	out := w.io.Out
	if len(out) == 0 || c.machine == nil {
		return
	}
	w.io.Out = out[:0]
	switch err := w.send(c, out); {
	case err != nil:
		w.lose(c, err)
	case len(out) >= outBatch && c.backlog == nil && c.stream == nil:
		c.state.Or(woken) // it may have held back because of what is gone now
	}
}

// send writes out or keeps it, in order.
func (w *worker) send(c *Conn, out []byte) error {
	c.flags.wrote = true
	if c.stream != nil {
		c.stream.write(out)
		return nil
	}
	if c.layers != nil {
		var err error
		if w.seal, err = c.layers.seal(w.seal, out); err != nil {
			return err
		}
		out = w.seal
	}
	return c.put(out)
}

// put gives the descriptor what is ready for it. Layers may have kept it all.
func (c *Conn) put(out []byte) error {
	if len(out) == 0 {
		return nil
	}
	if c.backlog == nil {
		n, err := writeSocket(c.fd, out)
		if err != nil {
			return err
		}
		if out = out[n:]; len(out) == 0 {
			return nil
		}
		if err := c.watch(); err != nil {
			return err
		}
		c.backlog = newBuffer(len(out))
	}
	c.backlog.write(out)
	return nil
}

// watch asks for a signal when the socket takes bytes again; it is asked once in
// a connection's life.
func (c *Conn) watch() error {
	if c.flags.watched {
		return nil
	}
	c.flags.watched = true
	return c.loop.poller.addWritable(c.fd, c.slot)
}

// drain writes the backlog; when it is empty the machine runs, so that it can
// send what it has held back. False: the connection is lost.
func (w *worker) drain(c *Conn) bool {
	switch drained, err := c.drain(); {
	case err != nil:
		w.lose(c, err)
	case drained:
		w.enter(c)
		c.machine.Run(&w.io)
		w.leave(c)
	}
	return c.machine != nil
}

// drain writes the backlog and tells whether it has become empty.
func (c *Conn) drain() (bool, error) {
	if c.stream != nil {
		return true, nil // signalled by its writer
	}
	if c.backlog == nil {
		return false, nil
	}
	n, err := writeSocket(c.fd, c.backlog.b)
	if err != nil {
		return false, err
	}
	if c.backlog.b = c.backlog.b[n:]; len(c.backlog.b) > 0 {
		return false, nil
	}
	c.backlog.free()
	c.backlog = nil
	return true, nil
}

// finish honours IO.Close: the machine has its Lost, what it has encoded is sent
// within the engine's linger.
func (w *worker) finish(c *Conn) {
	m, out := c.machine, w.io.Out
	w.io.Out, w.io.Close = out[:0], false
	var err error
	if len(out) > 0 {
		err = w.send(c, out)
	}
	c.machine = nil
	c.rest.free()
	c.rest = nil
	c.flags.paused, c.flags.fresh = false, false
	switch {
	case err != nil:
		c.flags.dead = true
	case c.stream != nil:
		c.stream.finish()
	case c.backlog == nil && c.layers == nil && (c.flags.emptied || !c.flags.wrote && !c.flags.unread):
		// No bytes that nobody reads will make a reset that could destroy what was sent.
		c.flags.dead = true
	case c.backlog == nil:
		w.part(c)
	}
	if !c.flags.dead {
		c.deadline.Store(time.Now().Add(c.loop.engine.linger).UnixNano())
	}
	m.Lost(&w.io, nil)
}

// part ends a connection of which all is sent. A peer that has closed its side
// sends nothing more, so that what it left is read now and there is nothing to
// wait for.
func (w *worker) part(c *Conn) {
	if c.flags.hungup && w.reads {
		c.flags.shut = true
		w.discard(c)
	}
	if !c.flags.dead {
		c.shut()
	}
}

// shut closes our side; the socket is closed when the peer has closed its side,
// or by the deadline.
func (c *Conn) shut() {
	if c.layers != nil {
		c.layers.shut(c.fd)
	}
	shutSocket(c.fd)
	c.flags.shut, c.flags.unread = true, true
}

// linger is the turn of a connection without a machine: it sends what is pending
// and reads until the peer has closed.
func (w *worker) linger(c *Conn, bits uint32) {
	late := bits&elapsed != 0 && c.deadline.Load() <= time.Now().UnixNano()
	switch {
	case c.stream != nil:
		if bits&ended != 0 {
			c.flags.dead = true
		} else if late || bits&stopped != 0 {
			c.stream.abort()
		}
		return
	case late || bits&stopped != 0:
		w.drop(c)
		c.flags.dead = true
		return
	case bits&writable != 0:
		if drained, err := c.drain(); err != nil {
			w.drop(c)
			c.flags.dead = true
			return
		} else if drained {
			c.shut()
		}
	}
	if c.flags.unread && w.reads {
		w.discard(c)
	}
}

// discard reads and forgets.
func (w *worker) discard(c *Conn) {
	for w.left > 0 {
		n, err := readSocket(c.fd, w.rd)
		switch {
		case err == errAgain:
			c.flags.unread = false
			return
		case err != nil || n == 0:
			c.flags.unread = false
			if err != nil || c.flags.shut {
				c.flags.dead = true
			} // else: until the backlog is sent, or late
			return
		}
		w.left -= n
	}
}
