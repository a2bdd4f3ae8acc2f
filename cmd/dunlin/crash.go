package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"go.uber.org/zap"
)

// crashDump lets the runtime write crashes of this process to log/crash.dump,
// behind older ones, of which the log is told, and returns what ends that: an
// empty file is removed.
func crashDump(dir string, log *zap.Logger) (end func() error, _ error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the log directory: %w", err)
	}
	path := filepath.Join(dir, "crash.dump")
	if fi, err := os.Stat(path); err == nil && fi.Size() > 0 {
		log.Warn("there is a dump of an earlier crash: report it, then remove the file", zap.String("file", path), zap.Time("of", fi.ModTime()))
	}
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
