package core

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The budgets of the house. They hold the tail: medians take care of themselves.
const (
	maxFileLines     = 400
	maxFuncLines     = 60
	maxSwitchLines   = 100 // for a flat switch or table, by name
	maxMethods       = 5   // of an interface
	maxParameters    = 4   // then a struct; a context is not counted
	linesOfGenerated = 5   // where "Code generated" must stand
)

// long names the functions that may have up to maxSwitchLines lines, with the
// reason.
var long = map[string]string{}

// many names the functions that may have a parameter more, with the reason.
var many = map[string]string{
	"core/router.enterLiteral": "a level is a place in the topic, not a copy: the path of each match",
	"core/router.enter":        "a level is a place in the topic, not a copy: the path of each match",
}

// wide names the interfaces that may have more than maxMethods methods.
var wide = map[string]string{}

// source is one parsed file of the module, by its path from the root.
type source struct {
	path string
	text []byte
	set  *token.FileSet
	file *ast.File
}

func (s *source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s *source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.set.Position(n.Pos()).Line)
}

// lines is how many lines n has.
func (s *source) lines(n ast.Node) int {
	return s.set.Position(n.End()).Line - s.set.Position(n.Pos()).Line + 1
}

// sources yields every hand-written Go file.
func sources(t *testing.T) []source {
	t.Helper()
	list, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var parsed = sync.OnceValues(func() (list []source, _ error) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "build" || name == "node_modules" || name == "testdata" || name == ".git" || name == "data") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if head := bytes.SplitN(text, []byte("\n"), linesOfGenerated+1); bytes.Contains(bytes.Join(head[:len(head)-1], nil), []byte("Code generated")) {
			return nil
		}
		s := source{path: filepath.ToSlash(strings.TrimPrefix(path, ".."+string(filepath.Separator))), text: text, set: token.NewFileSet()}
		s.file, err = parser.ParseFile(s.set, path, text, parser.ParseComments)
		list = append(list, s)
		return err
	})
	return list, err
})

func TestFilesFit(t *testing.T) {
	for _, s := range sources(t) {
		if n := bytes.Count(s.text, []byte("\n")); n > maxFileLines {
			t.Errorf("%s has %d lines: which second object hides in it?", s.path, n)
		}
	}
}

func TestFunctionsFit(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || s.test() {
				continue
			}
			name := filepath.ToSlash(filepath.Dir(s.path)) + "." + f.Name.Name
			limit := maxFuncLines
			if long[name] != "" {
				limit, seen[name] = maxSwitchLines, true
			}
			if n := s.lines(f); n > limit {
				t.Errorf("%s: %s has %d lines", s.at(f), f.Name.Name, n)
			}
			if many[name] != "" {
				seen[name] = true
			} else if f.Body == nil {
				continue // its signature is that of an import of the plugin contract
			} else if n := parameters(f.Type.Params); n > maxParameters {
				t.Errorf("%s: %s has %d parameters", s.at(f), f.Name.Name, n)
			}
		}
	}
	for _, exceptions := range []map[string]string{long, many} {
		for name := range exceptions {
			if !seen[name] {
				t.Errorf("%s is gone: remove the exception", name)
			}
		}
	}
}

// parameters counts without a leading context or *testing.T, testing.TB.
func parameters(fields *ast.FieldList) int {
	n := fields.NumFields()
	if len(fields.List) == 0 {
		return n
	}
	first := fields.List[0].Type
	if p, ok := first.(*ast.StarExpr); ok {
		first = p.X
	}
	if x, ok := first.(*ast.SelectorExpr); ok && (x.Sel.Name == "Context" || x.Sel.Name == "T" || x.Sel.Name == "TB") {
		n--
	}
	return n
}

func TestInterfacesAreSmall(t *testing.T) {
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			i, ok := spec.Type.(*ast.InterfaceType)
			name := filepath.ToSlash(filepath.Dir(s.path)) + "." + spec.Name.Name
			if ok && wide[name] == "" && i.Methods.NumFields() > maxMethods {
				t.Errorf("%s: %s has %d methods", s.at(spec), spec.Name.Name, i.Methods.NumFields())
			}
			return true
		})
	}
}

