package main

import (
	"fmt"
	"strconv"
	"strings"
)

// goNumber writes small numbers in decimal and others in hexadecimal.
func goNumber(v int64) string {
	if v > 4096 {
		return fmt.Sprintf("0x%X", v)
	}
	return strconv.FormatInt(v, 10)
}

// assembly is the AssemblyScript module of constants, imports and accessors.
func (l *layout) assembly() []byte {
	var t text
	t.line("// %s\nimport { Record, View } from \"./dunlin\";\n", mark)
	for _, k := range kindOrder {
		for _, n := range l.Constants[k] {
			typ := "u32"
			if n.Value < 0 || k == "errno" || k == "log" || k == "metric" || k == "schedule" {
				typ = "i32"
			}
			t.line("export const %s_%s: %s = %s;%s", upper(k), upper(n.Name), typ, goNumber(n.Value), comment(" // ", n.Doc, ""))
		}
	}
	t.line("")
	for _, f := range l.Imports {
		var ps []string
		for i, p := range f.Params {
			ps = append(ps, string(rune('a'+i))+": "+p)
		}
		result := f.Result
		if result == "" {
			result = "void"
		}
		t.line("/** %s */\n@external(%q, %q)\nexport declare function %s_%s(%s): %s;", f.Doc, f.Module, f.Name, f.Module, f.Name, strings.Join(ps, ", "), result)
	}
	for _, g := range l.groups {
		t.line("\n/** A record of %s. */\nexport class %s extends Record {", strings.Join(g.hooks, ", "), pascal(g.name))
		for i, s := range g.slots {
			switch s.Type {
			case "u32", "u64":
				t.line("  %s(absent: %s): %s { return this.slot_%s(%d, absent); }", camel(s.Name), s.Type, s.Type, s.Type, i)
			default:
				t.line("  get %s(): View { return this.slot(%d); }", camel(s.Name), i)
			}
		}
		t.line("}")
	}
	return []byte(t.String() + l.assemblyDispatch())
}

// assemblyDispatch is the base class of plugins and the way from a record to its
// method.
func (l *layout) assemblyDispatch() string {
	var t text
	t.line("\nimport { Verdict } from \"./dunlin\";\n\n/** A plugin overrides the methods of the hooks that it registers. */\nexport class Plugin {")
	t.line("  /** Takes the configuration, a JSON object; the result is an error text or \"\". */\n  configure(): string { return \"\"; }")
	t.line("  /** What the next version of the plugin shall get. */\n  saveState(): string { return \"\"; }\n  restoreState(state: string): string { return \"\"; }")
	for _, h := range l.Hooks {
		t.line("  %s(e: %s, v: Verdict): void {}", camel(h.Name), pascal(h.group))
	}
	t.line("}\n")
	for _, g := range l.groups {
		t.line("const %sEvent = new %s();", camel(g.name), pascal(g.name))
	}
	t.line("\nexport function dispatch(p: Plugin, hook: u32, at: usize, v: Verdict): void {\n  switch (hook) {")
	for _, h := range l.Hooks {
		t.line("    case %d: { %sEvent.at = at; p.%s(%sEvent, v); break; }", h.Number, camel(h.group), camel(h.Name), camel(h.group))
	}
	t.line("  }\n}")
	return t.String()
}

// node is the JavaScript module of constants and accessors.
func (l *layout) node() []byte {
	var t text
	t.line("// %s\n\"use strict\";\nconst { Record } = require(\"./record\");\n", mark)
	var names []string
	for _, k := range kindOrder {
		t.line("const %s = Object.freeze({", pascal(k))
		names = append(names, pascal(k))
		for _, n := range l.Constants[k] {
			t.line("  %s: %s,%s", camel(n.Name), goNumber(n.Value), comment(" // ", n.Doc, ""))
		}
		t.line("});")
	}
	t.line("const Handshake = Object.freeze({ key: %q, value: %q, plugin: %q, abi: %d });\n", l.Handshake["handshake_key"],
		l.Handshake["handshake_value"], l.Handshake["plugin_name"], l.ABI)
	for _, g := range l.groups {
		t.line("// A record of %s.\nclass %sRecord extends Record {", strings.Join(g.hooks, ", "), pascal(g.name))
		for i, s := range g.slots {
			read := s.Type
			if read == "bytes" { // a field of Record has that name
				read = "lookup"
			}
			t.line("  get %s() { return this.%s(%d); }", camel(s.Name), read, i)
		}
		t.line("}")
	}
	t.line("\n// By hook number: the hook's name and the class of its records.\nconst hooks = new Map([")
	for _, h := range l.Hooks {
		t.line("  [%d, { name: %q, number: %d, observes: %t, type: %sRecord }],", h.Number, camel(h.Name), h.Number, h.Class == "observe", pascal(h.group))
	}
	t.line("]);\n\nmodule.exports = { %s, Handshake, hooks };", strings.Join(names, ", "))
	return []byte(t.String())
}

// python is the Python module of constants and accessors.
func (l *layout) python() []byte {
	var t text
	t.line("# %s\n\"\"\"Numbers of the plugin contract and the accessors of records.\"\"\"\n\nfrom .record import Record\n", mark)
	for _, k := range kindOrder {
		for _, n := range l.Constants[k] {
			t.line("%s_%s = %s%s", upper(k), upper(n.Name), goNumber(n.Value), comment("  # ", n.Doc, ""))
		}
	}
	t.line("HANDSHAKE_KEY = %q\nHANDSHAKE_VALUE = %q\nPLUGIN_NAME = %q\nABI = %d", l.Handshake["handshake_key"],
		l.Handshake["handshake_value"], l.Handshake["plugin_name"], l.ABI)
	for _, g := range l.groups {
		t.line("\n\nclass %sRecord(Record):\n    \"\"\"A record of %s.\"\"\"", pascal(g.name), strings.Join(g.hooks, ", "))
		for i, s := range g.slots {
			read := s.Type
			if read == "bytes" {
				read = "lookup"
			}
			t.line("\n    @property\n    def %s(self):\n        return self.%s(%d)", pyName(s.Name), read, i)
		}
	}
	t.line("\n\n# By hook number: name, whether it only observes, class of its records.\nHOOKS = {")
	for _, h := range l.Hooks {
		observes := "False"
		if h.Class == "observe" {
			observes = "True"
		}
		t.line("    %d: (%q, %s, %sRecord),", h.Number, h.Name, observes, pascal(h.group))
	}
	t.line("}")
	return []byte(t.String())
}

// pyName avoids the one keyword among the slots.
func pyName(name string) string {
	if name == "from" {
		return "from_"
	}
	return name
}
