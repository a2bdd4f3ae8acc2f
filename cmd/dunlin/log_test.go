package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/config"
)

func TestLogGoesWhereItIsAsked(t *testing.T) {
	for _, c := range []struct {
		name          string
		console, file bool
	}{{"console", true, false}, {"file", false, true}, {"both", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			var console bytes.Buffer
			path := filepath.Join(t.TempDir(), "log", "dunlin.log")
			cfg := config.Log{Level: "warning", Format: "text", Console: c.console}
			if c.file {
				cfg.File = path
			}
			log, err := newLogger(cfg, &console)
			if err != nil {
				t.Fatal(err)
			}
			log.Info("too quiet")
			log.Warn("hear this", zap.Int("n", 1))
			if err := log.close(); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(path)
			if c.file != (err == nil) {
				t.Errorf("the file: %v", err)
			}
			for where, got := range map[string]string{"console": console.String(), "file": string(text)} {
				want := where == "console" && c.console || where == "file" && c.file
				if strings.Contains(got, "WARN hear this {\"n\": 1}") != want || strings.Contains(got, "too quiet") {
					t.Errorf("%s has %q", where, got)
				}
			}
		})
	}
}

func TestLogInJSON(t *testing.T) {
	var console bytes.Buffer
	log, err := newLogger(config.Log{Level: "info", Format: "json", Console: true}, &console)
	if err != nil {
		t.Fatal(err)
	}
	log.Named("conn").Info("hello", zap.String("clientid", "c1"))
	var line map[string]any
	if err := json.Unmarshal(console.Bytes(), &line); err != nil || line["msg"] != "hello" || line["clientid"] != "c1" || line["logger"] != "conn" || line["level"] != "info" {
		t.Errorf("line is %s (%v)", console.Bytes(), err)
	}
}
