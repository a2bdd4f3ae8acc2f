package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// layout is the contract in one structure: what layout.json holds and what the
// accessors of every language are made of.
type layout struct {
	ABI       int                 `json:"abi"`
	Constants map[string][]number `json:"constants"` // by kind: flags, actions, reasons ...
	Hooks     []hookRow           `json:"hooks"`
	Exports   []function          `json:"exports"`
	Imports   []function          `json:"imports"`
	Handshake map[string]string   `json:"handshake"`

	groups []group
}

// number is one named number.
type number struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
	Doc   string `json:"doc,omitempty"`
}

// hookRow is one hook point.
type hookRow struct {
	Name    string   `json:"name"`
	Number  int64    `json:"number"`
	Class   string   `json:"class"`
	Slots   []slot   `json:"slots"`
	Actions []string `json:"actions,omitempty"`
	Reasons []int    `json:"reasons,omitempty"`
	Exts    []string `json:"extensions,omitempty"`

	group string
}

// slot is one slot of a hook; its number is its place.
type slot struct {
	Name string `json:"name"`
	Type string `json:"type"` // text, bytes, u32, u64
}

// group is the hooks whose records have the same slots: one accessor type.
type group struct {
	name  string
	slots []slot
	hooks []string
}

// function is an import or export of a guest.
type function struct {
	Module string   `json:"module,omitempty"`
	Name   string   `json:"name"`
	Params []string `json:"params"` // i32, i64, f64
	Result string   `json:"result,omitempty"`
	Doc    string   `json:"doc,omitempty"`
}

// groupNames name the accessor types by the first hook that has them.
var groupNames = map[string]string{
	"connect": "connect", "authenticate": "auth", "acl": "acl", "subscribe": "filters", "publish": "message",
	"connected": "client", "disconnected": "disconnect", "subscribed": "filter",
}

// slotTypes are the types of slots; a slot that is not here holds bytes.
var slotTypes = map[string]string{
	"session_expiry": "u32", "expiry": "u32", "subscription_id": "u32", "connected_at": "u64",
	"client_id": "text", "username": "text", "peer": "text", "listener": "text", "zone": "text", "protocol": "text",
	"common_name": "text", "dn": "text", "principal": "text", "tenant": "text", "local": "text", "will_topic": "text",
	"auth_method": "text", "reason": "text", "topic": "text", "from": "text", "filter": "text",
}

// read makes the layout of the package contract in dir and the proto beside it.
func read(dir string) (*layout, error) {
	consts, err := constants(dir)
	if err != nil {
		return nil, err
	}
	l := &layout{ABI: contract.ABI, Constants: map[string][]number{}, Handshake: map[string]string{}}
	for _, c := range consts {
		if err := l.add(c); err != nil {
			return nil, err
		}
	}
	if err := l.kinds(filepath.Join(dir, "pluginpb", "plugin.proto")); err != nil {
		return nil, err
	}
	l.hooks()
	return l, nil
}

// named is a constant of the package with the comment on its line.
type named struct {
	name, typ, doc string
	value          constant.Value
}

// constants lists the constants of the package in the order of the source.
func constants(dir string) ([]named, error) {
	set := token.NewFileSet()
	pkgs, err := parser.ParseDir(set, dir, func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, p := range pkgs {
		for _, name := range slices.Sorted(keys(p.Files)) {
			files = append(files, p.Files[name])
		}
	}
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}}
	// Imports are not resolved: constants stand on none.
	cfg := types.Config{Error: func(error) {}, Importer: none{}}
	_, _ = cfg.Check("contract", set, files, info)
	var list []named
	for _, f := range files {
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				list = append(list, declared(g, info)...)
			}
		}
	}
	return list, nil
}

func keys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// none imports nothing.
type none struct{}

// Import implements types.Importer.
func (none) Import(path string) (*types.Package, error) {
	return nil, fmt.Errorf("%s is not looked at", path)
}

func declared(g *ast.GenDecl, info *types.Info) (list []named) {
	for _, s := range g.Specs {
		v := s.(*ast.ValueSpec)
		for _, id := range v.Names {
			c, ok := info.Defs[id].(*types.Const)
			if !ok || c.Val() == nil || c.Val().Kind() == constant.Unknown {
				continue
			}
			typ := ""
			if n, ok := c.Type().(*types.Named); ok {
				typ = n.Obj().Name()
			}
			list = append(list, named{name: id.Name, typ: typ, doc: strings.TrimSpace(v.Comment.Text()), value: c.Val()})
		}
	}
	return list
}

// family says where constants with a prefix go: under which kind, by which name.
type family struct{ prefix, typ, kind string }

// families in the order in which they are tried.
var families = []family{
	{"Hook", "Hook", "hook"}, {"Slot", "Slot", "slot"}, {"Flag", "Flags", "flag"}, {"Origin", "Origin", "origin"},
	{"Cache", "VerdictFlags", "cache"}, {"Verdict", "VerdictFlags", "verdict"}, {"", "Action", "action"}, {"Ext", "Ext", "ext"},
	{"Errno", "Errno", "errno"}, {"Call", "Call", "call"}, {"Reason", "", "reason"}, {"Permit", "", "permit"},
	{"Feature", "Features", "feature"}, {"Log", "", "log"}, {"Metric", "", "metric"}, {"Schedule", "", "schedule"}, {"Keep", "", "keep"}, {"No", "", "no"}, {"Max", "", "max"},
}

