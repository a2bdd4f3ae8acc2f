package core_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// standard is one section of docs/conformance.md or of testdata/statements.txt.
type standard struct {
	rows    map[string][]string // statement -> its tests
	leftOut map[string]bool     // statements that do not bind this server
	order   []string            // as written, rows and left out
}

var (
	rowOf    = regexp.MustCompile(`^\| (MQTT-\S+) \| (\S[^|]*) \| (\S[^|]*) \|$`)
	numberOf = regexp.MustCompile(`MQTT-\d+\.\d+\.\d+-\d+`)
	testOf   = regexp.MustCompile(`^([\w/]+)\.((?:Test|Fuzz)\w+)(?:/(\S+))?$`)
)

// TestConformance compares docs/conformance.md with the numbers of both
// standards and with the tests that it names.
func TestConformance(t *testing.T) {
	want, list := statements(t), conformance(t)
	if len(list) != len(want) {
		t.Fatalf("docs/conformance.md has %d standards, want %d", len(list), len(want))
	}
	suites := suites{}
	for name, numbers := range want {
		s := list[name]
		if s == nil {
			t.Errorf("docs/conformance.md has no section %s", name)
			continue
		}
		s.compare(t, name, numbers)
		for number, tests := range s.rows {
			for _, test := range tests {
				if why := suites.lacks(t, number, test); why != "" {
					t.Errorf("%s %s: %s: %s", name, number, test, why)
				}
			}
		}
	}
}

// compare reports numbers that are missing, unknown, there twice or out of order.
func (s *standard) compare(t *testing.T, name string, numbers []string) {
	t.Helper()
	known := map[string]int{}
	for i, n := range numbers {
		known[n] = i
	}
	seen := map[string]bool{}
	last := -1
	for _, n := range s.order {
		i, ok := known[n]
		if !ok {
			t.Errorf("%s has no statement %s", name, n)
		}
		if seen[n] {
			t.Errorf("%s %s appears twice", name, n)
		}
		seen[n] = true
		if s.leftOut[n] {
			continue
		}
		if i < last {
			t.Errorf("%s %s is out of order", name, n)
		}
		last = i
	}
	for _, n := range numbers {
		if !seen[n] {
			t.Errorf("%s %s has no row", name, n)
		}
	}
}

// conformance reads docs/conformance.md.
func conformance(t *testing.T) map[string]*standard {
	t.Helper()
	list := map[string]*standard{}
	var s *standard
	for i, line := range lines(t, "../docs/conformance.md") {
		if name, ok := strings.CutPrefix(line, "## "); ok {
			s = &standard{rows: map[string][]string{}, leftOut: map[string]bool{}}
			list[name] = s
			continue
		}
		switch {
		case s == nil:
		case strings.HasPrefix(line, "| MQTT"):
			m := rowOf.FindStringSubmatch(line)
			if m == nil {
				t.Errorf("docs/conformance.md:%d is no row of three cells", i+1)
				continue
			}
			s.rows[m[1]] = strings.Split(m[3], "<br>")
			s.order = append(s.order, m[1])
		default:
			for _, n := range numberOf.FindAllString(line, -1) {
				s.leftOut[n] = true
				s.order = append(s.order, n)
			}
		}
	}
	return list
}

// statements reads the numbers of both standards.
func statements(t *testing.T) map[string][]string {
	t.Helper()
	list := map[string][]string{}
	name := ""
	for _, line := range lines(t, "testdata/statements.txt") {
		switch {
		case strings.HasPrefix(line, "#"), line == "":
		case strings.HasPrefix(line, "["):
			name = strings.Trim(line, "[]")
		default:
			list[name] = append(list[name], line)
		}
	}
	return list
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(data), "\n")
}

// suite is what the source of one package says of its tests.
type suite struct {
	tests    map[string]bool
	literals []string // as the testing package writes them in names of subtests
}

// suites are the packages that rows name, by directory.
type suites map[string]*suite

// lacks tells what the test that a row names lacks; "" if it is there.
func (ss suites) lacks(t *testing.T, number, test string) string {
	t.Helper()
	m := testOf.FindStringSubmatch(test)
	if m == nil {
		return "is not package.Test/subtest"
	}
	dir := filepath.Join("..", filepath.FromSlash(m[1]))
	if ss[dir] == nil {
		ss[dir] = read(t, dir)
	}
	s, sub := ss[dir], m[3]
	switch {
	case !s.tests[m[2]]:
		return "the package has no such test"
	case sub == "":
		return ""
	case m[2] == "TestTranscripts":
		data, err := os.ReadFile(filepath.Join(dir, "testdata", sub+".txt"))
		if err != nil {
			return "there is no such transcript"
		}
		if m[1] == "core/channel" && !mentions(string(data), number) {
			return "the transcript does not say where it shows it"
		}
		return ""
	case !s.spells(sub):
		return "the package's tests do not spell the subtest"
	}
	return ""
}

// mentions tells whether a transcript has the number, also as in
// [MQTT-3.1.2-4, -5].
func mentions(text, number string) bool {
	i := strings.LastIndexByte(number, '-')
	section, n := regexp.QuoteMeta(number[:i]), number[i:]
	return regexp.MustCompile(`\[` + section + `(-\d+, )*` + n + `\b`).MatchString(text)
}

// read collects the tests of the package in dir and its string literals.
func read(t *testing.T, dir string) *suite {
	t.Helper()
	s := &suite{tests: map[string]bool{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, "_test.go") {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
					s.tests[fn.Name.Name] = true
				}
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if v, err := strconv.Unquote(l.Value); err == nil && len(v) >= 3 {
					s.literals = append(s.literals, strings.ReplaceAll(strings.TrimSpace(v), " ", "_"))
				}
			}
			return true
		})
	}
	return s
}

// spells tells whether the name of a subtest is made of the package's string
// literals: one, or several joined by spaces.
func (s *suite) spells(name string) bool {
	if name == "" {
		return true
	}
	for _, l := range s.literals {
		if rest, ok := strings.CutPrefix(name, l); ok && l != "" && (rest == "" || rest[0] == '_') && s.spells(strings.TrimPrefix(rest, "_")) {
			return true
		}
	}
	return false
}
