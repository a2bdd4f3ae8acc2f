package main

import "strings"

// c is the header of constants, imports and accessors.
func (l *layout) c() []byte {
	var t text
	t.line("/* %s */\n#ifndef DUNLIN_LAYOUT_H\n#define DUNLIN_LAYOUT_H\n#include <stdint.h>\n", mark)
	for _, k := range kindOrder {
		for _, n := range l.Constants[k] {
			t.line("#define DUNLIN_%s_%s %s%s", upper(k), upper(n.Name), cNumber(n.Value), comment(" /* ", n.Doc, " */"))
		}
	}
	t.line("\n#define DUNLIN_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))\n")
	types := map[string]string{"i32": "int32_t", "i64": "int64_t", "f64": "double", "": "void"}
	for _, f := range l.Imports {
		var ps []string
		for _, p := range f.Params {
			ps = append(ps, types[p])
		}
		t.line("/* %s */\nDUNLIN_IMPORT(%q, %q) %s %s_%s(%s);", f.Doc, f.Module, f.Name, types[f.Result], f.Module, f.Name,
			strings.Join(orVoid(ps), ", "))
	}
	t.line("\n/* A record of a frame. */\ntypedef struct dunlin_record dunlin_record;\n" +
		"/* Bytes that somebody else owns. ptr is 0 when the slot is absent. */\n" +
		"typedef struct { const uint8_t *ptr; uint32_t len; } dunlin_bytes;\n" +
		"static inline dunlin_bytes dunlin_slot(const dunlin_record *r, uint32_t slot);\n" +
		"static inline uint32_t dunlin_slot_u32(const dunlin_record *r, uint32_t slot, uint32_t absent);\n" +
		"static inline uint64_t dunlin_slot_u64(const dunlin_record *r, uint32_t slot, uint64_t absent);\n")
	for _, g := range l.groups {
		if len(g.slots) > 0 {
			t.line("/* %s */", strings.Join(g.hooks, ", "))
		}
		for i, s := range g.slots {
			switch s.Type {
			case "u32", "u64":
				t.line("static inline uint%s_t dunlin_%s_%s(const dunlin_record *r, uint%s_t absent) { return dunlin_slot_%s(r, %d, absent); }",
					s.Type[1:], g.name, s.Name, s.Type[1:], s.Type, i)
			default:
				t.line("static inline dunlin_bytes dunlin_%s_%s(const dunlin_record *r) { return dunlin_slot(r, %d); }", g.name, s.Name, i)
			}
		}
	}
	t.line("\n/* X(name, number): a function dunlin_on_<name> that the plugin may define. */\n#define DUNLIN_HOOKS(X) \\")
	for i, h := range l.Hooks {
		end := " \\"
		if i == len(l.Hooks)-1 {
			end = ""
		}
		t.line("\tX(%s, %d)%s", h.Name, h.Number, end)
	}
	t.line("\n#endif")
	return []byte(t.String())
}

func cNumber(v int64) string { return strings.TrimSuffix(goNumber(v), "L") }

func orVoid(ps []string) []string {
	if len(ps) == 0 {
		return []string{"void"}
	}
	return ps
}

// comment is doc between two marks; nothing without a doc.
func comment(before, doc, after string) string {
	if doc == "" {
		return ""
	}
	return before + strings.ReplaceAll(doc, "\n", " ") + after
}

// rust is the module of constants, imports and accessors.
func (l *layout) rust() []byte {
	var t text
	t.line("// %s\n#![allow(dead_code)]\nuse super::Record;\n", mark)
	for _, k := range kindOrder {
		for _, n := range l.Constants[k] {
			typ := "u32"
			switch {
			case n.Value < 0 || k == "errno" || k == "log" || k == "metric" || k == "schedule":
				typ = "i32"
			case k == "action" || k == "reason" || k == "permit" || k == "keep" && n.Value < 256:
				typ = "u8"
			case k == "verdict" || k == "cache":
				typ = "u16"
			}
			t.line("pub const %s_%s: %s = %s;%s", upper(k), upper(n.Name), typ, goNumber(n.Value), comment(" // ", n.Doc, ""))
		}
	}
	byModule := map[string][]function{}
	var modules []string
	for _, f := range l.Imports {
		if byModule[f.Module] == nil {
			modules = append(modules, f.Module)
		}
		byModule[f.Module] = append(byModule[f.Module], f)
	}
	for _, m := range modules {
		t.line("\n#[link(wasm_import_module = %q)]\nextern \"C\" {", m)
		for _, f := range byModule[m] {
			var ps []string
			for i, p := range f.Params {
				ps = append(ps, string(rune('a'+i))+": "+p)
			}
			result := ""
			if f.Result != "" {
				result = " -> " + f.Result
			}
			t.line("    /// %s\n    #[link_name = %q]\n    pub fn %s_%s(%s)%s;", f.Doc, f.Name, f.Module, f.Name, strings.Join(ps, ", "), result)
		}
		t.line("}")
	}
	for _, g := range l.groups {
		l.rustGroup(&t, g)
	}
	t.line("\n/// One method a hook. A plugin overrides those that it names in `plugin!`.\npub trait Handlers {")
	for _, h := range l.Hooks {
		t.line("    fn %s(&mut self, _: %s<'_>) -> super::Verdict { super::Verdict::next() }", h.Name, pascal(h.group))
	}
	t.line("}\n\n/// Hook numbers and handlers by name, for `plugin!`.\n#[macro_export]\nmacro_rules! hook {")
	for _, h := range l.Hooks {
		t.line("    (number %s) => { %du32 };", h.Name, h.Number)
		t.line("    (call %s $p:expr, $r:expr) => { $p.%s($crate::dunlin::%s($r)) };", h.Name, h.Name, pascal(h.group))
	}
	t.line("}")
	return []byte(t.String())
}

func (l *layout) rustGroup(t *text, g group) {
	t.line("\n/// A record of %s.\n#[derive(Clone, Copy)]\npub struct %s<'a>(pub Record<'a>);", strings.Join(g.hooks, ", "), pascal(g.name))
	t.line("impl<'a> std::ops::Deref for %s<'a> {\n    type Target = Record<'a>;\n    fn deref(&self) -> &Record<'a> { &self.0 }\n}", pascal(g.name))
	if len(g.slots) == 0 {
		return
	}
	t.line("impl<'a> %s<'a> {", pascal(g.name))
	for i, s := range g.slots {
		switch s.Type {
		case "u32", "u64":
			t.line("    pub fn %s(&self) -> Option<%s> { self.0.%s(%d) }", s.Name, s.Type, s.Type, i)
		case "text":
			t.line("    pub fn %s(&self) -> &'a str { self.0.text(%d) }", s.Name, i)
		default:
			t.line("    pub fn %s(&self) -> &'a [u8] { self.0.slot(%d).unwrap_or(&[]) }", s.Name, i)
		}
	}
	t.line("}")
}
