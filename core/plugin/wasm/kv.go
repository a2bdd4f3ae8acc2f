package wasm

import (
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// maxKey is the longest key of dunlin_kv, in bytes.
const maxKey = 256

// key reads a key argument.
func (g *guest) key(ptr, n uint64) (string, error) {
	b, ok := g.bytes(ptr, n)
	if !ok || len(b) == 0 || len(b) > maxKey {
		return "", contract.ErrnoInvalid
	}
	return string(b), nil
}

// kvGet returns the size of the value and writes it if it fits into the
// guest's buffer; if not, the guest asks again.
func kvGet(g *guest, s []uint64) {
	key, err := g.key(s[0], s[1])
	if err == nil {
		g.value, err = g.p.spec.Services.KV.Load(g.value[:0], key)
	}
	g.give(s, err)
}

func kvSet(g *guest, s []uint64) {
	key, err := g.key(s[0], s[1])
	value, ok := g.bytes(s[2], s[3])
	ttl, sane := millis(s[4])
	if err == nil && (!ok || !sane) {
		err = contract.ErrnoInvalid
	}
	if err == nil {
		err = g.p.spec.Services.KV.Store(key, value, ttl)
	}
	s[0] = result(err)
}

func kvDel(g *guest, s []uint64) {
	key, err := g.key(s[0], s[1])
	if err == nil {
		err = g.p.spec.Services.KV.Delete(key)
	}
	s[0] = result(err)
}

// kvIncr has 64 bits for its result; errors are negative as elsewhere, so a
// counter below zero cannot be told from them.
func kvIncr(g *guest, s []uint64) {
	key, err := g.key(s[0], s[1])
	n := int64(0)
	if err == nil {
		n, err = g.p.spec.Services.KV.Add(key, int64(s[2]))
	}
	if err != nil {
		n = int64(plugin.Errno(err))
	}
	s[0] = uint64(n)
}

func kvCas(g *guest, s []uint64) {
	key, err := g.key(s[0], s[1])
	var old []byte // nil: there must be none
	ok := true
	if int32(uint32(s[3])) != -1 {
		if old, ok = g.bytes(s[2], s[3]); old == nil {
			old = []byte{}
		}
	}
	value, in := g.bytes(s[4], s[5])
	if err == nil && (!ok || !in) {
		err = contract.ErrnoInvalid
	}
	if err == nil {
		err = g.p.spec.Services.KV.Swap(key, old, value)
	}
	s[0] = result(err)
}
