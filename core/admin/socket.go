package admin

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// SocketPath is where a node with this data directory listens.
func SocketPath(dataDir string) string { return filepath.Join(dataDir, "admin.sock") }

func lockPath(dataDir string) string { return filepath.Join(dataDir, "node.lock") }

// maxSocketPath is what sockaddr_un holds on every system that we run on.
const maxSocketPath = 103

// openSocket listens at path with mode 0600. The caller holds the directory's
// lock, so a socket that is already there is a dead node's. The socket is made
// in a private directory and moved, so that it is never open to others.
func openSocket(dir, path string) (net.Listener, error) {
	private, err := os.MkdirTemp(dir, ".s")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	fresh := filepath.Join(private, "s")
	if n := max(len(path), len(fresh)); n > maxSocketPath {
		return nil, fmt.Errorf("%s: a socket's path may have %d bytes and this would have %d: choose a shorter data directory", path, maxSocketPath, n)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: fresh})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(fresh, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	if err := replace(fresh, path); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// replace moves a socket over what a dead node left at path. It refuses to
// replace what is not a socket.
func replace(fresh, path string) error {
	if fi, err := os.Lstat(path); err == nil && fi.Mode().Type() != fs.ModeSocket && fi.Mode().Type() != fs.ModeIrregular {
		return fmt.Errorf("%s is in the way and is no socket", path)
	}
	return os.Rename(fresh, path)
}

// lock is a held lock file. The system frees it when the process ends, however.
type lock struct{ file *os.File }

// acquire takes the lock at path and writes this process's id into it.
func acquire(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := lockFile(f); err != nil {
		f.Close()
		owner := ""
		if pid := ownerOf(path); pid != 0 {
			owner = fmt.Sprintf(" (process %d)", pid)
		}
		return nil, fmt.Errorf("%w%s with the data directory %s", ErrRunning, owner, filepath.Dir(path))
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		if err == nil {
			return &lock{f}, nil
		}
	}
	f.Close()
	return nil, fmt.Errorf("write the lock of the data directory: %w", err)
}

// release is idempotent. The file stays: removing it would let two nodes lock
// two files of one name.
func (l *lock) release() error {
	if l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	if err := f.Truncate(0); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// ownerOf reads the process id that a running node wrote; 0: unknown.
func ownerOf(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 0 {
		return 0
	}
	return pid
}

// Running tells whether a node has this data directory. While it looks, a node
// that starts at the same moment may find the directory taken.
func Running(dataDir string) bool {
	f, err := os.OpenFile(lockPath(dataDir), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return lockFile(f) != nil
}
