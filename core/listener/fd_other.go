//go:build !linux

package listener

import "errors"

// closeFD is never reached: only Linux listeners hand over descriptors.
func closeFD(int) error { return errors.New("no raw descriptors on this system") }
