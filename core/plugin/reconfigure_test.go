package plugin

import (
	"errors"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// A reload that changes nothing but the configuration keeps the instance of a plugin
// that can take it over. Everything else, and an instance that does not run, makes a
// new one; a refusal is the operator's to read.
func TestReconfigure(t *testing.T) {
	f := newFixture(t)
	p := always(contract.Next, 0)
	var got []string
	p.reconfigure = func(config string) error {
		if strings.Contains(config, "bad") {
			return errBoom
		}
		if strings.Contains(config, "elsewhere") {
			return ErrNotReconfigured
		}
		got = append(got, config)
		return nil
	}
	f.add("a", hookLine(contract.HookPublish, ""), p)
	f.start("a.\n")
	opened := int64(1)
	reload := func(what string, anew bool, want error) {
		t.Helper()
		if err := f.Reload("a"); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%s: %v", what, err)
		}
		if anew {
			opened++
		}
		if n := p.opened.Load(); n != opened {
			t.Errorf("%s: opened %d times, want %d", what, n, opened)
		}
	}
	f.write("etc/a.toml", "[config]\nx = 1\n")
	reload("another configuration", false, nil)
	if len(got) != 1 || got[0] != `{"x":1}` {
		t.Errorf("configurations %q", got)
	}
	reload("the same", false, nil)
	f.write("etc/a.toml", "[config]\nx = \"bad\"\n")
	reload("refused", false, errBoom)
	f.write("etc/a.toml", "[config]\nx = \"elsewhere\"\n")
	reload("not while it runs", true, nil)
	f.write("etc/a.toml", "[config]\nx = 2\n[plugin.hook.publish]\non_error = \"allow\"\n")
	reload("an override", true, nil)
	f.write("plugins/a/a.wasm", wasmHead+"\x00\x02\x01x")
	reload("another artefact", true, nil)
	p.state = StateQuarantined
	reload("in quarantine", true, nil)
	f.write("etc/a.toml", "[config\n")
	if err := f.Reload("a"); err == nil {
		t.Error("a broken file was read")
	}
	if p.opened.Load()-p.closed.Load() != 1 {
		t.Errorf("%d opened, %d closed", p.opened.Load(), p.closed.Load())
	}
}
