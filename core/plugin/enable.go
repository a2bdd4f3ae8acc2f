package plugin

import (
	"fmt"
	"io/fs"
	"maps"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
)

// Absent is a plugin that loaded_plugins turns on and that is not loaded.
type Absent struct {
	Name string
	Why  string // what would stop it or has stopped it; "": nobody has loaded it yet
}

// Absent lists them in the order of the file. Their files are read and compared with
// what the operator trusts, so that the answer is of now.
func (m *Manager) Absent() ([]Absent, error) {
	file, err := manifest.ReadLoaded(m.host.Loaded)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	here := map[string]bool{}
	for _, p := range m.plugins {
		here[p.name] = true
	}
	tried := maps.Clone(m.tried)
	m.mu.Unlock()
	var list []Absent
	for _, name := range file.Names() {
		if here[name] {
			continue
		}
		a := Absent{Name: name}
		if _, err := m.host.source.Read(name); err != nil {
			a.Why = err.Error()
		} else if err := tried[name]; err != nil {
			a.Why = err.Error()
		}
		list = append(list, a)
	}
	return list, nil
}

// Enable notes in loaded_plugins whether the next start loads the plugin, and
// changes nothing now. What could not be loaded as its files are is refused;
// fs.ErrNotExist: there is no such plugin.
func (m *Manager) Enable(name string, on bool) error {
	m.change.Lock()
	defer m.change.Unlock()
	if err := manifest.CheckName(name); err != nil {
		return err
	}
	file, err := manifest.ReadLoaded(m.host.Loaded)
	if err != nil {
		return err
	}
	if on {
		if _, err := m.host.source.Read(name); err != nil {
			return fmt.Errorf("plugin %s: %w", name, err)
		}
	} else if file.Index(name) < 0 {
		return fmt.Errorf("plugin %s is not in %s: %w", name, m.host.Loaded, fs.ErrNotExist)
	}
	file.Set(name, on)
	return file.Write(m.host.Loaded)
}

// place finds an order for name between the running plugins that stand before
// and after it in the file. Those keep theirs.
func (m *Manager) place(file *manifest.Loaded, name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := file.Index(name)
	low, high := 0, 0
	for _, p := range m.plugins {
		if i := file.Index(p.name); i >= 0 && i < at {
			low = p.order
		}
	}
	for _, p := range m.plugins {
		if p.order > low && (high == 0 || p.order < high) {
			high = p.order
		}
	}
	if high == 0 {
		return low + orderGap
	}
	return low + (high-low)/2
}
