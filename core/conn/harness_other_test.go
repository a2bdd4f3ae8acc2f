//go:build !linux

package conn_test

import (
	"net"

	"github.com/dunlinmq/dunlin/core/listener"
)

// takeFD has no descriptors to make here.
func takeFD(c net.Conn) (listener.Accepted, error) { return listener.Accepted{Conn: c}, nil }

func takePipe(c net.Conn) (listener.Accepted, error) { return takeFD(c) }
