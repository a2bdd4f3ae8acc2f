package plugin

import (
	"fmt"
	"io/fs"

	"github.com/dunlinmq/dunlin/core/plugin/manifest"
)

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