// sizes are the constants that belong to no family, under "size", by their name
// in the layout.
var sizes = map[string]string{
	"HeaderSize": "header", "SlotSize": "slot", "VerdictSize": "verdict", "extHeadSize": "ext_head", "numExts": "exts",
	"HostCallSize": "host_call", "HostReplySize": "host_reply", "Align": "align",
	"versionShift": "version_shift", "originShift": "origin_shift", "hopsShift": "hops_shift",
}

var signature = regexp.MustCompile(`^(?:(\w+): )?\(([^)]*)\)(?: -> (\w+))?(.*)$`)

// inner is a remark inside a list of parameters: len (-1: absent).
var inner = regexp.MustCompile(` \([^()]*\)(?:,|\))`)

// add sorts one constant in.
func (l *layout) add(c named) error {
	switch {
	case strings.HasPrefix(c.name, "Export"), strings.HasPrefix(c.name, "Import"):
		return l.function(c)
	case c.name == "HandshakeKey" || c.name == "HandshakeValue" || c.name == "PluginName":
		l.Handshake[snake(c.name)] = constant.StringVal(c.value)
	}
	if c.value.Kind() != constant.Int {
		return nil
	}
	v, _ := constant.Int64Val(c.value)
	if name := sizes[c.name]; name != "" {
		l.Constants["size"] = append(l.Constants["size"], number{name, v, ""})
		return nil
	}
	if !token.IsExported(c.name) {
		return nil
	}
	for _, f := range families {
		if c.typ == f.typ && strings.HasPrefix(c.name, f.prefix) && c.name != f.prefix {
			l.Constants[f.kind] = append(l.Constants[f.kind], number{snake(strings.TrimPrefix(c.name, f.prefix)), v, c.doc})
			return nil
		}
	}
	return nil
}

// function reads a signature out of the comment beside a function's name.
func (l *layout) function(c named) error {
	m := signature.FindStringSubmatch(inner.ReplaceAllStringFunc(c.doc, func(s string) string { return s[len(s)-1:] }))
	if m == nil {
		return fmt.Errorf("contract.%s: the comment %q holds no signature", c.name, c.doc)
	}
	f := function{Module: m[1], Name: constant.StringVal(c.value), Result: m[3], Doc: strings.TrimSpace(c.doc), Params: []string{}}
	for _, p := range strings.Split(m[2], ",") {
		switch {
		case strings.TrimSpace(p) == "":
		case strings.HasSuffix(p, "i64"):
			f.Params = append(f.Params, "i64")
		case strings.HasSuffix(p, "f64"), strings.Contains(p, "value f64"):
			f.Params = append(f.Params, "f64")
		default:
			f.Params = append(f.Params, "i32")
		}
	}
	if strings.HasPrefix(c.name, "Export") {
		l.Exports = append(l.Exports, f)
		return nil
	}
	if f.Module == "" {
		return fmt.Errorf("contract.%s: the comment %q names no module", c.name, c.doc)
	}
	l.Imports = append(l.Imports, f)
	return nil
}

var kind = regexp.MustCompile(`KIND_(\w+) = (\d+);`)

// kinds reads the kinds of stream frames.
func (l *layout) kinds(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, m := range kind.FindAllStringSubmatch(string(text), -1) {
		var v int64
		if _, err := fmt.Sscan(m[2], &v); err != nil {
			return err
		}
		l.Constants["kind"] = append(l.Constants["kind"], number{strings.ToLower(m[1]), v, ""})
	}
	return nil
}

// hooks fills the table of hooks and their groups.
func (l *layout) hooks() {
	for _, h := range contract.Hooks() {
		row := hookRow{Name: h.String(), Number: int64(h), Class: h.Class().String(), Slots: []slot{}}
		for _, name := range h.Slots() {
			row.Slots = append(row.Slots, slot{name, cmp.Or(slotTypes[name], "bytes")})
		}
		for _, a := range l.Constants["action"] {
			if h.Class() != contract.Observe && h.AllowsAction(contract.Action(a.Value)) {
				row.Actions = append(row.Actions, a.Name)
			}
		}
		for c := range 256 {
			if h.AllowsReason(byte(c)) {
				row.Reasons = append(row.Reasons, c)
			}
		}
		for _, x := range l.Constants["ext"] {
			if h.AllowsExt(contract.Ext(x.Value)) {
				row.Exts = append(row.Exts, x.Name)
			}
		}
		row.group = l.group(row)
		l.Hooks = append(l.Hooks, row)
	}
}

// group finds or makes the group of a hook.
func (l *layout) group(row hookRow) string {
	for i := range l.groups {
		if g := &l.groups[i]; slices.Equal(g.slots, row.Slots) {
			g.hooks = append(g.hooks, row.Name)
			return g.name
		}
	}
	g := group{name: cmp.Or(groupNames[row.Name], row.Name), slots: row.Slots, hooks: []string{row.Name}}
	l.groups = append(l.groups, g)
	return g.name
}
