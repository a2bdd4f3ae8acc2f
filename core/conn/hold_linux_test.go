package conn_test

import (
	"runtime"
	"testing"

	"github.com/dunlinmq/dunlin/core/conn"
)

// A loop that keeps its processor while it waits holds up neither garbage
// collections nor other goroutines, with or without a spare processor.
func TestWaitingLoopsLetTheWorldStop(t *testing.T) {
	for name, processors := range map[string]int{"spare": 3, "none": 2} {
		t.Run(name, func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			r := newRig(t, conn.Config{Loops: 2}, accepts["descriptor"])
			a, b := forwarders(t, r)
			done := make(chan struct{})
			other := make(chan int)
			go func() {
				defer close(done)
				for n := range other {
					if n%10 == 0 {
						runtime.GC()
					}
				}
			}()
			message, got := make([]byte, benchMessage), make([]byte, benchMessage)
			for n := range 200 {
				if _, err := a.Write(message); err != nil {
					t.Fatal(err)
				}
				if _, err := b.Read(got); err != nil {
					t.Fatal(err)
				}
				other <- n
			}
			close(other)
			<-done
		})
	}
}
