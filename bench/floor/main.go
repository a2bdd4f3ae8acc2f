//go:build linux

// Command floor forwards MQTT packets and does nothing else: what the system calls
// and the copying of a broker cost on this machine, for `make bench`. It is no
// broker: it keeps no session, checks nothing, trusts every byte, and ends on
// what it does not expect. One thread runs all connections.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:1883", "address of the listener")
	flag.Parse()
	if err := serve(*addr); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

// readBytes is the read buffer that all connections share.
const readBytes = 256 << 10

// forwarder is the epoll loop.
type forwarder struct {
	epoll, listener int
	conns           map[int32]*conn
	exact           map[string][]*conn
	wide            []wide // in the order of SUBSCRIBE
	changes         int    // of exact and wide
	dirty           []*conn
	buf             []byte
	events          [256]unix.EpollEvent
}

// wide is a filter that ends with a wildcard; nothing else is understood.
type wide struct {
	prefix string
	to     *conn
}

// conn is one connection.
type conn struct {
	fd     int32
	rest   []byte // the beginning of a packet
	out    []byte
	queued bool // in dirty
	gone   bool
	topic  string // of the last PUBLISH
	subs   []*conn
	known  int      // forwarder.changes when subs was looked up
	filter []string // exact ones
}

func serve(addr string) error {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	f := &forwarder{conns: map[int32]*conn{}, exact: map[string][]*conn{}, buf: make([]byte, readBytes)}
	if f.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	if f.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := errors.Join(
		unix.SetsockoptInt(f.listener, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), // inherited
		unix.SetsockoptInt(f.listener, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.Bind(f.listener, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}),
		unix.Listen(f.listener, 4096),
		f.watch(int32(f.listener), unix.EPOLLIN),
	); err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	runtime.LockOSThread()
	for {
		f.round()
	}
}

func (f *forwarder) watch(fd int32, events uint32) error {
	return unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: events, Fd: fd})
}

// round answers what has come and sends all answers.
func (f *forwarder) round() {
	n, _, _ := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(f.epoll), uintptr(unsafe.Pointer(&f.events[0])),
		uintptr(len(f.events)), 1000, 0, 0)
	if int(n) < 0 || int(n) > len(f.events) {
		runtime.Gosched()
		return
	}
	for i := range int(n) {
		e := &f.events[i]
		if e.Fd == int32(f.listener) {
			f.accept()
			continue
		}
		c := f.conns[e.Fd]
		if c == nil {
			continue
		}
		if e.Events&unix.EPOLLOUT != 0 {
			f.mark(c)
		}
		if e.Events&^unix.EPOLLOUT != 0 {
			f.read(c)
		}
	}
	for i := 0; i < len(f.dirty); i++ {
		f.flush(f.dirty[i])
	}
	f.dirty = f.dirty[:0]
}

func (f *forwarder) accept() {
	for {
		fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(f.listener), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		if errno != 0 {
			return
		}
		c := &conn{fd: int32(fd)}
		f.conns[c.fd] = c
		if f.watch(c.fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET) != nil {
			f.close(c)
		}
	}
}

func (f *forwarder) read(c *conn) {
	for !c.gone {
		have := copy(f.buf, c.rest)
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(&f.buf[have])), uintptr(len(f.buf)-have))
		switch {
		case errno == unix.EAGAIN:
			return
		case errno != 0, n == 0:
			f.close(c)
			return
		}
		b := f.buf[:have+int(n)]
		c.rest = append(c.rest[:0], b[f.packets(c, b):]...)
		if int(n) < len(f.buf)-have {
			return
		}
	}
}

// packets handles the whole packets at the start of b and returns their length.
func (f *forwarder) packets(c *conn, b []byte) (done int) {
	for !c.gone {
		size, at := 0, 1
		for shift := 0; ; shift += 7 {
			if done+at >= len(b) {
				return done
			}
			v := b[done+at]
			at++
			size |= int(v&0x7f) << shift
			if v < 0x80 {
				break
			}
		}
		end := done + at + size
		if end > len(b) {
			return done
		}
		f.handle(c, b[done:end], b[done+at:end])
		done = end
	}
	return done
}

func (f *forwarder) mark(c *conn) {
	if !c.queued {
		c.queued = true
		f.dirty = append(f.dirty, c)
	}
}

func (f *forwarder) send(c *conn, p ...byte) {
	c.out = append(c.out, p...)
	f.mark(c)
}

// handle answers one packet; body is what follows its length.
func (f *forwarder) handle(c *conn, p, body []byte) {
	switch p[0] >> 4 {
	case 1: // CONNECT of 3.1.1
		f.send(c, 0x20, 2, 0, 0)
	case 3:
		f.publish(c, p, body)
	case 5: // PUBREC
		f.send(c, 0x62, 2, body[0], body[1])
	case 6: // PUBREL
		f.send(c, 0x70, 2, body[0], body[1])
	case 8: // SUBSCRIBE with one filter
		filter := string(body[4 : len(body)-1])
		if last := filter[len(filter)-1]; last == '#' || last == '+' {
			f.wide = append(f.wide, wide{filter[:len(filter)-1], c})
		} else {
			f.exact[filter] = append(f.exact[filter], c)
			c.filter = append(c.filter, filter)
		}
		f.changes++
		f.send(c, 0x90, 3, body[0], body[1], body[len(body)-1])
	case 12:
		f.send(c, 0xd0, 0)
	case 14:
		f.close(c)
	}
}

func (f *forwarder) publish(c *conn, p, body []byte) {
	n := int(body[0])<<8 | int(body[1])
	name := body[2 : 2+n]
	if string(name) != c.topic || f.changes != c.known {
		c.topic, c.known = string(name), f.changes
		c.subs = slices.Clone(f.exact[c.topic])
		for _, w := range f.wide {
			if len(w.prefix) <= n && c.topic[:len(w.prefix)] == w.prefix {
				c.subs = append(c.subs, w.to)
			}
		}
	}
	for _, s := range c.subs {
		if !s.gone {
			s.out = append(s.out, p...)
			f.mark(s)
		}
	}
	switch p[0] >> 1 & 3 {
	case 1:
		f.send(c, 0x40, 2, body[2+n], body[3+n])
	case 2:
		f.send(c, 0x50, 2, body[2+n], body[3+n])
	}
}

func (f *forwarder) flush(c *conn) {
	c.queued = false
	for len(c.out) > 0 && !c.gone {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(c.fd), uintptr(unsafe.Pointer(&c.out[0])), uintptr(len(c.out)))
		switch {
		case errno == unix.EAGAIN:
			return
		case errno != 0:
			f.close(c)
			return
		}
		c.out = c.out[:copy(c.out, c.out[n:])]
	}
}

// close forgets c, but for its wide filters: a run has one.
func (f *forwarder) close(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	delete(f.conns, c.fd)
	for _, name := range c.filter {
		f.changes++
		if left := slices.DeleteFunc(f.exact[name], func(o *conn) bool { return o == c }); len(left) > 0 {
			f.exact[name] = left
		} else {
			delete(f.exact, name)
		}
	}
	_ = unix.Close(int(c.fd))
}
