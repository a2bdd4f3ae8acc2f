package sys

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// MemoryUsed is what the process has of the machine's memory and cannot give
// back for the asking: resident pages without those of files, in bytes.
func MemoryUsed() int64 {
	data, err := os.ReadFile("/proc/self/statm") // size resident shared ..., in pages
	f := bytes.Fields(data)
	if err != nil || len(f) < 3 {
		return runtimeMemory()
	}
	resident, err1 := strconv.ParseInt(string(f[1]), 10, 64)
	shared, err2 := strconv.ParseInt(string(f[2]), 10, 64)
	if err1 != nil || err2 != nil {
		return runtimeMemory()
	}
	return (resident - shared) * int64(os.Getpagesize())
}

// MemoryTotal is the memory that the process may use: the machine's, or less
// where a control group says so; 0: unknown.
func MemoryTotal() int64 {
	total := machineMemory()
	for _, file := range limitFiles() {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64) // "max" is none
		if err == nil && n > 0 && (total == 0 || n < total) {
			total = n
		}
	}
	return total
}

func machineMemory() int64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line) // MemTotal: 16384 kB
		if len(f) >= 2 && f[0] == "MemTotal:" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}

// limitFiles are the files with the limits of the process's control group and of
// those that hold it.
func limitFiles() []string {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	var files []string
	for line := range strings.Lines(string(data)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3) // id:controllers:path
		if len(f) < 3 {
			continue
		}
		root, name := "/sys/fs/cgroup", "memory.max"
		switch {
		case f[1] == "memory":
			root, name = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case f[1] != "":
			continue
		}
		for path := f[2]; ; path = filepath.Dir(path) {
			files = append(files, filepath.Join(root, path, name))
			if path == "/" || path == "." {
				break
			}
		}
	}
	return files
}
