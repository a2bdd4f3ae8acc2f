package plugintool

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// sample is one record in parts, so that it can be written well and badly.
type sample struct {
	header contract.Header
	slots  [][]byte // nil: absent
}

// samplesOf takes the records of a scenario, and one of its own for each hook of
// the manifest.
func (r *Run) samplesOf(s *Scenario) (map[contract.Hook][]sample, error) {
	out := map[contract.Hook][]sample{}
	if s != nil {
		for i := range s.Steps {
			st := &s.Steps[i]
			k, ok := contract.ParseHook(st.Hook)
			if !ok || st.Fault != "" {
				continue
			}
			for j := range st.Records {
				var w contract.Writer
				if err := st.Records[j].write(&w, k, st.Conn); err != nil {
					return nil, fmt.Errorf("step %d, record %d: %w", i+1, j+1, err)
				}
				rec, _, err := contract.Split(w.Frame())
				if err != nil {
					return nil, err
				}
				out[k] = append(out[k], parts(rec))
			}
		}
	}
	for _, h := range r.Package.Hooks {
		k, _ := contract.ParseHook(h.Name)
		out[k] = append(out[k], plainSample(k))
	}
	return out, nil
}

// parts takes a record apart.
func parts(r contract.Record) sample {
	s := sample{header: r.Header(), slots: make([][]byte, r.NumSlots())}
	for i := range s.slots {
		if b, ok := r.Lookup(contract.Slot(i)); ok {
			s.slots[i] = append([]byte{}, b...)
		}
	}
	return s
}

// plainSample is a record that any client might cause.
func plainSample(k contract.Hook) sample {
	s := sample{header: contract.Header{Hook: k, Conn: 1, Time: 1e18, Flags: contract.Flags(0).WithVersion(5) | contract.FlagPublish}}
	for _, name := range k.Slots() {
		v := []byte(name)
		switch name {
		case "topic", "filter", "will_topic":
			v = []byte("a/b")
		case "filters":
			v = contract.AppendFilter(nil, "a/b")
			if k == contract.HookSubscribe {
				v = append(v, 1)
			}
			s.header.Aux = 1
		case "props", "will_props", "auth_state":
			v = []byte{}
		case "session_expiry", "expiry", "subscription_id":
			v = []byte{60, 0, 0, 0}
		case "connected_at":
			v = make([]byte, 8)
		case "message_id":
			v = make([]byte, 16)
		case "payload":
			s.header.Aux = uint32(len(v))
		}
		s.slots = append(s.slots, v)
	}
	return s
}

// frame writes the record with its own number of slots.
func (s sample) frame() []byte {
	head := contract.HeaderSize + len(s.slots)*contract.SlotSize
	b := make([]byte, head)
	binary.LittleEndian.PutUint16(b[4:], uint16(s.header.Hook))
	binary.LittleEndian.PutUint16(b[6:], uint16(len(s.slots)))
	binary.LittleEndian.PutUint64(b[8:], s.header.Conn)
	binary.LittleEndian.PutUint64(b[16:], s.header.Time)
	binary.LittleEndian.PutUint32(b[24:], uint32(s.header.Flags))
	binary.LittleEndian.PutUint32(b[28:], s.header.Aux)
	for i, v := range s.slots {
		if v != nil {
			binary.LittleEndian.PutUint32(b[contract.HeaderSize+i*contract.SlotSize:], uint32(len(b)))
			binary.LittleEndian.PutUint32(b[contract.HeaderSize+i*contract.SlotSize+4:], uint32(len(v)))
			b = append(b, v...)
		}
	}
	b = append(b, make([]byte, -len(b)&(contract.Align-1))...)
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	return b
}

// with returns a copy with slot i replaced.
func (s sample) with(i int, v []byte) sample {
	s.slots = slices.Clone(s.slots)
	s.slots[i] = v
	return s
}

// resized returns a copy with n slots; those that are added hold v.
func (s sample) resized(n int, v []byte) sample {
	s.slots = slices.Clone(s.slots[:min(n, len(s.slots))])
	for len(s.slots) < n {
		s.slots = append(s.slots, v)
	}
	return s
}

// filled returns a copy with every slot the same.
func (s sample) filled(v []byte) sample {
	s.slots = slices.Clone(s.slots)
	for i := range s.slots {
		s.slots[i] = v
	}
	return s
}

// frames writes n records, the samples by turns.
func frames(list []sample, n int) (frame []byte) {
	for i := range n {
		frame = append(frame, list[i%len(list)].frame()...)
	}
	return frame
}
