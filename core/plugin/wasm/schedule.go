package wasm

import (
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// pageUnits is what a page of messages that wait costs: it is read from the disk.
const pageUnits = 20_000

func schedulePut(g *guest, s []uint64) {
	i, err := g.call.record(s[0])
	topic, ok := g.bytes(s[1], s[2])
	if err == nil && !ok {
		err = contract.ErrnoInvalid
	}
	var seq uint64
	if err == nil {
		seq, err = plugin.Schedule(g.call.records, i, string(topic), plugin.Due{Kind: int32(uint32(s[3])), MS: int64(s[4])})
	}
	if err != nil {
		s[0] = uint64(int64(plugin.Errno(err)))
		return
	}
	s[0] = seq
}

func scheduleCancel(g *guest, s []uint64) { s[0] = result(g.p.spec.Services.Later.Cancel(s[0])) }

func scheduleList(g *guest, s []uint64) {
	g.pay(pageUnits)
	var err error
	g.value, err = g.p.spec.Services.Later.Page(g.value[:0], int64(s[0]), s[1], contract.SchedulePage)
	g.give(s, err)
}

// findUnits is what it costs to look a message up among all that wait.
const findUnits = 20_000

func scheduleFind(g *guest, s []uint64) {
	g.pay(findUnits)
	due, err := g.p.spec.Services.Later.Due(s[0])
	if err != nil {
		due = int64(plugin.Errno(err))
	}
	s[0] = uint64(due)
}

func scheduleCount(g *guest, s []uint64) { s[0] = uint64(g.p.spec.Services.Later.Len()) }
