package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
)

// crashDump lets the runtime write crashes of this process to log/crash.dump,
// behind older ones, and returns what ends that: an empty file is removed.
func crashDump(dir string) (end func() error, _ error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the log directory: %w", err)
	}
	path := filepath.Join(dir, "crash.dump")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open the crash dump: %w", err)
	}
	err = debug.SetCrashOutput(f, debug.CrashOptions{}) // it keeps a descriptor of its own
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("direct crashes: %w", err)
	}
	return func() error {
		err := debug.SetCrashOutput(nil, debug.CrashOptions{})
		if fi, stat := os.Stat(path); stat == nil && fi.Size() == 0 {
			err = errors.Join(err, os.Remove(path))
		}
		return err
	}, nil
}
