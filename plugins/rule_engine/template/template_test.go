package template

import (
	"strconv"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/sql"
)

func row(t *testing.T, json string) *sql.Map {
	t.Helper()
	v, err := sql.DecodeJSON(json)
	if err != nil {
		t.Fatal(err)
	}
	return v.Map()
}

func TestTemplate(t *testing.T) {
	r := row(t, `{"clientid":"c1","qos":1,"t":1.5,"a":{"b":[10,20,{"c":"x"}]},"ok":true,"nil":null}`)
	cases := [][2]string{
		{`repub/to/${clientid}`, `repub/to/c1`}, {`${qos}`, `1`}, {`${t}|${ok}|${nil}|${none}`, `1.5|true|null|undefined`},
		{`${a.b[1]} ${a.b[-1].c} ${a.b[3].c} ${a.b[9]}`, `10 x x undefined`}, {`${a.b}`, `[10,20,{"c":"x"}]`}, {`$${x} $`, `${x} $`}, {``, ``}, {`plain`, `plain`},
		{`${.}`, `{"clientid":"c1","qos":1,"t":1.5,"a":{"b":[10,20,{"c":"x"}]},"ok":true,"nil":null}`}, {`{"id": "${clientid}"}`, `{"id": "c1"}`},
	}
	for _, c := range cases {
		tmpl, err := Parse(c[0])
		if err != nil {
			t.Errorf("%s: %v", c[0], err)
			continue
		}
		if got := tmpl.Text(r); got != c[1] {
			t.Errorf("%s: got %s, want %s", c[0], got, c[1])
		}
	}
}

func TestFaultsNameThePlace(t *testing.T) {
	for src, want := range map[string]string{
		`ab${c`: "character 3: ${ is opened and never closed", `x${a..b}`: "character 2: ${a..b}: a name is empty", `${a[x]}`: "an index is a number", `${a[1]b}`: `"b" stands behind an index`,
		`${a[0]}`: "an index is a number",
	} {
		if _, err := Parse(src); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", src, err, want)
		}
	}
}

// A value never becomes part of a statement, with quotes around it or without.
func TestPrepare(t *testing.T) {
	tmpl, err := Parse(`INSERT INTO t(a, b, c) VALUES ('${a.x}', ${b}, 'it''s ${c}')`)
	if err != nil {
		t.Fatal(err)
	}
	text, paths := tmpl.Prepare(func(n int) string { return "$" + strconv.Itoa(n) })
	if want := `INSERT INTO t(a, b, c) VALUES ($1, $2, 'it''s $3')`; text != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if len(paths) != 3 || paths[0].String() != "a.x" || paths[0].Get(row(t, `{"a":{"x":"'; DROP TABLE t"}}`)).Str() != "'; DROP TABLE t" {
		t.Errorf("paths %v", paths)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a${b.c[1][-2]}$${d}${.}")
	f.Fuzz(func(t *testing.T, s string) {
		tmpl, err := Parse(s)
		if err != nil {
			return
		}
		tmpl.Text(&sql.Map{})
		tmpl.Prepare(func(int) string { return "?" })
	})
}