// selectors that do not belong in the core: it logs through the zap logger that
// it is given, and only cmd ends the process.
var outlawed = map[string]bool{
	"os.Exit": true, "log.Print": true, "log.Printf": true, "log.Println": true, "log.Fatal": true, "log.Fatalf": true,
	"fmt.Print": true, "fmt.Printf": true, "fmt.Println": true,
}

func TestCoreHasNoBadHabits(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() || !strings.HasPrefix(s.path, "core/") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Name.Name == "init" && n.Recv == nil {
					t.Errorf("%s: init", s.at(n))
				}
			case *ast.SelectorExpr:
				x, ok := n.X.(*ast.Ident)
				if ok && outlawed[x.Name+"."+n.Sel.Name] && x.Obj == nil {
					t.Errorf("%s: %s.%s", s.at(n), x.Name, n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Name.Name != "Error" && d.Doc == nil && exportedReceiver(d) {
					t.Errorf("%s: %s has no comment", s.at(d), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if n, ok := spec.(*ast.TypeSpec); ok && n.Name.IsExported() && d.Doc == nil && n.Doc == nil && n.Comment == nil {
						t.Errorf("%s: %s has no comment", s.at(n), n.Name.Name)
					}
				}
			}
		}
	}
}

// exportedReceiver tells whether a function is one of the package or a method
// of an exported type.
func exportedReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	x := f.Recv.List[0].Type
	for {
		switch n := x.(type) {
		case *ast.StarExpr:
			x = n.X
		case *ast.IndexExpr:
			x = n.X
		case *ast.IndexListExpr:
			x = n.X
		case *ast.Ident:
			return n.IsExported()
		default:
			return true
		}
	}
}

// unfinished finds words that a reader should not have to find; written so that
// this file has none of them.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b`)

// waits finds tests that sleep or are skipped.
var waits = regexp.MustCompile(`\b(time\.Sle` + `ep|[tb]\.Sk` + `ip(Now|f)?)\(`)

func TestNothingIsLeftOpen(t *testing.T) {
	for _, s := range sources(t) {
		for i, line := range strings.Split(string(s.text), "\n") {
			if unfinished.MatchString(line) {
				t.Errorf("%s:%d: left open: %s", s.path, i+1, strings.TrimSpace(line))
			}
			if s.test() && waits.MatchString(line) {
				t.Errorf("%s:%d: a test waits for a condition and is never passed over: %s", s.path, i+1, strings.TrimSpace(line))
			}
		}
	}
}

// A name that says nothing collects what nobody owns.
func TestPackagesHaveNames(t *testing.T) {
	nameless := []string{"util", "utils", "common", "helper", "helpers", "base", "misc", "shared"}
	for _, s := range sources(t) {
		if slices.Contains(nameless, s.file.Name.Name) {
			t.Errorf("%s: package %s", s.path, s.file.Name.Name)
		}
	}
}

// docs/goroutines.md has a row for every file that starts goroutines, and for
// no other.
func TestGoroutinesAreListed(t *testing.T) {
	text, err := os.ReadFile("../docs/goroutines.md")
	if err != nil {
		t.Fatal(err)
	}
	starts := map[string]bool{}
	for _, s := range sources(t) {
		if s.test() || strings.HasSuffix(filepath.Dir(s.path), "test") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				starts[s.path] = true
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Go" {
					starts[s.path] = true
				}
			}
			return true
		})
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z][a-zA-Z0-9_/]*\\.go)`").FindAllSubmatch(text, -1) {
		listed[string(m[1])] = true
	}
	for path := range starts {
		if !listed[path] {
			t.Errorf("%s starts goroutines and has no row", path)
		}
	}
	for path := range listed {
		if !starts[path] {
			t.Errorf("docs/goroutines.md names %s, which starts none", path)
		}
	}
}
