// Command mochi is mochi-mqtt/server as its own main makes it, for `make bench`.
package main

import (
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:1883", "address of the MQTT listener")
	flag.String("dir", "", "not used: mochi keeps nothing")
	flag.Parse()
	if err := serve(*addr); err != nil {
		slog.Error(err.Error())
		os.Exit(1)
	}
}

func serve(addr string) error {
	caps := mqtt.NewDefaultServerCapabilities()
	caps.ReceiveMaximum, caps.MaximumInflight = 1000, 1000 // as every broker of the comparison
	s := mqtt.New(&mqtt.Options{Capabilities: caps, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
		return err
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
