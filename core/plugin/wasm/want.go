package wasm

import (
	"bytes"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// What it costs to want a filter, and each of its levels: as much time as it takes to
// put them into the tree that every message is looked up in.
const (
	wantUnits  = 500
	levelUnits = 300
)

// want replaces the filters of a dynamic hook: (hook, filters, len) -> errno. A guest
// that cannot pay for them gets nothing and ends with its next instruction.
func want(g *guest, s []uint64) {
	b, ok := g.bytes(s[1], s[2])
	hook, wants := uint32(s[0]), g.p.spec.Services.Wants
	switch {
	case wants == nil:
		s[0] = result(contract.ErrnoDenied)
		return
	case !ok || hook > uint32(contract.MaxHook):
		s[0] = result(contract.ErrnoInvalid)
		return
	}
	if g.pay(int64(bytes.Count(b, []byte{'/'})) * levelUnits); g.broke() {
		s[0] = result(contract.ErrnoQuota)
		return
	}
	filters, ok := (contract.FilterList{Bytes: b}).Texts()
	if !ok {
		s[0] = result(contract.ErrnoInvalid)
		return
	}
	if g.pay(int64(len(filters)) * wantUnits); g.broke() {
		s[0] = result(contract.ErrnoQuota)
		return
	}
	s[0] = result(wants.Want(contract.Hook(hook), filters))
}

// broke tells whether the guest has no fuel left.
func (g *guest) broke() bool { return int64(g.fuel.Get()) < 0 }
