package rpc

import (
	"bytes"
	"encoding/json"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// maxLine bounds one line of a plugin's stderr; the rest is cut off.
const maxLine = 8 << 10

// stderr turns what a process writes there into lines of the plugin's log:
// hclog's JSON with its level and fields, anything else as it is. One goroutine
// writes.
type stderr struct {
	log  *zap.Logger
	line []byte
}

// Write takes any piece of the output.
func (s *stderr) Write(b []byte) (int, error) {
	n := len(b)
	for {
		piece, rest, end := bytes.Cut(b, []byte{'\n'})
		s.line = append(s.line, piece[:min(len(piece), maxLine-len(s.line))]...)
		if !end {
			return n, nil
		}
		if len(s.line) > 0 {
			s.emit(s.line)
		}
		s.line = s.line[:0]
		b = rest
	}
}

// emit logs one line.
func (s *stderr) emit(line []byte) {
	var entry map[string]any
	if line[0] != '{' || json.Unmarshal(line, &entry) != nil {
		s.log.Info(string(line), zap.String("from", "stderr"))
		return
	}
	text, _ := entry["@message"].(string)
	level := zapcore.InfoLevel
	switch entry["@level"] {
	case "trace", "debug":
		level = zapcore.DebugLevel
	case "warn":
		level = zapcore.WarnLevel
	case "error":
		level = zapcore.ErrorLevel
	}
	var fields []zap.Field
	for k, v := range entry {
		if k != "@message" && k != "@level" && k != "@timestamp" {
			fields = append(fields, zap.Any(k, v))
		}
	}
	s.log.Log(level, text, fields...)
}
