package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// crowdKeepAlive is in seconds: a crowd is pinging while it is measured beside.
const crowdKeepAlive = 30

// amid runs a row while as many others are connected as idle rows have. They are
// the load of another process: one may open as many descriptors as a broker may.
// What of the crowd does not stay counts as lost.
func amid(r row) row {
	inner := r.run
	r.Name += " amid a crowd"
	r.fresh, r.own = true, true
	r.run = func(ctx context.Context, i *instance, s scale) (out sample, err error) {
		c, err := gather(ctx, i, s)
		if err != nil {
			return out, err
		}
		out, err = inner(ctx, i, s)
		gone, end := c.disperse()
		if err == nil {
			err = end
		}
		out.Lost += gone
		return out, err
	}
	return r
}

// crowd is a running `dunlin bench conn`.
type crowd struct {
	cmd       *exec.Cmd
	out, errs bytes.Buffer
}

// gather connects the clients to the broker's first port, and waits until they are.
func gather(ctx context.Context, i *instance, s scale) (*crowd, error) {
	n := s.connections
	c := &crowd{cmd: exec.CommandContext(ctx, i.broker.path, "bench", "conn", "-h", "127.0.0.1", "-p", strconv.Itoa(i.ports[0]),
		"-c", strconv.Itoa(n), "-i", "0", "-k", strconv.Itoa(crowdKeepAlive), "-d", "1h", "-o", "json")}
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.errs
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the crowd: %w", err)
	}
	limit := time.After(2 * time.Minute)
	for {
		now, err := sockets(c.cmd.Process.Pid)
		if err == nil && now >= n {
			pause(ctx, s.calm) // until the garbage of the handshakes is given back
			return c, ctx.Err()
		}
		select {
		case <-time.After(100 * time.Millisecond):
			continue
		case <-ctx.Done():
			err = ctx.Err()
		case <-limit:
			err = fmt.Errorf("%d of a crowd of %d have connected", now, n)
		}
		_, _ = c.disperse()
		return nil, err
	}
}

// disperse ends the crowd and tells how many of it had gone before.
func (c *crowd) disperse() (gone uint64, err error) {
	_ = c.cmd.Process.Signal(os.Interrupt)
	if err := c.cmd.Wait(); err != nil {
		return 0, fmt.Errorf("the crowd: %w: %s", err, bytes.TrimSpace(c.errs.Bytes()))
	}
	var r struct {
		Failed uint64
		Closed uint64 `json:"closed_by_broker"`
	}
	if err := json.Unmarshal(c.out.Bytes(), &r); err != nil {
		return 0, fmt.Errorf("read what the crowd says: %w", err)
	}
	return r.Failed + r.Closed, nil
}

// sockets is how many a process has open.
func sockets(pid int) (n int, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	open, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("count sockets (Linux only): %w", err)
	}
	for _, fd := range open {
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n, nil
}
