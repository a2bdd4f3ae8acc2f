// Command mochi is mochi-mqtt/server as its own main makes it, for `make bench`, or
// with its Pebble hook, for `make bench-durable`.
package main

import (
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/hooks/storage/pebble"
	"github.com/mochi-mqtt/server/v2/listeners"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:1883", "address of the MQTT listener")
	dir := flag.String("dir", "", "where it keeps what it keeps")
	keep := flag.String("keep", "", "keep by the Pebble hook: nosync or sync; empty: nothing is kept")
	flag.Parse()
	if err := serve(*addr, *dir, *keep); err != nil {
		slog.Error(err.Error())
		os.Exit(1)
	}
}

func serve(addr, dir, keep string) error {
	caps := mqtt.NewDefaultServerCapabilities()
	caps.ReceiveMaximum, caps.MaximumInflight = 1000, 1000 // as every broker of the comparison
	if keep != "" {
		caps.MaximumInflight = 65_000 // what waits for a client that is away counts, too
	}
	s := mqtt.New(&mqtt.Options{Capabilities: caps, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
		return err
	}
	if keep != "" {
		if err := s.AddHook(new(pebble.Hook), &pebble.Options{Path: filepath.Join(dir, "db"), Mode: keep}); err != nil {
			return err
		}
	}
	if err := s.AddListener(listeners.NewTCP(listeners.Config{ID: "tcp", Address: addr})); err != nil {
		return err
	}
	if err := s.Serve(); err != nil {
		return err
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
	return s.Close()
}
