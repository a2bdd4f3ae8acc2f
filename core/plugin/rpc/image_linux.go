package rpc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// image is the plugin's executable as it was hashed, in sealed memory: what
// lies on disk may change, what runs does not.
type image struct{ file *os.File }

// newImage copies code into a sealed memory file that is open for reading only,
// since a file that somebody can write is not executed.
func newImage(name string, code []byte) (*image, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("dunlin-"+name, flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // a kernel before 6.3
		fd, err = unix.MemfdCreate("dunlin-"+name, flags)
	}
	if err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	path := fmt.Sprintf("/proc/self/fd/%d", fd)
	w := os.NewFile(uintptr(fd), path)
	defer w.Close() //nolint:errcheck // it was only written
	if _, err := w.Write(code); err != nil {
		return nil, err
	}
	if err := w.Chmod(0o500); err != nil {
		return nil, err
	}
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &image{file: r}, nil
}

// command runs the image. The file is passed on, so that a script's interpreter
// can read it too.
func (i *image) command(name string) *exec.Cmd {
	return &exec.Cmd{Path: "/proc/self/fd/3", Args: []string{name}, ExtraFiles: []*os.File{i.file}}
}

func (i *image) close() error { return i.file.Close() }
