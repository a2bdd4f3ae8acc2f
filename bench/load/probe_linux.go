package load

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// probe reads what a process and its children use.
type probe struct{ pid int }

// figures is one reading. Processor time is of user and system.
type figures struct {
	cpu      time.Duration
	rss, pss int64
}

func newProbe(pid int) (*probe, error) {
	if pid == 0 {
		return &probe{}, nil
	}
	if _, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return &probe{pid}, nil
}

// Measure reads what a process and its children use now.
func Measure(pid int) (Usage, error) {
	p, err := newProbe(pid)
	if err != nil {
		return Usage{}, err
	}
	f := p.read()
	return Usage{CPU: f.cpu, Resident: f.rss, Proportional: f.pss}, nil
}

// ProcessorTime is what a process alone has used, user and system, without its
// children.
func ProcessorTime(pid int) (time.Duration, error) {
	s, ok := readStat(pid)
	if !ok {
		return 0, fmt.Errorf("process %d: its times cannot be read", pid)
	}
	return s.cpu, nil
}

// read is zero where there is nothing to read: processes come and go.
func (p *probe) read() (f figures) {
	if p.pid == 0 {
		return f
	}
	for _, pid := range tree(p.pid) {
		if s, ok := readStat(pid); ok {
			f.cpu += s.cpu
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue // of another user, or gone
		}
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			if len(words) < 2 {
				continue
			}
			kilo, _ := strconv.ParseInt(words[1], 10, 64)
			switch words[0] {
			case "Rss:":
				f.rss += kilo << 10
			case "Pss:":
				f.pss += kilo << 10
			}
		}
	}
	return f
}

// stat is what /proc/PID/stat says.
type stat struct {
	parent int
	cpu    time.Duration
}

// clockTick is the unit of times in /proc on every architecture of Linux that Go
// knows.
const clockTick = 10 * time.Millisecond

func readStat(pid int) (s stat, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, false
	}
	words := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // a name may have spaces
	if len(words) < 13 {
		return s, false
	}
	s.parent, _ = strconv.Atoi(words[1])
	user, _ := strconv.ParseInt(words[11], 10, 64)
	system, _ := strconv.ParseInt(words[12], 10, 64)
	s.cpu = time.Duration(user+system) * clockTick
	return s, true
}

// tree is pid and the processes below it.
func tree(pid int) []int {
	below := map[int][]int{}
	names, err := os.ReadDir("/proc")
	if err != nil {
		return []int{pid}
	}
	for _, n := range names {
		if child, err := strconv.Atoi(n.Name()); err == nil {
			if s, ok := readStat(child); ok {
				below[s.parent] = append(below[s.parent], child)
			}
		}
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, below[all[i]]...)
	}
	return all
}

// ownTime is the processor time of this process.
func ownTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// spareDescriptors is what a process needs beside its connections.
const spareDescriptors = 64

// enoughDescriptors says when the system allows fewer connections than asked for.
func enoughDescriptors(n int) error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("read the limit of descriptors: %w", err)
	}
	if need := uint64(n + spareDescriptors); need > l.Cur {
		if need > l.Max {
			return fmt.Errorf("%d connections need %d descriptors, and this process may open %d: raise it (ulimit -Hn %d, or LimitNOFILE), or run several", n, need, l.Max, need)
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: need, Max: l.Max}); err != nil {
			return fmt.Errorf("raise the limit of descriptors to %d: %w", need, err)
		}
	}
	return nil
}
