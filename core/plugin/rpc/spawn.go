package rpc

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
)

// spawner starts processes from one thread that lives as long as it does: Linux
// ties a process's parent-death signal to the thread that started it, and an
// ordinary Go thread may end at any time.
type spawner struct {
	work chan func()
	stop chan struct{}
	done chan struct{}
	once sync.Once
}

func newSpawner() *spawner {
	s := &spawner{work: make(chan func()), stop: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *spawner) run() {
	runtime.LockOSThread() // not unlocked: the thread ends with the goroutine
	defer close(s.done)
	for {
		select {
		case f := <-s.work:
			f()
		case <-s.stop:
			return
		}
	}
}

// start runs c.Start on the thread.
func (s *spawner) start(c *exec.Cmd) error {
	err := make(chan error, 1)
	select {
	case s.work <- func() { err <- c.Start() }:
		return <-err
	case <-s.done:
		return errors.New("the transport is closed")
	}
}

func (s *spawner) close() {
	s.once.Do(func() { close(s.stop) })
	<-s.done
}

// child is one process as go-plugin wants to see it (runner.Runner).
type child struct {
	cmd    *exec.Cmd
	name   string
	spawn  *spawner
	stdout io.ReadCloser
	stderr io.ReadCloser
	exited chan struct{} // closed when the process was reaped

	mu   sync.Mutex
	pid  int  // guarded by mu; 0: not started
	over bool // guarded by mu: reaped, its number may belong to another
}

func newChild(s *spawner, c *exec.Cmd) (*child, error) {
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	errs, err := c.StderrPipe()
	if err != nil {
		return nil, err
	}
	isolate(c)
	return &child{cmd: c, name: c.Args[0], spawn: s, stdout: out, stderr: errs, exited: make(chan struct{})}, nil
}

// Start starts the process.
func (c *child) Start(context.Context) error {
	if err := c.spawn.start(c.cmd); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pid = c.cmd.Process.Pid
	return nil
}

// Wait waits for the process's end.
func (c *child) Wait(context.Context) error {
	err := c.cmd.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	close(c.exited)
	return err
}

// Kill kills the process and what it started.
func (c *child) Kill(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pid == 0 || c.over {
		return nil
	}
	return killGroup(c.cmd)
}

// Stdout carries the handshake.
func (c *child) Stdout() io.ReadCloser { return c.stdout }

// Stderr carries the plugin's log.
func (c *child) Stderr() io.ReadCloser { return c.stderr }

// Name is the plugin's name.
func (c *child) Name() string { return c.name }

// ID is the process number; "" before the start.
func (c *child) ID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pid == 0 {
		return ""
	}
	return strconv.Itoa(c.pid)
}

// Diagnose has nothing to add: errors of the start are clear by themselves.
func (c *child) Diagnose(context.Context) string { return "" }

// PluginToHost leaves addresses as they are.
func (c *child) PluginToHost(network, addr string) (string, string, error) { return network, addr, nil }

// HostToPlugin leaves addresses as they are.
func (c *child) HostToPlugin(network, addr string) (string, string, error) { return network, addr, nil }
