package conn_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/conn"
	"github.com/dunlinmq/dunlin/core/router"
)

const benchMessage = 80

// forwarder is the cheapest machine: all that comes in goes to the other one.
type forwarder struct {
	to    atomic.Pointer[forwarder]
	total *atomic.Int64

	mu   sync.Mutex // guards what follows
	wake conn.Waker
	mail []byte
}

// machine is f as Serve wants it.
func (f *forwarder) machine(w conn.Waker) conn.Machine {
	f.mu.Lock()
	f.wake = w
	f.mu.Unlock()
	return f
}

func (f *forwarder) Input(io *channel.IO, b []byte) int {
	n := len(b) - len(b)%benchMessage
	to := f.to.Load()
	for p := b[:n]; len(p) > 0; p = p[benchMessage:] {
		to.deliver(io.Batch, p[:benchMessage]) // one at a time, as PUBLISHes are
	}
	f.total.Add(int64(n / benchMessage))
	return n
}

func (f *forwarder) deliver(b *router.Batch, p []byte) {
	f.mu.Lock()
	f.mail = append(f.mail, p...)
	wake := f.wake
	f.mu.Unlock()
	wake.Wake(b)
}

func (f *forwarder) Run(io *channel.IO) {
	f.mu.Lock()
	io.Out = append(io.Out, f.mail...)
	f.mail = f.mail[:0]
	f.mu.Unlock()
}

func (f *forwarder) Tick(*channel.IO) {}

func (f *forwarder) Lost(*channel.IO, error) {}

// TestBenchLoad is the load of BenchmarkForward in a process of its own.
func TestBenchLoad(t *testing.T) {
	addr := os.Getenv("CONN_BENCH_ADDR")
	if addr == "" {
		return
	}
	window, _ := strconv.Atoi(os.Getenv("CONN_BENCH_WINDOW"))
	pairs, _ := strconv.Atoi(os.Getenv("CONN_BENCH_PAIRS"))
	rate, _ := strconv.Atoi(os.Getenv("CONN_BENCH_RATE"))
	var wg sync.WaitGroup
	for range pairs {
		pub, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		sub, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { drive(pub, sub, window, rate/max(pairs, 1)) })
	}
	wg.Wait()
}

// drive keeps window messages on their way, or sends rate a second, until the
// engine ends.
func drive(pub, sub net.Conn, window, rate int) {
	buf := make([]byte, 64<<10)
	if rate > 0 {
		go func() { _, _ = io.Copy(io.Discard, sub) }()
		for range time.Tick(time.Second / time.Duration(rate)) {
			if _, err := pub.Write(buf[:benchMessage]); err != nil {
				return
			}
		}
	}
	if _, err := pub.Write(make([]byte, window*benchMessage)); err != nil {
		return
	}
	for owed := 0; ; {
		n, err := sub.Read(buf)
		if err != nil {
			return
		}
		owed += n
		whole := owed / benchMessage * benchMessage
		owed -= whole
		if _, err := pub.Write(buf[:whole]); err != nil {
			return
		}
	}
}

// BenchmarkForward reports the engine's CPU time per message, the load being in
// another process.
func BenchmarkForward(b *testing.B) {
	for name, accept := range accepts {
		b.Run(name+"/pairs=10/window=100", func(b *testing.B) { forward(b, accept, 10, 100, 0) })
		b.Run(name+"/pairs=500/window=1", func(b *testing.B) { forward(b, accept, 500, 1, 0) })
		b.Run(name+"/pairs=10/rate=10000", func(b *testing.B) { forward(b, accept, 10, 0, 10000) })
	}
}

func forward(b *testing.B, accept acceptFunc, pairs, window, rate int) {
	r := newRig(b, conn.Config{}, accept)
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchLoad$")
	cmd.Env = append(os.Environ(), "CONN_BENCH_ADDR="+r.ln.Addr().String(), "CONN_BENCH_PAIRS="+strconv.Itoa(pairs),
		"CONN_BENCH_WINDOW="+strconv.Itoa(window), "CONN_BENCH_RATE="+strconv.Itoa(rate))
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer cmd.Wait()
	defer r.cancel()
	var n atomic.Int64
	for range pairs {
		pub, sub := &forwarder{total: &n}, &forwarder{total: &n}
		pub.to.Store(sub)
		sub.to.Store(pub)
		for _, f := range []*forwarder{pub, sub} {
			c, err := r.ln.Accept()
			if err != nil {
				b.Fatal(err)
			}
			a, err := accept(c)
			if err != nil {
				b.Fatal(err)
			}
			if err := r.engine.Serve(a, f.machine); err != nil {
				b.Fatal(err)
			}
		}
	}
	from, cpu, start := n.Load(), cpuTime(), time.Now()
	target := from + int64(b.N)
	b.ResetTimer()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for n.Load() < target {
		<-look.C
	}
	b.StopTimer()
	done := float64(n.Load() - from)
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/1e3/done, "cpu-µs/msg")
	b.ReportMetric(done/time.Since(start).Seconds(), "msg/s")
	b.ReportMetric(0, "ns/op")
}

func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
