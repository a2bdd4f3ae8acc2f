package server

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// dropProgram lets go of the resident pages of the program's own file, of which the
// start has touched four fifths: what is needed again comes from the page cache,
// 64 KB at a time. It returns how many bytes it asked the kernel to let go.
//
// Only mappings of the file that nobody has written to are touched. Those that the
// dynamic linker has written before it protected them have pages of their own, and
// these would be lost.
func dropProgram() (dropped int, err error) {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return 0, fmt.Errorf("find the program: %w", err)
	}
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return 0, fmt.Errorf("read the mappings: %w", err)
	}
	var errs []error
	for _, m := range cleanMappings(text, program) {
		// Not unix.Madvise: the range is no memory of Go's.
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED); errno != 0 {
			errs = append(errs, fmt.Errorf("madvise %x-%x: %w", m.from, m.to, errno))
			continue
		}
		dropped += int(m.to - m.from)
	}
	return dropped, errors.Join(errs...)
}

// mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// cleanMappings are the mappings of the file that may not be written and have no
// pages but the file's, by the text of smaps.
func cleanMappings(smaps []byte, file string) (clean []mapping) {
	var m mapping
	ours := false
	for line := range bytes.Lines(smaps) {
		f := strings.Fields(string(line))
		if len(f) >= 5 && !strings.HasSuffix(f[0], ":") { // 400000-27f1000 r-xp 00000000 fd:00 123 /path
			// A path may have spaces: it is the rest of the line.
			ours = len(f) >= 6 && strings.HasSuffix(strings.TrimSuffix(string(line), "\n"), " "+file) && !strings.Contains(f[1], "w")
			m, ours = parseRange(f[0], ours)
			continue
		}
		if ours && len(f) == 3 && f[0] == "Anonymous:" {
			if f[1] == "0" {
				clean = append(clean, m)
			}
			ours = false
		}
	}
	return clean
}

// parseRange reads the addresses of a mapping; ok: they could be read, and want.
func parseRange(s string, want bool) (m mapping, ok bool) {
	from, to, found := strings.Cut(s, "-")
	a, err1 := strconv.ParseUint(from, 16, 64)
	b, err2 := strconv.ParseUint(to, 16, 64)
	return mapping{uintptr(a), uintptr(b)}, want && found && err1 == nil && err2 == nil && a < b
}
