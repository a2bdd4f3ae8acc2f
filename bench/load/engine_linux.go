package load

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	timerSlot = -1 // what the timer reports as its slot
	readBytes = 256 << 10
	waitMost  = 20 // milliseconds that a wait takes at most
)

// engine is one epoll set: the plain connections of a worker, and its clock.
type engine struct {
	worker *worker
	epoll  int
	timer  int // fires each tick while there is a rate; -1: there is none

	// Guarded by the worker's lock.
	slots []*socket
	free  []int32

	// Owned by run.
	events [512]unix.EpollEvent
	buf    []byte
}

// socket is a link on a descriptor that never blocks.
type socket struct {
	engine *engine
	client *client
	fd     int
	slot   int32
	age    int32 // tells the slot's users apart
	closed bool
}

func newEngine(w *worker) (*engine, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	e := &engine{worker: w, epoll: ep, timer: -1, buf: make([]byte, readBytes)}
	if w.run.cfg.Flow.Rate == 0 {
		return e, nil
	}
	if e.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		e.close()
		return nil, fmt.Errorf("timerfd_create: %w", err)
	}
	at := unix.NsecToTimespec(int64(tick))
	err = unix.TimerfdSettime(e.timer, 0, &unix.ItimerSpec{Interval: at, Value: at}, nil)
	if err == nil {
		err = unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, e.timer, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: timerSlot})
	}
	if err != nil {
		e.close()
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	return e, nil
}

func (e *engine) close() {
	if e.timer >= 0 {
		_ = unix.Close(e.timer)
	}
	_ = unix.Close(e.epoll)
}

// wake is not needed: a wait is short.
func (e *engine) wake() {}

// dial begins a connection. Called with the worker's lock.
func (e *engine) dial(c *client, from netip.Addr) {
	t := e.worker.run.target
	if t.TLS != nil || t.WebSocket != "" {
		dialStream(c, from)
		return
	}
	if err := e.connect(c, t.addr, from); err != nil {
		c.lost(c.link, err)
	}
}

func (e *engine) connect(c *client, to netip.AddrPort, from netip.Addr) error {
	family := unix.AF_INET
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if from.IsValid() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0))); err != nil {
			return errors.Join(fmt.Errorf("bind to %s: %w", from, err), unix.Close(fd))
		}
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil && err != unix.EINPROGRESS {
		return errors.Join(fmt.Errorf("connect: %w", err), unix.Close(fd))
	}
	return e.watch(&socket{engine: e, client: c, fd: fd})
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

func (e *engine) watch(s *socket) error {
	if n := len(e.free); n > 0 {
		s.slot, e.free = e.free[n-1], e.free[:n-1]
		s.age = e.slots[s.slot].age + 1
		e.slots[s.slot] = s
	} else {
		s.slot = int32(len(e.slots))
		e.slots = append(e.slots, s)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: s.slot, Pad: s.age}
	if err := unix.EpollCtl(e.epoll, unix.EPOLL_CTL_ADD, s.fd, &ev); err != nil {
		s.close()
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	s.client.link = s
	return nil
}

// run is the worker's thread; it ends when stop is closed.
func (e *engine) run(stop <-chan struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer e.close()
	w := e.worker
	busy := false
	for {
		select {
		case <-stop:
			return
		default:
		}
		n := e.wait(busy)
		w.mu.Lock()
		w.now = w.run.clock.now()
		for i := range n {
			e.serve(&e.events[i])
		}
		w.keep()
		w.round()
		busy = len(w.dirty) > 0
		w.mu.Unlock()
	}
}

func (e *engine) wait(busy bool) int {
	var n uintptr
	var errno unix.Errno
	if busy {
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.epoll), uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events)), 0, 0, 0)
	} else {
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.epoll), uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events)), waitMost, 0, 0)
	}
	if errno != 0 {
		return 0 // EINTR: nothing else can be wrong with an own epoll set
	}
	return int(n)
}

// serve answers one event.
func (e *engine) serve(ev *unix.EpollEvent) {
	if ev.Fd == timerSlot {
		var b [8]byte
		_, _ = unix.Read(e.timer, b[:])
		e.worker.due()
		return
	}
	s := e.slots[ev.Fd]
	if s.age != ev.Pad || s.closed {
		return
	}
	c := s.client
	if c.state == dialing {
		if err := s.dialed(); err != nil {
			c.lost(s, err)
			return
		}
		if ev.Events&unix.EPOLLOUT == 0 {
			return
		}
		c.opened(s)
	}
	if ev.Events&unix.EPOLLOUT != 0 && c.blocked {
		c.writable(s)
	}
	if ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		e.read(s, ev.Events&^(unix.EPOLLIN|unix.EPOLLOUT) != 0)
	}
}

// dialed is the error of a connection that was begun.
func (s *socket) dialed() error {
	code, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// read reads s dry; hungUp: until its end.
func (e *engine) read(s *socket, hungUp bool) {
	for !s.closed {
		r, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(s.fd), uintptr(unsafe.Pointer(&e.buf[0])), uintptr(len(e.buf)))
		n := int(r)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return
		case errno != 0:
			s.client.lost(s, fmt.Errorf("read: %w", errno))
			return
		case n == 0:
			s.client.lost(s, io.EOF)
			return
		}
		s.client.feed(s, e.buf[:n])
		if n < len(e.buf) && !hungUp {
			return // what comes from now on is an event of its own
		}
	}
}

func (s *socket) write(p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(s.fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		default:
			return 0, fmt.Errorf("write: %w", errno)
		}
	}
}

func (s *socket) close() {
	if s.closed {
		return
	}
	s.closed = true
	_ = unix.Close(s.fd)
	s.engine.free = append(s.engine.free, s.slot)
}
