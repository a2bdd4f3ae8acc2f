package server

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// Only what is the file's, cannot be written and was never written is let go.
func TestCleanMappings(t *testing.T) {
	const smaps = `00400000-00800000 r-xp 00000000 fd:00 12 /opt/my dunlin
Size:               4096 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00800000-00c00000 r--p 00400000 fd:00 12 /opt/my dunlin
Anonymous:             0 kB
00c00000-00c01000 r--p 00800000 fd:00 12 /opt/my dunlin
Anonymous:             4 kB
00c01000-00d00000 rw-p 00801000 fd:00 12 /opt/my dunlin
Anonymous:             0 kB
00d00000-00e00000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f0000000000-7f0000100000 r-xp 00000000 fd:00 13 /lib/libc.so.6
Anonymous:             0 kB
7f0000100000-7f0000200000 r-xp 00000000 fd:00 14 /srv/opt/my dunlin
Anonymous:             0 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
Anonymous:             0 kB
`
	want := []mapping{{0x400000, 0x800000}, {0x800000, 0xc00000}}
	if got := cleanMappings([]byte(smaps), "/opt/my dunlin"); !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	for _, broken := range []string{"", "nonsense", "Anonymous: 0 kB\n", "zz-1 r-xp 0 0 0 /opt/my dunlin\nAnonymous: 0 kB\n"} {
		if got := cleanMappings([]byte(broken), "/opt/my dunlin"); got != nil {
			t.Errorf("%q: %x", broken, got)
		}
	}
}

// A program whose pages were let go goes on, and has fewer of them.
func TestDropProgram(t *testing.T) {
	before := fileResident(t)
	n, err := dropProgram()
	if err != nil {
		t.Fatal(err)
	}
	if after := fileResident(t); n == 0 || after >= before {
		t.Errorf("asked for %d bytes: %d KB resident, %d KB before", n, after, before)
	}
	var text strings.Builder // something that was not in use
	fmt.Fprintf(&text, "%x %q %v", 255, "a\tb", map[string]int{"x": 1})
	if got := text.String(); got != `ff "a\tb" map[x:1]` {
		t.Errorf("got %s", got)
	}
}

// fileResident is how many KB of files are resident.
func fileResident(t *testing.T) (kilo int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "RssFile:")
	if _, err := fmt.Sscan(rest, &kilo); err != nil {
		t.Fatal(err)
	}
	return kilo
}
