//go:build unix

// Package rdbtest is what every driver of a relational database has to do, against the
// real server. It owns the steps. It refuses to know a database.
package rdbtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
)

// Server is a database server of a test, which can be killed and started again.
type Server struct {
	T    *testing.T
	Dir  string // of its data
	Port string
	Args func(s *Server) []string

	cmd   *exec.Cmd
	ended chan error
}

// New makes a directory that the user named may write, and finds a free port. A test
// that runs as another than root keeps its own user.
func New(t *testing.T, name string, args func(s *Server) []string) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "db")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if c := credential(name); c != nil {
		if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	s := &Server{T: t, Dir: dir, Port: port, Args: args}
	t.Cleanup(func() {
		s.Kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

func credential(name string) *syscall.Credential {
	u, err := user.Lookup(name)
	if os.Getuid() != 0 || err != nil {
		return nil
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// Command is a command that runs as the user named.
func Command(name string, args ...string) *exec.Cmd {
	c := exec.Command(args[0], args[1:]...)
	c.Dir = os.TempDir()
	c.SysProcAttr = &syscall.SysProcAttr{Credential: credential(name), Setpgid: true}
	return c
}

// Start starts the server as the user named.
func (s *Server) Start(name string) {
	s.T.Helper()
	s.cmd = Command(name, s.Args(s)...)
	if err := s.cmd.Start(); err != nil {
		s.T.Fatal(err)
	}
	s.ended = make(chan error, 1)
	cmd, ended := s.cmd, s.ended
	go func() { ended <- cmd.Wait() }()
}

// Kill ends the server and what it has started, as a power cut would.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.ended
	s.cmd = nil
}

// Eventually waits for a condition.
func Eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); {
		if err = ok(); err == nil {
			return
		}
		tick := time.NewTimer(50 * time.Millisecond)
		<-tick.C
	}
	t.Fatalf("not in 90 s: %s: %v", what, err)
}

func item(format string, args ...any) sink.Item {
	return sink.Item{Action: "rule/a", Row: fmt.Appendf(nil, format, args...)}
}

// Run drives a driver whose server has the table r(id int primary key, t float, o
// text). count is "rows of the table, sum of t, some o". restart kills the server and
// starts it again.
func Run(t *testing.T, d sink.Resource, count func() string, restart func()) {
	t.Helper()
	Eventually(t, "the server answers", func() error { return d.Check(t.Context()) })
	if err := d.Bind("rule/a", params.New(map[string]any{"sql": "INSERT INTO r(id, t, o) VALUES (${id}, '${t}', ${o})"})); err != nil {
		t.Fatal(err)
	}
	if err := d.Bind("rule/b", params.New(map[string]any{"sql": "INSERT INTO r(id) VALUES (${id"})); err == nil {
		t.Error("a broken template was taken")
	}
	if err := d.Write(t.Context(), []sink.Item{item(`{"id":1,"t":1.5,"o":{"a":"it's; DROP TABLE r"}}`), item(`{"id":2,"t":2}`)}); err != nil {
		t.Fatal(err)
	}
	err := d.Write(t.Context(), []sink.Item{item(`{"id":3,"t":3}`), item(`{"id":"x","t":1}`), item(`{"id":2,"t":100}`), item(`{"id":4,"t":4}`), {Action: "gone", Row: []byte(`{}`)}})
	var bad *sink.Bad
	if !errors.As(err, &bad) || len(bad.Items) != 3 || bad.Items[1] == nil || bad.Items[2] == nil || !errors.Is(bad.Items[4], sink.ErrUnbound) {
		t.Fatalf("refused: %v, %v", err, bad)
	}
	if got, want := count(), `4 10.5 {"a":"it's; DROP TABLE r"}`; got != want {
		t.Errorf("the table has %s, want %s", got, want)
	}
	restart()
	rows := []sink.Item{item(`{"id":5,"t":5}`)}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if err := d.Write(ctx, rows); err == nil || errors.As(err, &bad) {
		t.Errorf("without time: %v", err)
	}
	Eventually(t, "it is written after a restart", func() error { return d.Write(t.Context(), rows) })
	if got, want := count(), `5 15.5 {"a":"it's; DROP TABLE r"}`; got != want {
		t.Errorf("then the table has %s, want %s", got, want)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
