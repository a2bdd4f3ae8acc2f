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
// log.to = "console" writes. The returned function flushes and closes.
func newLogger(c config.Log, console io.Writer) (*zap.Logger, func() error, error) {
	level, err := zapcore.ParseLevel(c.Level)
	if err != nil {
		return nil, nil, fmt.Errorf("log.level: %w", err)
	}
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
	shut := func() error { return nil }
	if c.Console {
		sinks = append(sinks, zapcore.Lock(zapcore.AddSync(console)))
	}
	if c.File != "" {
		if err := os.MkdirAll(filepath.Dir(c.File), 0o750); err != nil {
			return nil, nil, fmt.Errorf("make the log directory: %w", err)
		}
		f, err := os.OpenFile(c.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			return nil, nil, fmt.Errorf("open the log: %w", err)
		}
		sinks, shut = append(sinks, zapcore.Lock(f)), f.Close
	}
	return zap.New(zapcore.NewCore(form, zapcore.NewMultiWriteSyncer(sinks...), level)), shut, nil
}
