package conn

import "io"

// pull reads from the descriptor of c until it is dry, the budget is used, or
// the machine has had enough.
func (w *worker) pull(c *Conn) {
	if !w.repeat(c) {
		return
	}
	for w.left > 0 {
		space, have := w.space(c)
		n, err := c.read(space[have:])
		switch {
		case err == errAgain:
			c.flags.unread = false
			return
		case err != nil || n == 0:
			if err == nil {
				err = io.EOF
			}
			w.lose(c, err)
			return
		}
		if n < len(space)-have && c.layers == nil {
			// What comes from now on is signalled; after the peer's end nothing does.
			c.flags.unread, c.flags.emptied = c.flags.hungup, c.flags.hungup
		}
		if !w.feed(c, space[:have+n]) || !c.flags.unread {
			return
		}
		if c.flags.emptied {
			w.lose(c, io.EOF)
			return
		}
		w.left -= n
	}
}

// repeat offers the rest again if the machine has stopped pausing; false: it
// wants no more.
func (w *worker) repeat(c *Conn) bool {
	if !c.flags.fresh {
		return true
	}
	c.flags.fresh = false
	if c.rest == nil {
		return true
	}
	return w.feed(c, c.rest.b) && c.flags.unread
}

// space returns where to read to: the rest of the last turn is its first have
// bytes. A short rest moves to the read buffer, a long one is read to where it
// lies.
func (w *worker) space(c *Conn) (space []byte, have int) {
	switch {
	case c.rest == nil:
		return w.rd, 0
	case len(c.rest.b) <= len(w.rd)/4:
		return w.rd, copy(w.rd, c.rest.b)
	}
	c.rest.grow(min(len(c.rest.b), loopBuffer))
	return c.rest.b[:cap(c.rest.b)], len(c.rest.b)
}

// feed gives the machine b, which begins with the rest, and keeps what it leaves.
// False: it wants no more now.
func (w *worker) feed(c *Conn, b []byte) bool {
	w.enter(c)
	n := c.machine.Input(&w.io, b)
	w.leave(c)
	if c.machine == nil {
		return false
	}
	c.keep(b, b[n:])
	return !c.flags.paused
}

// keep stores left, the end of b, for the next turn. b may be the rest's storage.
func (c *Conn) keep(b, left []byte) {
	switch {
	case len(left) == 0:
		c.rest.free()
		c.rest = nil
	case c.rest == nil:
		c.rest = newBuffer(len(left))
		c.rest.b = append(c.rest.b, left...)
	case &b[0] == &c.rest.p[0] && len(left) == len(b):
		c.rest.b = b
	case len(left) <= len(c.rest.p) && len(left) >= len(c.rest.p)/16:
		c.rest.b = c.rest.p[:copy(c.rest.p, left)]
	default:
		old := c.rest
		c.rest = newBuffer(len(left))
		c.rest.b = append(c.rest.b, left...)
		old.free()
	}
}

// receive gives the machine what a stream's reader has read.
func (w *worker) receive(c *Conn) {
	if !w.repeat(c) {
		return
	}
	in, err := c.stream.incoming()
	if len(in) > 0 {
		if c.rest != nil {
			c.rest.write(in)
			in = c.rest.b
		}
		if !w.feed(c, in) {
			return // unread: the error, if any, waits for the end of the pause
		}
	}
	if err != nil {
		w.lose(c, err)
		return
	}
	c.flags.unread = false
	c.stream.next()
}
