// Command nats is nats-server with its MQTT listener, for `make bench`.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:1883", "address of the MQTT listener")
	dir := flag.String("dir", os.TempDir(), "where JetStream keeps sessions")
	flag.Parse()
	if err := serve(*addr, *dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(addr, dir string) error {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "bench", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true,
		JetStream: true, StoreDir: dir,
		MQTT: server.MQTTOpts{Host: at.Addr().String(), Port: int(at.Port()), MaxAckPending: 1000}, // as every broker of the comparison
	})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return errors.New("nats-server does not listen")
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	<-end
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}
