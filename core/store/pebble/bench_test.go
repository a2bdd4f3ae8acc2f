//go:build unix

package pebble

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/store"
)

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAppend is records of 256 bytes to 10,000 sessions, each completed
// before its writer appends the next, and acknowledged by its
// session, 32 at a time. It reports CPU per record, the 99th percentile of the latency,
// bytes handed to the disk per byte of payload, and fsyncs.
func BenchmarkAppend(b *testing.B) {
	for _, d := range []store.Durability{store.Async, store.Sync} {
		for _, n := range []int{1, 64, 1024} {
			b.Run(fmt.Sprintf("%v/writers=%d", d, n), func(b *testing.B) {
				appendRecords(b, load{d: d, writers: n})
			})
		}
	}
}

// BenchmarkAcks is what ways to delete and memory cost.
func BenchmarkAcks(b *testing.B) {
	for _, memory := range []int{8, 32} {
		for _, ranges := range []bool{false, true} {
			b.Run(fmt.Sprintf("memory=%dMiB/ranges=%v", memory, ranges), func(b *testing.B) {
				appendRecords(b, load{d: store.Async, writers: 256, memory: memory << 20, ranges: ranges})
			})
		}
	}
}

type load struct {
	d       store.Durability
	writers int
	memory  int
	ranges  bool // delete by range, not singly
}

func appendRecords(b *testing.B, l load) {
	const size, run = 256, 32
	s := open(b, Config{Dir: b.TempDir(), MemTableBytes: l.memory})
	var next atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	b.ResetTimer()
	before := cpu()
	for w := range l.writers {
		wg.Go(func() {
			var batch store.Batch
			var mine []time.Duration
			value, key := make([]byte, size), []byte(nil)
			for i := range value {
				value[i] = byte(i*7 ^ w ^ i>>3)
			}
			end := make(chan error, 1)
			done := store.Func(func(err error) { end <- err })
			for i := uint64(0); next.Add(1) <= int64(b.N); i++ {
				session := uint64(w*10 + int(i/run)%10)
				key = store.AppendUint64(store.AppendUint64(append(key[:0], 'q'), session), i)
				batch.Reset()
				batch.Put(key, value)
				if i%run == run-1 {
					if l.ranges {
						from := store.AppendUint64(store.AppendUint64([]byte{'q'}, session), i-run+1)
						batch.DeleteRange(from, store.AppendUint64(key[:9:9], i+1))
					} else {
						for j := i - run + 1; j <= i; j++ {
							batch.Delete(store.AppendUint64(key[:9], j))
						}
					}
				}
				start := time.Now()
				if err := s.Commit(&batch, l.d, done); err != nil {
					b.Error(err)
					return
				}
				if err := <-end; err != nil {
					b.Error(err)
					return
				}
				mine = append(mine, time.Since(start))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	b.StopTimer()
	used := cpu() - before
	slices.Sort(took)
	i := s.Info()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(used.Microseconds())/float64(b.N), "cpu-µs/record")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(i.WrittenBytes)/float64(b.N*size), "written/payload")
	b.ReportMetric(float64(i.Syncs)/b.Elapsed().Seconds(), "fsyncs/s")
}

// BenchmarkRangesBesideReads is what a read costs while ranges are deleted: the
// engine sorts the ranges of its young table again for the first read after each.
func BenchmarkRangesBesideReads(b *testing.B) {
	for _, ranges := range []int{0, 100, 1000, 10000} {
		b.Run(fmt.Sprintf("ranges=%d", ranges), func(b *testing.B) {
			s := open(b, Config{Dir: b.TempDir()})
			fill(b, s, 1000, 256)
			drop := func(i int) {
				if err := apply(s, store.Async, func(t *store.Batch) {
					t.DeleteRange(numbered(0, uint64(i)*100), numbered(0, uint64(i)*100+50))
				}); err != nil {
					b.Fatal(err)
				}
			}
			for i := range ranges {
				drop(i)
			}
			var dst []byte
			b.ResetTimer()
			for i := range b.N {
				b.StopTimer()
				if ranges > 0 {
					drop(ranges + i)
				}
				b.StartTimer()
				var err error
				if dst, err = s.Get([]byte("fill/00000500"), dst[:0]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRecover is opening a store with a million records of 256 bytes over
// 100,000 sessions, and reading all of them.
func BenchmarkRecover(b *testing.B) {
	cfg := Config{Dir: b.TempDir()}
	s := open(b, cfg)
	value := make([]byte, 256)
	for i := range uint64(len(value)) {
		value[i] = byte(i*i + i>>2)
	}
	var batch store.Batch
	for i := uint64(0); i < 1e6; {
		batch.Reset()
		for ; batch.Size() < 256<<10 && i < 1e6; i++ {
			key := store.AppendUint64(store.AppendUint64([]byte{'q'}, i*7919%100000), i)
			batch.Put(key, value)
		}
		if err := store.Apply(b.Context(), s, &batch, store.Async); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		start := time.Now()
		s = open(b, cfg)
		opened := time.Since(start)
		n, _, err := store.Count(s, store.Range{})
		if n != 1e6 || err != nil {
			b.Fatal(n, err)
		}
		b.ReportMetric(float64(opened.Milliseconds()), "open-ms")
		b.ReportMetric(float64(s.Info().Bytes)/1e6, "disk-B/record")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
