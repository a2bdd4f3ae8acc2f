package file

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestFile: lines are appended as actions want them, files rotate, rows of nobody are
// refused and hold up no other.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows")
	f, err := Open(params.New(map[string]any{"path": path, "max_size": 40, "max_files": 2}))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Bind("json", params.New(nil)), f.Bind("csv", params.New(map[string]any{"line": "${a};${b}"})), f.Check(t.Context())); err != nil {
		t.Fatal(err)
	}
	var bad *sink.Bad
	err = f.Write(context.Background(), []sink.Item{{Action: "json", Row: []byte(`{"a":1,"b":"x"}`)}, {Action: "gone", Row: []byte(`{}`)}, {Action: "csv", Row: []byte(`{"a":1,"b":"x"}`)}})
	if !errors.As(err, &bad) || len(bad.Items) != 1 || !errors.Is(bad.Items[1], sink.ErrUnbound) {
		t.Errorf("%v", err)
	}
	if got := read(t, path); got != "{\"a\":1,\"b\":\"x\"}\n1;x\n" {
		t.Errorf("the file has %q", got)
	}
	for _, mark := range []string{"first", "second", "third"} {
		if err := f.Write(t.Context(), []sink.Item{{Action: "csv", Row: []byte(`{"a":"` + mark + strings.Repeat(".", 30) + `","b":2}`)}}); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.HasPrefix(read(t, path), "third") || !strings.HasPrefix(read(t, path+".1"), "second") || !strings.HasPrefix(read(t, path+".2"), "first") {
		t.Error("the files did not rotate")
	}
	if _, err := os.Stat(path + ".3"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("one file too many: %v", err)
	}
	f.Unbind("csv")
	if err := f.Write(t.Context(), []sink.Item{{Action: "csv", Row: []byte(`{}`)}}); !errors.As(err, &bad) {
		t.Errorf("unbound: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestFileCannotBe: what is no path is refused, what cannot be written is down.
func TestFileCannotBe(t *testing.T) {
	if _, err := Open(params.New(map[string]any{"path": "rows"})); err == nil {
		t.Error("a relative path was taken")
	}
	f, err := Open(params.New(map[string]any{"path": filepath.Join(t.TempDir(), "no", "rows")}))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Bind("a", params.New(nil))); err != nil {
		t.Fatal(err)
	}
	if f.Check(t.Context()) == nil || f.Write(t.Context(), []sink.Item{{Action: "a", Row: []byte(`{}`)}}) == nil {
		t.Error("a file in no folder was written")
	}
}
