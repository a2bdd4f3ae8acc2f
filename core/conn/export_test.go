package conn

// Arrive signals that the layers of a connection without a socket have bytes.
func (c *Conn) Arrive() {
	if c.signal(readable) {
		c.loop.post(c)
	}
}
