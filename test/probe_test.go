package test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// peakRSS is the most resident memory that the broker has had, in bytes.
func (b *broker) peakRSS() int64 {
	b.t.Helper()
	return b.procStatus("VmHWM")
}

func (b *broker) procStatus(key string) int64 {
	b.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, key+": %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	b.t.Fatalf("no %s in %s", key, text)
	return 0
}

// children are the ids of the broker's child processes by the name of their
// executable.
func (b *broker) children() map[string]int {
	b.t.Helper()
	pids, err := os.ReadDir("/proc")
	if err != nil {
		b.t.Fatal(err)
	}
	found := map[string]int{}
	for _, p := range pids {
		stat, err := os.ReadFile(filepath.Join("/proc", p.Name(), "stat"))
		if err != nil {
			continue // no process, or gone meanwhile
		}
		// pid (name) state parent ...; the name may hold anything.
		head, tail, _ := strings.Cut(string(stat), " (")
		i := strings.LastIndex(tail, ") ")
		var pid, parent int
		var state string
		if i < 0 {
			continue
		}
		if _, err := fmt.Sscan(head, &pid); err != nil {
			continue
		}
		if _, err := fmt.Sscan(tail[i+2:], &state, &parent); err == nil && parent == b.cmd.Process.Pid && state != "Z" {
			found[tail[:i]] = pid
		}
	}
	return found
}

// nodeStatus is `ctl status -o json`.
type nodeStatus struct {
	Node, Version string
	PID           int
	Connections   int
	Sessions      int
	Subscriptions int
	Routes        int
	Retained      int
	Listeners     []struct {
		ID, Address string
		Connections int
	}
}

func (b *broker) nodeStatus() nodeStatus {
	b.t.Helper()
	var s nodeStatus
	if err := json.Unmarshal([]byte(b.ctl("status", "-o", "json")), &s); err != nil {
		b.t.Fatal(err)
	}
	return s
}

// pluginStatus is one plugin of `ctl plugins list -o json`.
type pluginStatus struct {
	Name, Version, Type, State, Error string
	Hooks                             []string
	Restarts, Calls                   int
}

func (b *broker) pluginStatus(name string) pluginStatus {
	b.t.Helper()
	var all []pluginStatus
	if err := json.Unmarshal([]byte(b.ctl("plugins", "list", "-o", "json")), &all); err != nil {
		b.t.Fatal(err)
	}
	for _, p := range all {
		if p.Name == name {
			return p
		}
	}
	b.t.Fatalf("no plugin %s in %v", name, all)
	return pluginStatus{}
}
