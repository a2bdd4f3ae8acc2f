package config

import (
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

const layout = `# a comment with [brackets] and = signs
allow_anonymous = true   # 2
node.name = "n"          # 3
[listener.tcp.external]  # 4
bind = "a = b # no"      # 5
"quoted.name" = 1        # 6
list = [                 # 7
  "x", # ]
  'y]',
]
long = """               # 11
  bind = 5
  """
zone = 'external'        # 14

[ zone . "a.b" ]         # 16
mountpoint = '''
x'''
max_inflight = {a = 1, b = "}"} # 19
idle_timeout = "15s"     # 20
`

func TestPositions(t *testing.T) {
	var tree map[string]any
	if _, err := toml.Decode(layout, &tree); err != nil {
		t.Fatalf("the sample is not TOML: %v", err)
	}
	at := positions(layout)
	for path, want := range map[string]int{
		"allow_anonymous": 2, "node.name": 3, "listener.tcp.external": 4, "listener.tcp.external.bind": 5,
		`listener.tcp.external."quoted.name"`: 6, "listener.tcp.external.list": 7, "listener.tcp.external.long": 11,
		"listener.tcp.external.zone": 14, `zone."a.b"`: 16, `zone."a.b".mountpoint`: 17, `zone."a.b".max_inflight`: 19,
		`zone."a.b".idle_timeout`: 20,
	} {
		if at[path] != want {
			t.Errorf("%s is on line %d, want %d", path, at[path], want)
		}
	}
}

// FuzzPositions: whatever TOML accepts, every leaf has a line inside the text,
// and the scan ends.
func FuzzPositions(f *testing.F) {
	f.Add(layout)
	f.Add("a=1")
	f.Add("[[a.b]]\nc = \"\"\"\\\n\"\"\"\"\"\n")
	f.Add("a.\"\\u0062\" = [[1,\n2],{x='''\n'''}]")
	f.Fuzz(func(t *testing.T, doc string) {
		lines := 1 + strings.Count(doc, "\n")
		for path, line := range positions(doc) {
			if line < 1 || line > lines {
				t.Fatalf("%s on line %d of %d", path, line, lines)
			}
		}
		var tree map[string]any
		if _, err := toml.Decode(doc, &tree); err != nil {
			return
		}
		r := reader{file: "f", at: map[string]Origin{}}
		r.document(source{"f", doc})
		for _, l := range r.leaves {
			if l.from.Line == 0 {
				t.Fatalf("%q has no line in %q", l.path, doc)
			}
		}
	})
}
