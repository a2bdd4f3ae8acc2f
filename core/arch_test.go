package core

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/dunlinmq/dunlin/"

// depth is the house: an import goes to a smaller depth, never up. Packages
// below another take its depth unless they have a row.
var depth = map[string]int{
	"core/packet":  0,
	"core/topic":   0,
	"core/metrics": 0,
	"core/store":   0,

	"core/wholefile": 0,

	"pluginsdk/contract": 0,
	"pluginsdk/passwd":   0, // the forms of hashes

	"github.com/dunlinmq/dunlin": 0, // the sources of the SDKs, as files

	"core/message":  1,
	"core/listener": 1,
	"core/journal":  1,

	"core/session":    2,
	"core/hook":       2,
	"core/router":     2,
	"core/topicstore": 2,
	"core/cursor":     2,
	"core/schedule":   2,
	"core/cluster":    2,

	"core/access":   3,
	"core/broker":   3,
	"core/registry": 3,
	"core/channel":  3,
	"core/plugin":   3,

	"core/plugin/manifest": 1, // files only: no hook point, no event
	"core/plugin/outbound": 0, // HTTP only

	"core/conn":  4,
	"core/sys":   4,
	"core/admin": 4,

	"core/config": 5,
	"core/server": 6,
	"cmd/dunlin":  7,

	"bench/load":    1, // a client: of the broker it knows the codec
	"bench/durable": 2, // what that measures, of brokers that keep
	"bench/bridge":  2, // and of what goes from one broker to another
	"bench/rules":   2, // and of rules, through a broker
	"bench/compare": 7,
	"bench/floor":   2, // no broker; its test loads it
}

// beside are the arrows between rooms of one depth, each with its reason.
// Inside a room (a package and those below it) arrows are free.
var beside = map[string]string{
	"core/topicstore -> core/hook":  "a cursor is the hook.Source that a channel drains",
	"core/channel -> core/access":   "each packet asks",
	"core/channel -> core/broker":   "a PUBLISH enters the pipeline here",
	"core/channel -> core/registry": "CONNECT claims a session",
}

// suites are test kits outside of _test.go files: they drive the real parts.
var suites = map[string][]string{
	"plugins/plugintest": {"core/plugin", "core/hook", "core/journal", "core/message", "core/packet", "core/schedule", "core/store", "core/topicstore"},
}

// beyond are arrows from a bundled plugin to more than the SDK, each with its reason.
var beyond = map[string][]string{
	"plugins/rule_engine": {"core/packet"}, // its sink/mqtt: as the bridge, both versions
	"plugins/bridge_mqtt": {
		"core/packet",                // no client library has both versions and the bridge bit
		"plugins/rule_engine/buffer", // queues on the disk, as sinks have them
	},
}

// only names the packages (and those below them) that may import a library.
var only = map[string][]string{
	"github.com/tetratelabs/wazero":      {"core/plugin/wasm"},
	"github.com/hashicorp/go-plugin":     {"core/plugin/rpc", "pluginsdk"},
	"github.com/BurntSushi/toml":         {"core/config", "core/plugin/manifest", "cmd/dunlin/plugintool", "plugins/rule_engine/files"},
	"github.com/spf13/cobra":             {"cmd/dunlin"},
	"github.com/gobwas/ws":               {"core/listener", "bench/load"},
	"github.com/dunlinmq/dunlin/plugins": {"plugins"},
}

type pkg struct {
	ImportPath string
	Doc        string
	GoFiles    []string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	list, err := listed()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return list
}

var listed = sync.OnceValues(func() (list []pkg, err error) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Doc,GoFiles,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		list = append(list, p)
	}
})

// depthOf is the depth of the package or of the nearest one above it.
func depthOf(path string) (int, bool) {
	for {
		if d, ok := depth[path]; ok {
			return d, true
		}
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			return 0, false
		}
		path = path[:i]
	}
}

// oneRoom tells whether one of two packages lies below the other.
func oneRoom(a, b string) bool {
	return within(a, []string{b}) || within(b, []string{a})
}

func within(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return path == root || strings.HasPrefix(path, root+"/")
	})
}

func TestArrowsGoDown(t *testing.T) {
	used := map[string]bool{}
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 || within(p.ImportPath, []string{"plugins", "pluginsdk", "test"}) {
			continue
		}
		from, ok := depthOf(p.ImportPath)
		if !ok {
			t.Errorf("%s has no depth: give it a row", p.ImportPath)
			continue
		}
		for _, path := range p.Imports {
			path, ours := strings.CutPrefix(path, module)
			if !ours {
				continue
			}
			arrow := p.ImportPath + " -> " + path
			used[arrow] = true
			to, ok := depthOf(path)
			if !ok {
				t.Errorf("%s: the imported package has no depth", arrow)
			} else if to > from || to == from && beside[arrow] == "" && !oneRoom(p.ImportPath, path) {
				t.Errorf("%s goes from depth %d to %d", arrow, from, to)
			}
		}
	}
	for _, arrow := range slices.Sorted(maps.Keys(beside)) {
		if !used[arrow] {
			t.Errorf("%s: nothing imports so any more: remove the exception", arrow)
		}
	}
}

// A plugin sees the SDK, the SDK sees the contract, and neither sees the core;
// but for pluginsdk/topic, so that plugins and the broker share one rule of
// matching.
func TestPluginsSeeTheSDKOnly(t *testing.T) {
	for _, p := range packages(t) {
		var allowed []string
		switch {
		case suites[p.ImportPath] != nil:
			allowed = append([]string{"pluginsdk"}, suites[p.ImportPath]...)
		case within(p.ImportPath, []string{"plugins"}):
			own := strings.Join(strings.SplitN(p.ImportPath, "/", 3)[:2], "/")
			allowed = append([]string{"pluginsdk", own}, beyond[own]...)
		case p.ImportPath == "pluginsdk/topic":
			allowed = []string{"core/topic"}
		case within(p.ImportPath, []string{"pluginsdk"}):
			allowed = []string{"pluginsdk"}
		default:
			continue
		}
		for _, path := range p.Imports {
			if path, ours := strings.CutPrefix(path, module); ours && !within(path, allowed) {
				t.Errorf("%s imports %s", p.ImportPath, path)
			}
		}
	}
}

func TestLibrariesStayInTheirRooms(t *testing.T) {
	for _, p := range packages(t) {
		for _, path := range p.Imports {
			for library, rooms := range only {
				if within(path, []string{library}) && !within(p.ImportPath, rooms) {
					t.Errorf("%s imports %s, which belongs to %v", p.ImportPath, path, rooms)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

func TestNoRowOfTheTableIsGone(t *testing.T) {
	there := map[string]bool{}
	for _, p := range packages(t) {
		there[p.ImportPath] = true
	}
	for _, path := range slices.Sorted(maps.Keys(depth)) {
		if !there[path] {
			t.Errorf("the table names %s, which is gone", path)
		}
	}
}
