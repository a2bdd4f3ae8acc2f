package conn

import "golang.org/x/sys/unix"

// errAgain is readSocket's answer when nothing has arrived.
const errAgain = unix.EAGAIN

// readSocket reads what has arrived; 0 without error is the end of the stream.
func readSocket(fd int32, p []byte) (int, error) {
	for {
		n, err := unix.Read(int(fd), p)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// writeSocket writes p until the socket takes no more; that is no error.
func writeSocket(fd int32, p []byte) (int, error) {
	for done := 0; ; {
		n, err := unix.Write(int(fd), p[done:])
		switch err {
		case nil:
			if done += n; done == len(p) {
				return done, nil
			}
		case unix.EAGAIN:
			return done, nil
		case unix.EINTR:
		default:
			return done, err
		}
	}
}

func shutSocket(fd int32) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) }

func closeSocket(fd int32) { _ = unix.Close(int(fd)) }
