package registry

import "github.com/dunlinmq/dunlin/core/journal"

// putOff are places to be deleted when transactions have ended that may still put
// something into them: another event loop's, of which the later one would win.
// Guarded by Client.mu. It is bounded by what is dropped while the disk is written
// twice: a round waits for what was open when it began, and for nothing that came later.
type putOff struct {
	seqs []uint64      // of this round
	txs  []*journal.Tx // what it waits for; w waits for the first
	next []uint64      // of the round after it
}

// add puts a deletion off if one of open has not ended; false: it can be made at once.
// own is the caller's transaction, whose order with the deletion is sure.
func (p *putOff) add(seq uint64, own *journal.Tx, open []*journal.Tx, w journal.Waiter) bool {
	busy := false
	for _, t := range open {
		if over, _ := t.Ended(); !over && t != own {
			busy = true
			break
		}
	}
	switch {
	case !busy:
		return false
	case len(p.seqs) > 0:
		p.next = append(p.next, seq)
		return true
	}
	p.txs = append(p.txs, open...)
	if !p.waits(w) {
		return false // they have ended meanwhile
	}
	p.seqs = append(p.seqs, seq)
	return true
}

// waits makes w resume when what is left of the round can have ended; false: it has.
func (p *putOff) waits(w journal.Waiter) bool {
	for len(p.txs) > 0 {
		if p.txs[0].Wait(w) {
			return true
		}
		p.txs[0] = nil
		p.txs = p.txs[1:]
	}
	p.txs = nil
	return false
}

// take returns the places that can be deleted now; nil: none. The next round waits
// for what is open.
func (p *putOff) take(open []*journal.Tx, w journal.Waiter) (seqs []uint64) {
	for len(p.seqs) > 0 && !p.waits(w) {
		seqs = append(seqs, p.seqs...)
		p.seqs, p.next = p.next, nil
		if len(p.seqs) > 0 {
			p.txs = append(p.txs, open...)
		}
	}
	return seqs
}
