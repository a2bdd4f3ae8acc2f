package event

import (
	"encoding/binary"

	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// Waiting writes a publish record about a message that waits until due (Unix
// nanoseconds) under the number seq, without its payload.
func (w *Encoder) Waiting(due int64, seq uint64, m *message.Message) {
	h := contract.Header{Hook: contract.HookPublish, Time: uint64(due), Aux: uint32(len(m.Payload))}
	h.Flags = h.Flags.WithQoS(m.QoS).WithOrigin(contract.Origin(m.Origin)).WithHops(min(m.Hops, 15)) | contract.FlagPayloadCut
	if m.Retain {
		h.Flags |= contract.FlagRetain
	}
	w.Begin(h)
	w.optional(contract.SlotUsername, m.Username)
	w.String(contract.SlotTopic, m.Topic)
	w.String(contract.SlotFrom, m.From)
	b := make([]byte, 8, 16) // of another node and start: none
	w.Bytes(contract.SlotMessageID, binary.LittleEndian.AppendUint64(b, seq))
	w.End()
}
