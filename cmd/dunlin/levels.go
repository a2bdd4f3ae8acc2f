package main

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/dunlinmq/dunlin/core/admin"
)

// levels are the levels of the log, by the name of the logger; "" is all others.
// It implements admin.Levels.
type levels struct {
	mu    sync.Mutex // held by writers
	table atomic.Pointer[map[string]zapcore.Level]
}

func newLevels(all zapcore.Level) *levels {
	l := new(levels)
	l.table.Store(&map[string]zapcore.Level{"": all})
	return l
}

// parseLevel knows EMQ X's levels too: those that the log does not have count as
// the next below.
func parseLevel(s string) (zapcore.Level, error) {
	switch s {
	case "notice":
		return zapcore.InfoLevel, nil
	case "warning":
		return zapcore.WarnLevel, nil
	case "critical", "alert", "emergency":
		return zapcore.ErrorLevel, nil
	}
	return zapcore.ParseLevel(s)
}

// Levels implements admin.Levels.
func (l *levels) Levels() map[string]string {
	names := map[string]string{}
	for logger, level := range *l.table.Load() {
		names[logger] = level.String()
		if level == zapcore.WarnLevel {
			names[logger] = "warning"
		}
	}
	return names
}

// SetLevel implements admin.Levels.
func (l *levels) SetLevel(logger, level string) error {
	v, err := parseLevel(level)
	if err != nil {
		return fmt.Errorf("%w: %w", admin.ErrInvalid, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	table := maps.Clone(*l.table.Load())
	if _, own := table[logger]; !own && len(table) > maxLevels {
		return fmt.Errorf("%w: %d loggers have levels of their own", admin.ErrState, maxLevels)
	}
	table[logger] = v
	l.table.Store(&table)
	return nil
}

// maxLevels bounds the loggers that have levels of their own.
const maxLevels = 100

// of is the level of a logger: its own, or that of the nearest above it.
func (l *levels) of(logger string) zapcore.Level {
	table := *l.table.Load()
	for len(table) > 1 && logger != "" {
		if v, ok := table[logger]; ok {
			return v
		}
		logger = logger[:max(0, strings.LastIndexByte(logger, '.'))]
	}
	return table[""]
}

// leveled is a core that asks levels by the logger's name.
type leveled struct {
	zapcore.Core
	levels *levels
}

// With implements zapcore.Core.
func (c leveled) With(fields []zap.Field) zapcore.Core { return leveled{c.Core.With(fields), c.levels} }

// Enabled implements zapcore.LevelEnabler: some logger may write at the level.
func (c leveled) Enabled(level zapcore.Level) bool {
	for _, v := range *c.levels.table.Load() {
		if level >= v {
			return true
		}
	}
	return false
}

// Check implements zapcore.Core.
func (c leveled) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Level < c.levels.of(e.LoggerName) {
		return to
	}
	return to.AddCore(e, c.Core)
}
