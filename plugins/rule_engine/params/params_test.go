package params

import (
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
)

func TestReading(t *testing.T) {
	p := New(map[string]any{
		"s": "x", "n": int64(5), "f": 3.0, "b": "on", "d": "1500ms", "ms": int64(20), "size": "1.5KB", "t": "a/${b}",
		"h": map[string]any{"X": "1"}, "mode": "FAST",
	})
	switch {
	case p.String("s", "") != "x", p.String("none", "y") != "y", p.Required("s") != "x", p.Int("n", 1, 0, 9) != 5, p.Int("f", 1, 0, 9) != 3, p.Int("none", 7, 0, 9) != 7:
		t.Error("a text or number is read otherwise")
	case !p.Bool("b", false), p.Bool("none", false), p.Duration("d", 0) != 1500*time.Millisecond, p.Duration("ms", 0) != 20*time.Millisecond:
		t.Error("a boolean or time is read otherwise")
	case p.Bytes("size", 0) != 1536, p.Template("t", "").Text(&sql.Map{}) != "a/undefined", p.Texts("h")["X"] != "1", p.OneOf("mode", "slow", "fast") != "fast":
		t.Error("a size, template, table or word is read otherwise")
	}
	if err := p.Err(); err != nil {
		t.Error(err)
	}
}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	p := New(map[string]any{"n": int64(50), "b": "perhaps", "d": "soon", "size": "-1", "t": "${", "h": "x", "mode": "odd", "urll": "x"})
	p.Required("url")
	p.Int("n", 1, 0, 9)
	p.Bool("b", false)
	p.Duration("d", 0)
	p.Bytes("size", 0)
	p.Template("t", "")
	p.Texts("h")
	p.OneOf("mode", "slow", "fast")
	err := p.Err()
	for _, want := range []string{"url: is required", "n: a whole number from 0 to 9", "b: true or false", "d: a time like", "size: a size like", "t: character 1", "h: a table",
		`mode: "odd": one of slow, fast`, "urll: there is no such parameter; there are b, d, h, mode, n, size, t, url"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
}
