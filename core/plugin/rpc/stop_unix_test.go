//go:build unix

package rpc

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A stopped process misses its pings and is replaced; who waits gets its answer.
func TestStopped(t *testing.T) {
	r := open(t, Config{Ping: 100 * time.Millisecond}, nil)
	pid := r.pid()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has stopped", func() bool {
		state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return strings.Contains(string(state), ") T ")
	})
	if got, err := r.ask("fine"); err != nil || got[0] != "fine" {
		t.Errorf("%q, %v", got, err)
	}
	eventually(t, "the old process is gone", func() bool { return !alive(pid) })
	if st := r.inst.Status(); st.Restarts != 1 {
		t.Errorf("status %+v", st)
	}
}
