//go:build linux

package main

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/bench/load"
)

// start runs a forwarder for the rest of the test binary's life.
func start(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	go func() { t.Error("the forwarder has ended:", serve(at.String())) }()
	for end := time.Now().Add(10 * time.Second); ; {
		nc, err := net.Dial("tcp", at.String())
		if err == nil {
			_ = nc.Close()
			return at.Port
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// What the comparison runs by the forwarder comes through it whole and in order.
func TestForwards(t *testing.T) {
	port := start(t)
	for _, c := range []load.Config{
		{Kind: load.P2P, Clients: load.Clients{Count: 3}, Flow: load.Flow{Size: 64}},
		{Kind: load.P2P, Clients: load.Clients{Count: 3}, Flow: load.Flow{Size: 64, QoS: 1}},
		{Kind: load.P2P, Clients: load.Clients{Count: 3}, Flow: load.Flow{Size: 64, QoS: 2}},
		{Kind: load.P2P, Clients: load.Clients{Count: 20}, Flow: load.Flow{Size: 64, Window: 1}},
		{Kind: load.Fan, Clients: load.Clients{Count: 5}, Flow: load.Flow{Size: 2000}},
		{Kind: load.Fan, Clients: load.Clients{Count: 5}, Flow: load.Flow{Size: 64, In: true}},
		{Kind: load.Storm, Clients: load.Clients{Count: 4}, Flow: load.Flow{Size: 64}},
	} {
		t.Run(fmt.Sprintf("%s QoS %d window %d in %t", c.Kind, c.Flow.QoS, c.Flow.Window, c.Flow.In), func(t *testing.T) {
			c.Target.Host, c.Target.Port = "127.0.0.1", port
			c.Pace.Warm, c.Pace.Duration = 50*time.Millisecond, 200*time.Millisecond
			r, err := load.Run(t.Context(), c, nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.Lost != 0 || r.OutOfOrder != 0 || r.Failed != 0 {
				t.Errorf("%d lost, %d out of order, %d failed", r.Lost, r.OutOfOrder, r.Failed)
			}
			if r.ReceivedPerSecond == 0 && r.CyclesPerSecond == 0 {
				t.Error("nothing has come through")
			}
		})
	}
}

// A packet is forwarded from whatever pieces it comes in.
func TestPieces(t *testing.T) {
	port := start(t)
	dial := func(wants string, sends ...string) net.Conn {
		nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		for _, s := range sends {
			if _, err := nc.Write([]byte(s)); err != nil {
				t.Fatal(err)
			}
		}
		expect(t, nc, wants)
		return nc
	}
	connect := "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"
	sub := dial("\x20\x02\x00\x00\x90\x03\x00\x01\x00\x90\x03\x00\x02\x00", connect, "\x82\x06\x00\x01\x00\x01t\x00", "\x82\x08\x00\x02\x00\x03w/#\x00")
	dial("\x20\x02\x00\x00\xd0\x00", connect, "\x30", "\x05\x00\x01", "thi\x30\x06\x00\x03w/x", "!\xc0", "\x00")
	expect(t, sub, "\x30\x05\x00\x01thi\x30\x06\x00\x03w/x!")
}

func expect(t *testing.T, nc net.Conn, want string) {
	t.Helper()
	if err := nc.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var got []byte
	b := make([]byte, 64)
	for len(got) < len(want) {
		n, err := nc.Read(b)
		if err != nil {
			t.Fatalf("%q, then %v", got, err)
		}
		got = append(got, b[:n]...)
	}
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
