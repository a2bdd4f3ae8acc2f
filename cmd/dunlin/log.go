package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/dunlinmq/dunlin/core/config"
)

// newLogger builds the log that the configuration asks for. console is where
// log.to = "console" writes. The caller closes it.
func newLogger(c config.Log, console io.Writer) (*logger, error) {
	level, err := parseLevel(c.Level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	l := &logger{levels: newLevels(level), level: c.Level}
	encoder := zap.NewProductionEncoderConfig()
	encoder.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoder.EncodeDuration = zapcore.StringDurationEncoder
	form := zapcore.NewJSONEncoder(encoder)
	if c.Format == "text" {
		encoder.EncodeTime = func(t time.Time, to zapcore.PrimitiveArrayEncoder) {
			to.AppendString(t.Format("2006-01-02T15:04:05.000Z07:00"))
		}
		encoder.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder.ConsoleSeparator = " "
		form = zapcore.NewConsoleEncoder(encoder)
	}
	var sinks []zapcore.WriteSyncer
	if c.Console {
		sinks = append(sinks, zapcore.Lock(zapcore.AddSync(console)))
	}
	if c.File != "" {
		if err := os.MkdirAll(filepath.Dir(c.File), 0o750); err != nil {
			return nil, fmt.Errorf("make the log directory: %w", err)
		}
		if l.file, err = openRotating(c.File, bounds{c.RotateSize, c.RotateCount}); err != nil {
			return nil, fmt.Errorf("open the log: %w", err)
		}
		sinks = append(sinks, l.file)
	}
	all := zapcore.NewCore(form, zapcore.NewMultiWriteSyncer(sinks...), zapcore.DebugLevel)
	l.Logger = zap.New(leveled{all, l.levels})
	return l, nil
}

// logger is the node's log with what can be changed while it is written.
type logger struct {
	*zap.Logger
	levels *levels
	file   *rotating // nil: not to a file
	level  string    // of the configuration; owned by whoever reloads
}

// configure puts a new level and new bounds in force. A level that was set by
// hand stays while the configuration's is the same.
func (l *logger) configure(c config.Log) {
	if c.Level != l.level {
		l.level = c.Level
		_ = l.levels.SetLevel("", c.Level) // config knows the names
	}
	if l.file != nil {
		l.file.bound(bounds{c.RotateSize, c.RotateCount})
	}
}

// reopen opens the file anew, after another program has moved it.
func (l *logger) reopen() error {
	if l.file == nil {
		return nil
	}
	return l.file.reopen()
}

// close flushes and closes; nothing may be logged afterwards.
func (l *logger) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
