package listener

import (
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

func closeFD(fd int) error { return unix.Close(fd) }

// readFD reads what has arrived. It does not block, so the scheduler is not told.
func readFD(fd int, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch {
		case errno == 0 && n == 0 && len(p) > 0:
			return 0, io.EOF
		case errno == 0:
			return int(n), nil
		case errno == unix.EAGAIN:
			return 0, ErrDry
		case errno != unix.EINTR:
			return 0, errno
		}
	}
}
