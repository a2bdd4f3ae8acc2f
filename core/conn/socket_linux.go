package conn

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// errAgain is readSocket's answer when nothing has arrived.
const errAgain = unix.EAGAIN

// The calls below never block, so the scheduler is not told of them: telling it
// costs as much as a small read, and under load its monitor takes the processor
// away from a loop that is about to come back. A call moves at most loopBuffer
// bytes, which bounds how long a garbage collection can wait for it.

// readSocket reads what has arrived; 0 without error is the end of the stream.
func readSocket(fd int32, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// writeSocket writes p until the socket takes no more; that is no error.
func writeSocket(fd int32, p []byte) (int, error) {
	for done := 0; ; {
		part := p[done:min(len(p), done+loopBuffer)]
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(part))), uintptr(len(part)))
		switch errno {
		case 0:
			if done += int(n); done == len(p) {
				return done, nil
			}
		case unix.EAGAIN:
			return done, nil
		case unix.EINTR:
		default:
			return done, errno
		}
	}
}

func shutSocket(fd int32) { _, _, _ = unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0) }

// closeSocket does not wait for what is sent and not acknowledged: the kernel goes
// on with that.
func closeSocket(fd int32) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }
