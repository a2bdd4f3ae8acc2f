package conn

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wakeSlot is what the poller's own eventfd reports as its slot.
const wakeSlot = -1

// nests: a set can be watched in another.
const nests = true

// poller is an epoll set, edge triggered: a descriptor is reported once when
// bytes arrive, and a turn of its connection reads it dry.
type poller struct {
	epoll  int
	wakeup int // eventfd that ends a wait
	events [256]unix.EpollEvent
}

func newPoller() (*poller, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	ev, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("eventfd: %w", err), unix.Close(ep))
	}
	p := &poller{epoll: ep, wakeup: ev}
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wakeSlot}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, ev, &e); err != nil {
		p.close()
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	return p, nil
}

func (p *poller) close() {
	_ = unix.Close(p.epoll)
	_ = unix.Close(p.wakeup)
}

// wake ends a wait. Edge triggered: the counter is never read, each write is an event.
func (p *poller) wake() {
	one := [8]byte{1}
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(p.wakeup), uintptr(unsafe.Pointer(&one)), uintptr(len(one)))
}

// add watches fd and reports it as slot.
func (p *poller) add(fd, slot int32) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: slot}
	return p.control(unix.EPOLL_CTL_ADD, fd, &e)
}

// control is epoll_ctl, which does not block: the scheduler is not told of it.
func (p *poller) control(op uintptr, fd int32, e *unix.EpollEvent) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.epoll), op, uintptr(fd), uintptr(unsafe.Pointer(e)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// addSet watches the whole set of another poller and reports it as slot, as long as
// it has events.
func (p *poller) addSet(o *poller, slot int32) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: slot}
	return p.control(unix.EPOLL_CTL_ADD, int32(o.epoll), &e)
}

// removeSet ends what addSet has begun.
func (p *poller) removeSet(o *poller) { _ = p.control(unix.EPOLL_CTL_DEL, int32(o.epoll), nil) }

// addWritable watches fd also for room to write. Any goroutine.
func (p *poller) addWritable(fd, slot int32) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: slot}
	return p.control(unix.EPOLL_CTL_MOD, fd, &e)
}

// event is the i-th event of the last wait; slot < 0: a wake.
func (p *poller) event(i int) (slot int32, bits uint32) {
	e := &p.events[i]
	if e.Events&unix.EPOLLIN != 0 {
		bits |= readable
	}
	if e.Events&unix.EPOLLOUT != 0 {
		bits |= writable
	}
	if e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		bits |= hangup
	}
	return e.Fd, bits
}

// idle looks for events without telling the scheduler, twice with other
// goroutines let run between: under load a wait that would block is rare, and
// announcing one costs more than the look.
func (p *poller) idle() int {
	if n := p.hold(0); n > 0 {
		return n
	}
	runtime.Gosched()
	return p.hold(0)
}

// hold waits without telling the scheduler: the goroutine keeps its processor.
// Announcing a wait costs more than a small message: on return the scheduler has
// to find a processor and to wake its monitor, which then looks around every 20 µs.
// What wants the world to stop (a garbage collection) interrupts the wait by a
// signal, again every 100 µs until it has been heard.
func (p *poller) hold(timeout time.Duration) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll),
		uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), uintptr(milliseconds(timeout)), 0, 0)
	if errno != 0 {
		runtime.Gosched() // somebody wants the processor
		return 0
	}
	return int(n)
}

// milliseconds rounds up, so that a timer is not looked for before its time;
// negative: for ever.
func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int(min((d+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
}

// wait returns the number of events; it may block for timeout, negative: for
// ever. Other goroutines have the processor meanwhile.
func (p *poller) wait(timeout time.Duration) int {
	n, err := unix.EpollWait(p.epoll, p.events[:], milliseconds(timeout))
	switch {
	case err == nil:
		return n
	case errors.Is(err, unix.EINTR):
		return 0
	}
	panic(fmt.Sprintf("epoll_wait on %d failed: %v", p.epoll, err))
}
