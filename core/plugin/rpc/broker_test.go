package rpc

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// brokerEnv makes the test binary a broker with one plugin whose code is in the
// file that it names; it prints the plugin's process number and waits.
const brokerEnv = "DUNLIN_TEST_BROKER"

func TestMain(m *testing.M) {
	path := os.Getenv(brokerEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	code, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	inst, err := New(Config{}).Open(context.Background(), spec(code, &services{}, zap.NewNop()))
	if err != nil {
		panic(err)
	}
	fmt.Println(inst.Status().PID)
	select {}
}

// A plugin ends with its broker, also when that is killed.
func TestEndsWithTheBroker(t *testing.T) {
	code, err := plugCode()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "plug")
	if err := os.WriteFile(path, code, 0o755); err != nil {
		t.Fatal(err)
	}
	broker := exec.Command(os.Args[0])
	broker.Env = append(os.Environ(), brokerEnv+"="+path)
	out, err := broker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || !alive(pid) {
		t.Fatalf("plugin process %q: %v", line, err)
	}
	if err := broker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = broker.Wait() // it was killed
	eventually(t, "the plugin is gone", func() bool { return !alive(pid) })
}
