package plugintool

import (
	"archive/zip"
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// Archives of strangers cannot write outside, hide a second manifest or be endless.
func TestArchivesAreNotTrusted(t *testing.T) {
	for name, c := range map[string]struct {
		files [][2]string
		want  string
	}{
		"outside":       {[][2]string{{"../p/plugin.toml", ""}}, "would lie outside"},
		"absolute":      {[][2]string{{"/etc/plugin.toml", ""}}, "would lie outside"},
		"backslash":     {[][2]string{{`..\plugin.toml`, ""}}, "would lie outside"},
		"twice":         {[][2]string{{"plugin.toml", ""}, {"./plugin.toml", ""}}, "two files"},
		"two plugins":   {[][2]string{{"a/plugin.toml", ""}, {"b/plugin.toml", ""}}, "there are 2"},
		"deep":          {[][2]string{{"a/b/plugin.toml", ""}}, "there are 0"},
		"nothing in it": {nil, "there are 0"},
	} {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, f := range c.files {
			w, err := z.Create(f[0])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(f[1])); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(t.TempDir(), "x.zip")
		put(t, at, b.String())
		if _, err := ReadBundle(at); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	left := int64(3)
	if err := keep(map[string][]byte{}, "x", strings.NewReader("four"), &left); !errors.Is(err, errTooLarge) {
		t.Errorf("more than is left: %v", err)
	}
}
