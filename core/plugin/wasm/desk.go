package wasm

import (
	"time"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// maxRequest bounds the bytes of an HTTP request that a guest may hand over.
const maxRequest = 512 << 10

func timerSet(g *guest, s []uint64) {
	after := time.Duration(int32(uint32(s[1]))) * time.Millisecond
	s[0] = result(g.p.spec.Services.Desk.SetTimer(g.id, uint32(s[0]), after))
}

func httpStart(g *guest, s []uint64) {
	b, ok := g.bytes(s[1], s[2])
	if !ok || len(b) > maxRequest {
		s[0] = result(contract.ErrnoInvalid)
		return
	}
	timeout := time.Duration(int32(uint32(s[3]))) * time.Millisecond
	s[0] = result(g.p.spec.Services.Desk.Request(g.id, s[0], b, timeout))
}

func hashVerify(g *guest, s []uint64) {
	hash, ok := g.bytes(s[1], s[2])
	password, in := g.bytes(s[3], s[4])
	if !ok || !in {
		s[0] = result(contract.ErrnoInvalid)
		return
	}
	s[0] = result(g.p.spec.Services.Desk.Verify(g.id, s[0], string(hash), password))
}

func cacheForget(g *guest, s []uint64) {
	prefix, ok := g.bytes(s[0], s[1])
	cache := g.p.spec.Services.Cache
	if !ok || len(prefix) > maxClientID || cache == nil {
		s[0] = result(contract.ErrnoInvalid)
		return
	}
	g.pay(forgetUnits)
	cache.Forget(string(prefix))
	s[0] = 0
}

// forgetUnits is what forgetting costs: a look at every remembered verdict.
const forgetUnits = 20_000

// maxClientID is the longest client id there is.
const maxClientID = 65535

// clientID reads a client id.
func (g *guest) clientID(ptr, n uint64) (string, error) {
	b, ok := g.bytes(ptr, n)
	if !ok || len(b) > maxClientID {
		return "", contract.ErrnoInvalid
	}
	return string(b), nil
}

// sessionGet returns the size of the record and writes it if it fits, as kvGet.
func sessionGet(g *guest, s []uint64) {
	id, err := g.clientID(s[0], s[1])
	if err == nil {
		g.value, err = g.p.spec.Services.Sessions.Get(g.value[:0], id)
	}
	g.give(s, err)
}

func sessionKick(g *guest, s []uint64) {
	id, err := g.clientID(s[0], s[1])
	if err == nil {
		err = g.p.spec.Services.Sessions.Kick(id)
	}
	s[0] = result(err)
}

// give hands g.value to the guest: (.., buf s[2], cap s[3]) -> size.
func (g *guest) give(s []uint64, err error) {
	if err != nil {
		s[0] = result(err)
		return
	}
	n := len(g.value)
	g.pay(int64(n >> 6))
	if n <= int(uint32(s[3])) && !g.mem.Write(uint32(s[2]), g.value) {
		s[0] = result(contract.ErrnoInvalid)
		return
	}
	s[0] = uint64(n)
}
