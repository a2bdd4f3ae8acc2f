package plugin

import (
	"fmt"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Call is one frame on its way through one plugin, and what came back. The
// manager makes it; a transport reads the first part and answers through Take
// and Fail. It is owned by one goroutine at a time.
type Call struct {
	// Hook is the hook of every record.
	Hook contract.Hook
	// Frame is N records back to back in the contract's layout. Read only; not
	// to be kept after Call returns.
	Frame []byte
	N     int
	// Key is the shard key: the connection of the records. Observe batches mix
	// connections and have Key 0.
	Key uint64
	// Hops is the highest hop count of the records' messages.
	Hops uint8
	// Records are the topicstore services of a retained call; nil otherwise.
	Records Records

	// Owned by the transport while Instance.Call runs.
	blocks []byte
	spans  []span
	faults []error // nil: none; else one a record
}

// span is where the verdict block of records [from, from+n) lies in blocks.
type span struct{ from, n, off, end int }

// Take accepts the verdict block of the n records from record on. The block is
// validated and copied. An error means that the block is bad, which is a fault
// of the plugin; nothing was taken then.
func (c *Call) Take(from, n int, block []byte) error {
	if from < 0 || n <= 0 || from+n > c.N {
		return fmt.Errorf("verdicts for records %d..%d of %d", from, from+n, c.N)
	}
	if err := checkBlock(c.Hook, n, block); err != nil {
		return err
	}
	off := len(c.blocks)
	c.blocks = append(c.blocks, block...)
	c.spans = append(c.spans, span{from: from, n: n, off: off, end: len(c.blocks)})
	return nil
}

// Fail marks one record as faulted: its hook's on_error policy applies.
func (c *Call) Fail(record int, err error) {
	if c.faults == nil {
		c.faults = make([]error, c.N)
	}
	if record >= 0 && record < c.N {
		c.faults[record] = err
	}
}

// Reset makes c ready for another frame and keeps its memory.
func (c *Call) Reset() {
	*c = Call{Frame: c.Frame[:0], blocks: c.blocks[:0], spans: c.spans[:0]}
}
