package plugin

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// What has another configuration is prepared, whichever way it takes it, and goes on
// with it together with the rest, or not at all.
func TestStage(t *testing.T) {
	f := newFixture(t)
	running := always(contract.Next, 0) // changes its configuration while it runs
	var has string
	running.reconfigure = func(config string) error {
		if strings.Contains(config, "bad") {
			return errBoom
		}
		has = config
		return nil
	}
	b, c := always(contract.Next, 0), always(contract.Next, 0)
	f.add("running", hookLine(contract.HookPublish, ""), running)
	f.add("b", hookLine(contract.HookPublish, ""), b)
	f.add("c", hookLine(contract.HookPublish, ""), c)
	f.start("running.\nb.\nc.\n")
	opened := func(want string) {
		t.Helper()
		if got := fmt.Sprint(running.opened.Load(), b.opened.Load()-b.closed.Load(), b.opened.Load(), c.opened.Load()); got != want {
			t.Errorf("opened %s, want %s", got, want)
		}
	}
	stage := func(want ...string) *Staged {
		t.Helper()
		s, err := f.Stage()
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(s.Names()) != fmt.Sprint(want) {
			t.Errorf("staged %v, want %v", s.Names(), want)
		}
		return s
	}
	refused := func(want error, words string) {
		t.Helper()
		if s, err := f.Stage(); s != nil || err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), words) {
			t.Fatalf("%v, %v", s, err)
		}
	}
	stage().Commit()
	f.write("plugins/b/b.wasm", wasmHead+"\x00\x02\x01x")
	stage().Commit() // other code is for a reload of the plugin
	opened("1 1 1 1")

	f.write("etc/b.toml", "[config]\nx = 1\n")
	f.write("etc/running.toml", "[config]\nx = 1\n")
	s := stage("b", "running")
	opened("1 2 2 1")
	s.Undo()
	opened("1 1 2 1")
	if has != "{}" && has != "" {
		t.Errorf("after all it has %q", has)
	}
	s = stage("b", "running")
	s.Commit()
	opened("1 1 3 1")
	if has != `{"x":1}` {
		t.Errorf("it has %q", has)
	}
	stage().Commit()

	f.write("etc/b.toml", "[config]\nx = 2\n")
	f.write("etc/c.toml", "[config\n")
	refused(nil, "plugin c")
	f.write("etc/c.toml", "")
	f.write("etc/running.toml", "[config]\nx = \"bad\"\n")
	refused(errBoom, "plugin running")
	opened("1 1 3 1")
	f.write("etc/running.toml", "[config]\nx = 1\n")
	f.write("etc/b.toml", "[config]\nx = 1\n[plugin.hook.publish]\non_error = \"allow\"\n")
	stage("b").Commit()
	opened("1 1 4 1")
	if err := f.Reload("b"); err != nil { // nobody holds the others up
		t.Error(err)
	}
}
