package pebble

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dunlinmq/dunlin/core/store"
)

var errInjected = errors.New("injected")

// The child of the kill tests: this test binary, told so by its environment.
const (
	childDir  = "DUNLIN_STORE_CHILD_DIR"
	childMode = "DUNLIN_STORE_CHILD_MODE"
	writers   = 4
)

// child writes numbered keys from several goroutines and prints each one when it
// is acknowledged, until it is killed.
func child() {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	d, _ := strconv.Atoi(os.Getenv(childMode))
	s, err := Open(Config{Dir: dir, MemTableBytes: 256 << 10})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			value := make([]byte, 256)
			for i := uint64(0); ; i++ {
				if err := apply(s, store.Durability(d), func(b *store.Batch) {
					b.Put(numbered(w, i), value)
					if i%50 == 49 { // what a session does with its acknowledgements
						b.DeleteRange(numbered(w, i-49), numbered(w, i-25))
					}
				}); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				_, _ = os.Stdout.WriteString(fmt.Sprintf("%d %d\n", w, i)) // one write(): whole
			}
		})
	}
	wg.Wait()
}

func numbered(w int, i uint64) []byte { return binary.BigEndian.AppendUint64([]byte{'0' + byte(w)}, i) }

// holds checks that of every writer's keys up to the acknowledged one all are
// there that have to be, and that what came after it came without a hole.
func holds(t *testing.T, s store.Reader, w int, acked int64) {
	t.Helper()
	next := int64(-1)
	if err := s.Scan(store.Prefix([]byte{'0' + byte(w)}), func(k, _ []byte) bool {
		i := int64(binary.BigEndian.Uint64(k[1:]))
		if next >= 0 && i != next && !(next%50 == 0 && i == next+24) {
			t.Errorf("writer %d: %d comes before %d", w, next-1, i)
			return false
		}
		if next < 0 && i%50 != 0 && i%50 != 24 {
			t.Errorf("writer %d: the first is %d", w, i)
		}
		next = i + 1
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if acked >= 0 && next <= acked {
		t.Errorf("writer %d: %d was acknowledged, the last is %d", w, acked, next-1)
	}
}

// kill -9: what was acknowledged is there, in both classes; again and again on
// one directory.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	for _, d := range []store.Durability{store.Async, store.Sync} {
		t.Run(d.String(), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(uint64(d), 7))
			for round := range 4 {
				dir := t.TempDir()
				acked := killed(t, dir, d, 200+rnd.IntN(2000))
				s := open(t, Config{Dir: dir, MemTableBytes: 256 << 10})
				for w := range writers {
					holds(t, s, w, acked[w])
				}
				if _, err := s.Check(t.Context()); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// killed runs a child until it has acknowledged n batches, kills it, and returns
// the last of each writer.
func killed(t *testing.T, dir string, d store.Durability, n int) (acked [writers]int64) {
	t.Helper()
	for w := range acked {
		acked[w] = -1
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childMode+"="+strconv.Itoa(int(d)))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(out)
	for seen := 0; in.Scan(); seen++ {
		var w int
		var i int64
		if _, err := fmt.Sscan(in.Text(), &w, &i); err != nil {
			break // the last line of a killed process
		}
		acked[w] = max(acked[w], i)
		if seen == n {
			if err := cmd.Process.Kill(); err != nil { // what is still in the pipe counts
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	return acked
}

// A disk that loses everything that was not synced, and any part of it: what
// was acknowledged with Sync is there.
func TestPowerLossKeepsWhatIsSynced(t *testing.T) {
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		disk := vfs.NewCrashableMem()
		s := open(t, Config{Dir: "/s", FS: disk, MemTableBytes: 256 << 10})
		var acked [writers]atomic.Int64
		for w := range acked {
			acked[w].Store(-1)
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				value := make([]byte, 1000)
				for i := uint64(0); ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					d := store.Sync
					if i%5 != 0 {
						d = store.Async // between them, and lost or not
					}
					if err := apply(s, d, func(b *store.Batch) { b.Put(numbered(w, i), value) }); err != nil {
						t.Error(err)
						return
					}
					if d == store.Sync {
						acked[w].Store(int64(i))
					}
				}
			})
		}
		for int(acked[0].Load()) < 50+rnd.IntN(1000) {
			if err := apply(s, store.Sync, func(*store.Batch) {}); err != nil {
				t.Fatal(err)
			}
		}
		var before [writers]int64
		for w := range before {
			before[w] = acked[w].Load()
		}
		after := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed%3) * 50, RNG: rnd})
		close(stop)
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		r := open(t, Config{Dir: "/s", FS: after, MemTableBytes: 256 << 10})
		for w := range before {
			holds(t, r, w, before[w])
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Async batches are synced within the interval without another write.
func TestAsyncIsSyncedSoon(t *testing.T) {
	disk := vfs.NewCrashableMem()
	s := open(t, Config{Dir: "/s", FS: disk})
	if err := put(s, store.Async, "key", "value"); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < 10*time.Second; {
		after := disk.CrashClone(vfs.CrashCloneCfg{})
		r, err := Open(Config{Dir: "/s", FS: after})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Get([]byte("key"), nil)
		if cerr := r.Close(); cerr != nil {
			t.Fatal(cerr)
		}
		if err == nil {
			return
		}
	}
	t.Error("not synced within 10 s")
}
