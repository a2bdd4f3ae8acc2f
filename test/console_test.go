package test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// openPTY makes a terminal of 120 columns: the operator's end and the program's.
func openPTY(t *testing.T) (operator, program *os.File) {
	t.Helper()
	operator, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { operator.Close() })
	if err := unix.IoctlSetPointerInt(int(operator.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(operator.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(program.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120}); err != nil {
		t.Fatal(err)
	}
	return operator, program
}

// TestConsole: in a terminal the console has a prompt, answers ctl commands,
// edits and completes lines, and quit stops the broker cleanly.
func TestConsole(t *testing.T) {
	t.Parallel()
	b := prepared(t, setup{})
	b.log = new(lockedBuffer)
	operator, program := openPTY(t)
	cmd := exec.Command(binary, "console", "--home", b.home)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	read := make(chan struct{})
	go func() { defer close(read); _, _ = io.Copy(b.log, operator) }()
	seen := 0
	expect := func(want string) {
		t.Helper()
		b.eventually(want, func() bool {
			text := b.log.String()
			i := strings.Index(text[seen:], want)
			if i >= 0 {
				seen += i + len(want)
			}
			return i >= 0
		})
	}
	types := func(s string) {
		t.Helper()
		if _, err := io.WriteString(operator, s); err != nil {
			t.Fatal(err)
		}
	}
	expect("quit stops the broker.")
	expect("dunlin> ")
	if err := b.status(); err != nil {
		t.Fatal(err)
	}
	c := b.dial(v5)
	c.connect("sensor-7")
	types("clients list\r")
	expect("sensor-7")
	expect("dunlin> ")
	types("clixx\x7f\x7f\tshow sen\t\r") // two letters taken back, two words completed
	expect("clients show sensor-7")
	expect("proto_ver")
	types("\x1b[A\r") // the line before
	expect("clients show sensor-7")
	expect("proto_ver")
	types("nonsense\r")
	expect("unknown command")
	types("quit\r")
	if err := <-ended; err != nil {
		t.Errorf("the console ended with %v\n%s", err, b.log)
	}
	if code := c.closed(); code == 0 {
		t.Error("a 5.0 client was told nothing")
	}
	state, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
	if err != nil || state.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal is left raw: %+v, %v", state, err)
	}
	program.Close()
	operator.Close()
	<-read
}
