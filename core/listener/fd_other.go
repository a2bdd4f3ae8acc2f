//go:build !linux

package listener

import "errors"

// closeFD is never reached: only Linux listeners hand over descriptors.
func closeFD(int) error { return errNoFD }

// readFD is never reached either.
func readFD(int, []byte) (int, error) { return 0, errNoFD }

var errNoFD = errors.New("no raw descriptors on this system")
