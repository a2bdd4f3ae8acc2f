package plugintool

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// denied opens the module without each capability that it asks for.
func (c *conformer) denied(ctx context.Context) (string, error) {
	caps := c.run.Package.Manifest.Capabilities
	if len(caps) == 0 {
		return "it asks for none", nil
	}
	if !c.target.WASM() {
		return "a process learns at its call: it asks for " + strings.Join(caps, ", "), nil
	}
	unused := []string{}
	for _, name := range caps {
		r, err := c.target.Open(ctx, c.scenario, name)
		if err == nil {
			unused = append(unused, name)
			if err := r.Close(ctx); err != nil {
				return "", err
			}
			continue
		}
		if word, _, _ := strings.Cut(name, ":"); !strings.Contains(err.Error(), fmt.Sprintf("the capability %q is not granted", word)) {
			return "", fmt.Errorf("without %q: %w", name, err)
		}
	}
	if len(unused) > 0 {
		return "", fmt.Errorf("the manifest asks for what the module does not import: %s", strings.Join(unused, ", "))
	}
	return "refused without " + strings.Join(caps, ", "), nil
}

// reload replaces the plugin, which hands its state on, and asks again.
func (c *conformer) reload(ctx context.Context) (string, error) {
	answers := func() (out []any, err error) {
		for _, k := range c.hooks() {
			for _, s := range c.samples[k] {
				vs, err := c.ask(ctx, k, s.frame(), 1)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", k, err)
				}
				out = append(out, vs...)
			}
		}
		return out, nil
	}
	before, err := answers()
	if err != nil {
		return "", err
	}
	for range 3 {
		if err := c.run.Reload(ctx); err != nil {
			return "", err
		}
	}
	after, err := answers()
	if err == nil && !reflect.DeepEqual(before, after) {
		err = fmt.Errorf("the verdicts after three reloads are others than before")
	}
	return "the same verdicts after three reloads", err
}

// By how much memory may still grow in the second half of the records: a
// collector's own rhythm, not a leak. A process's memory is all of its runtime's.
const (
	slackModule  = 1 << 20
	slackProcess = 32 << 20
)

// memory puts many records through and looks at the plugin's memory.
func (c *conformer) memory(ctx context.Context) (string, error) {
	type batch struct {
		k     contract.Hook
		frame []byte
	}
	var list []batch
	for _, k := range c.hooks() {
		list = append(list, batch{k, frames(c.samples[k], contract.MaxRecordsWASM)})
	}
	half := int64(0)
	n := 0
	for i := 0; n < c.records; i++ {
		b := list[i%len(list)]
		if _, err := c.ask(ctx, b.k, b.frame, contract.MaxRecordsWASM); err != nil {
			return "", fmt.Errorf("after %d records: %w", n, err)
		}
		n += contract.MaxRecordsWASM
		if half == 0 && n >= c.records/2 {
			half = c.run.Status().Memory
		}
		if i%64 == 0 {
			c.run.Services.takePublished()
			c.run.Services.takeKept()
		}
	}
	end := c.run.Status().Memory
	if half == 0 || end == 0 {
		return fmt.Sprintf("%d records; the host does not know the memory", n), nil
	}
	slack := int64(slackModule)
	if !c.target.WASM() {
		slack = slackProcess
	}
	if end > half+slack {
		return "", fmt.Errorf("%d bytes after %d records, %d after half of them: it leaks", end, n, half)
	}
	return fmt.Sprintf("%d records, %.1f MB", n, float64(end)/(1<<20)), nil
}

// fuel reports what a full frame takes of the budget.
func (c *conformer) fuel(ctx context.Context) (string, error) {
	p := c.raw()
	if p == nil {
		return "a process has none", nil
	}
	most, budget := int64(0), int64(c.run.Package.Manifest.Fuel)+100_000*contract.MaxRecordsWASM
	for _, k := range c.hooks() {
		for range 20 {
			_, fuel, err := p.Raw(ctx, frames(c.samples[k], contract.MaxRecordsWASM), contract.MaxRecordsWASM)
			if err != nil {
				return "", fmt.Errorf("%s: %w", k, err)
			}
			most = max(most, fuel)
		}
	}
	text := fmt.Sprintf("%d units a record in full frames, the most expensive call took %.1f %% of its budget",
		most/contract.MaxRecordsWASM, 100*float64(most)/float64(budget))
	if most > budget/2 {
		return "", fmt.Errorf("%s: a slower record would be stopped", text)
	}
	return text, nil
}
