// Package fuel bounds how long a WASM guest can run. It rewrites a module so
// that the guest pays for what it executes out of a counter, an exported global
// that the host fills before each call; below zero the guest traps. The guest
// can neither read nor write the counter.
//
// The rule it keeps: one unit buys at most [UnitWork] weighted instructions on
// any path, whatever the control flow. A charge stands at every function entry
// and loop head and wherever a path between two charges would grow longer;
// bulk memory and table instructions are charged by their size. Calls nest at
// most [MaxDepth] deep: what a trap costs the engine grows with the depth.
//
// The package owns the binary form of modules and nothing else. It refuses what
// it does not know: every section, count and opcode is checked, so that what it
// lets through means the same to the engine behind it. It knows no engine.
package fuel

import (
	"fmt"
)

// Global is the name under which the counter is exported: a mutable i64. A
// module that exports this name itself is refused.
const Global = "__fuel"

// UnitWork is how many weighted instructions one unit of fuel buys at most
// between two charges. A simple instruction weighs 1, one that emits no code 0,
// a memory access 2, a division 12.
const UnitWork = 64

// MaxDepth is how deep calls of functions may nest that call others.
const MaxDepth = 1 << 15

// Charges of the instructions that work in proportion to an operand.
const (
	bytesShift = 6    // memory.copy, fill, init: one unit per 64 bytes
	elemsShift = 3    // table.copy, fill, init, grow: one unit per 8 elements
	pageUnits  = 2048 // memory.grow: units per page of 64 KiB, which is zeroed, and all before it copied
)

// Bounds on what a module may declare. They keep a small file from making the
// engine allocate much.
const (
	maxLocals     = 50_000
	maxValues     = 1_000 // parameters or results of a type
	maxDepth      = 10_000
	maxTableElems = 1 << 20 // also imposed as the maximum of every table
)

// Config says how to rewrite a module.
type Config struct {
	// Start is the counter's initial value: the budget of a start section, and
	// of everything until the host sets the counter.
	Start int64
	// TableElems bounds the size of each table; a smaller maximum in the module
	// stays. 0: 1 Mi elements.
	TableElems uint32
}

// Import is one import of a module, in order.
type Import struct {
	Module, Name string
	// Kind is 0 function, 1 table, 2 memory, 3 global.
	Kind byte
}

// Export is one export of a module, in order.
type Export struct {
	Name string
	// Kind is as in Import.
	Kind  byte
	Index uint32
}

// Info is what the pass learnt of a module, before the rewrite.
type Info struct {
	Imports []Import
	Exports []Export
	// Functions is how many functions the module defines.
	Functions int
	// Charges is how many charge points were put into them.
	Charges int
}

// Error is why a module was refused.
type Error struct {
	Offset int // bytes from the start of the module
	Msg    string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("wasm offset %#x: %s", e.Offset, e.Msg) }

// Rewrite returns module with fuel charges injected. Custom sections are
// dropped: their offsets would be wrong, and the engine would parse them. Data
// segments side by side are joined, if no instruction can tell. The
// result still needs the engine's validation; a module that is invalid before
// the rewrite is refused or stays invalid. An error is an [*Error]; no input
// makes Rewrite panic or allocate more than a small multiple of its length.
func Rewrite(module []byte, cfg Config) (out []byte, info *Info, err error) {
	if cfg.TableElems == 0 || cfg.TableElems > maxTableElems {
		cfg.TableElems = maxTableElems
	}
	m := &rewriter{r: reader{b: module}, cfg: cfg, info: &Info{}, dataCount: -1}
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(*Error)
			if !ok {
				panic(p)
			}
			out, info, err = nil, nil, e
		}
	}()
	m.module()
	return m.out, m.info, nil
}

// Custom returns the contents of the first custom section with this name, or
// nil. It reads headers only and stops at the first thing it cannot read.
func Custom(module []byte, name string) (content []byte) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(*Error); !ok {
				panic(p)
			}
			content = nil
		}
	}()
	r := reader{b: module}
	r.header()
	for r.more() {
		id := r.byte()
		s := r.sub(int(r.u32()))
		if id == secCustom && string(s.bytes(int(s.u32()))) == name {
			return s.rest()
		}
	}
	return nil
}
