package plugin

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Errors of Load, Unload and Reload.
var (
	ErrLoaded    = errors.New("the plugin is loaded already")
	ErrNotLoaded = errors.New("the plugin is not loaded")
	ErrStopped   = errors.New("the plugin manager is not running")
)

// together tells whether versions may be loaded at the same time.
func (m *Manager) together(vs []*version) error {
	return errors.Join(oneProvider(vs), m.inBudget(vs))
}

// inBudget refuses plugins whose guests could come to more memory than there is
// for all: better at load than when the machine has none left.
func (m *Manager) inBudget(vs []*version) error {
	var sum int64
	var parts []string
	for _, v := range vs {
		if most := v.inst.Status().MemoryMax; most > 0 {
			sum += most
			parts = append(parts, fmt.Sprintf("%s %s", v.spec.Name, mib(most)))
		}
	}
	if m.host.MemoryBudget == 0 || sum <= m.host.MemoryBudget {
		return nil
	}
	return fmt.Errorf("the plugins may come to %s of memory (%s), but plugins.memory_budget is %s: raise it, or lower memory_pages or max_instances of a plugin",
		mib(sum), strings.Join(parts, ", "), mib(m.host.MemoryBudget))
}

// mib writes a number of bytes in MiB, rounded up.
func mib(n int64) string { return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20) }

// oneProvider refuses two providers of one role.
func oneProvider(vs []*version) error {
	var owner [contract.MaxHook + 1]string
	for _, v := range vs {
		for _, k := range contract.Hooks() {
			if k.Class() != contract.Provide || !v.set.Has(k) {
				continue
			}
			if owner[k] != "" {
				return fmt.Errorf("plugin %s: %s provides %s already; there can be one provider", v.spec.Name, owner[k], k)
			}
			owner[k] = v.spec.Name
		}
	}
	return nil
}
