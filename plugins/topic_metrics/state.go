package main

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"time"

	sdk "github.com/dunlinmq/dunlin/pluginsdk"
)

// What is saved outlives a guest: as the state that one version hands to the next, and
// once a second in the plugin's keys, for a guest that comes in place of one that was
// lost. It is the fingerprint of the configuration, then of each topic its length (u16),
// its name, since when it is counted (u64, Unix ms) and its counters (u64 each). Every
// page among the keys is whole by itself.

// entrySize is what a topic takes beside its name.
const entrySize = 2 + 8 + 8*int(metrics)

// pageSize is how much of it one key holds.
const pageSize = 60_000

func pageKey(i int) string { return "state/" + strconv.Itoa(i) }

// fingerprint tells configurations apart.
func fingerprint(text []byte) uint64 {
	h := fnv.New64a()
	h.Write(text) //nolint:errcheck // a hash takes everything
	return h.Sum64()
}

// pages are what is saved, at most size bytes each. change is held.
func (p *Plugin) pages(size int) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list [][]byte
	page := binary.LittleEndian.AppendUint64(nil, p.file)
	for _, t := range slices.Sorted(maps.Keys(p.topics)) {
		if len(page)+len(t)+entrySize > size {
			list = append(list, page)
			page = binary.LittleEndian.AppendUint64(nil, p.file)
		}
		c := p.topics[t]
		page = append(binary.LittleEndian.AppendUint16(page, uint16(len(t))), t...)
		page = binary.LittleEndian.AppendUint64(page, uint64(c.since.UnixMilli()))
		for _, n := range c.now {
			page = binary.LittleEndian.AppendUint64(page, n)
		}
	}
	return append(list, page)
}

// save puts it into the plugin's keys and tells whether the broker took it. change is
// held.
func (p *Plugin) save() bool {
	list := p.pages(pageSize)
	for i, page := range list {
		if sdk.Set(pageKey(i), page, 0) != nil {
			return false
		}
	}
	for i := len(list); sdk.Delete(pageKey(i)) == nil; i++ { // of more topics than now
	}
	return true
}

// resume goes on with a page of what was saved, the first one or a further one. With
// the configuration of then, the topics are those of then, the registered and
// unregistered ones too; with another, its topics keep their counts. Nothing ticks yet,
// or change is held.
func (p *Plugin) resume(page []byte, now time.Time, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(page) < 8 {
		return
	}
	same := binary.LittleEndian.Uint64(page) == p.file
	if same && first {
		clear(p.topics)
	}
	for page = page[8:]; len(page) >= 2; {
		n := int(binary.LittleEndian.Uint16(page))
		if len(page) < n+entrySize {
			return
		}
		t, rest := string(page[2:2+n]), page[2+n:]
		p.exports.left(t)
		if same || p.topics[t] != nil {
			c := newCounts(now)
			c.since = time.UnixMilli(int64(binary.LittleEndian.Uint64(rest)))
			for m := range c.now {
				c.now[m] = binary.LittleEndian.Uint64(rest[8+8*m:])
			}
			c.begin(now)
			p.topics[t] = c
		}
		page = page[n+entrySize:]
	}
}

// SaveState implements [sdk.Stateful].
func (p *Plugin) SaveState() []byte {
	p.change.Lock()
	defer p.change.Unlock()
	return p.pages(1 << 20)[0] // all topics fit
}

// RestoreState implements [sdk.Stateful].
func (p *Plugin) RestoreState(state []byte) error {
	p.change.Lock()
	defer p.change.Unlock()
	p.resume(state, time.Now(), true)
	if err := p.want(); err != nil {
		return errors.New("after a reload: " + err.Error())
	}
	return nil
}
