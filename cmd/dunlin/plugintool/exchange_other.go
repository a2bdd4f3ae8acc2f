//go:build !linux

package plugintool

import "errors"

// exchange swaps two folders in one step, which only Linux offers.
func exchange(_, _ string) error { return errors.ErrUnsupported }
