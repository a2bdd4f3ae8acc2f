package listener

import (
	"encoding/binary"
	"fmt"

	"github.com/gobwas/ws"
)

// closeError is a fault of the peer that ends a WebSocket, with its close code
// (RFC 6455 §7.4.1).
type closeError struct {
	code   ws.StatusCode
	reason string
}

func (e *closeError) Error() string { return fmt.Sprintf("websocket close %d: %s", e.code, e.reason) }

// unframer takes the frames off a client's bytes. It keeps no data: frames may be
// cut anywhere. Owned by the reader.
type unframer struct {
	max  int64 // longest payload of a frame
	head [14]byte
	have int // bytes of head that have come

	op      ws.OpCode // of the frame under way
	left    int64     // its payload yet to come
	inFrame bool
	mask    [4]byte
	at      int  // position in the payload, for the mask
	joined  bool // a data message awaits its continuation

	control []byte // payload of the control frame under way, at most 125 bytes
}

// decode replaces the frames in p by their data and returns its length. It calls
// control for each control frame. The data before an error is good.
func (u *unframer) decode(p []byte, control func(op ws.OpCode, payload []byte) error) (n int, err error) {
	for i := 0; i < len(p); {
		if !u.inFrame {
			u.head[u.have] = p[i]
			u.have++
			i++
			if err := u.begin(); err != nil {
				return n, err
			}
			if !u.inFrame || u.left > 0 {
				continue
			}
		}
		data := p[i : i+int(min(u.left, int64(len(p)-i)))]
		ws.Cipher(data, u.mask, u.at)
		u.at += len(data)
		u.left -= int64(len(data))
		i += len(data)
		if u.op.IsControl() {
			u.control = append(u.control, data...)
		} else {
			n += copy(p[n:], data)
		}
		if u.left > 0 {
			continue
		}
		u.inFrame, u.have = false, 0
		if u.op.IsControl() {
			payload := u.control
			u.control = nil
			if err := control(u.op, payload); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// begin starts a frame if head is complete.
func (u *unframer) begin() error {
	if u.have < 2 {
		return nil
	}
	length, size := int64(u.head[1]&0x7f), 2
	switch length {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	if u.have == 2 {
		if err := u.check(length); err != nil {
			return err
		}
	}
	if u.have < size+4 {
		return nil
	}
	switch size {
	case 4:
		length = int64(binary.BigEndian.Uint16(u.head[2:]))
	case 10:
		length = int64(binary.BigEndian.Uint64(u.head[2:]))
	}
	if length < 0 {
		return &closeError{ws.StatusProtocolError, "negative length"}
	}
	if length > u.max {
		return &closeError{ws.StatusMessageTooBig, "frame is too long"}
	}
	copy(u.mask[:], u.head[size:])
	u.left, u.at, u.inFrame = length, 0, true
	return nil
}

// check looks at the first two bytes of a frame: RFC 6455 §5.2, and binary data
// only [MQTT-6.0.0-1].
func (u *unframer) check(length int64) error {
	fin := u.head[0]&0x80 != 0
	u.op = ws.OpCode(u.head[0] & 0x0f)
	switch {
	case u.head[0]&0x70 != 0:
		return &closeError{ws.StatusProtocolError, "reserved bits are set"}
	case u.head[1]&0x80 == 0:
		return &closeError{ws.StatusProtocolError, "frame is not masked"}
	case u.op.IsReserved():
		return &closeError{ws.StatusProtocolError, "unknown opcode"}
	case u.op.IsControl() && (!fin || length > 125):
		return &closeError{ws.StatusProtocolError, "control frame is fragmented or too long"}
	case u.op == ws.OpText:
		return &closeError{ws.StatusUnsupportedData, "MQTT needs binary frames"}
	case u.op == ws.OpContinuation && !u.joined:
		return &closeError{ws.StatusProtocolError, "nothing to continue"}
	case u.op == ws.OpBinary && u.joined:
		return &closeError{ws.StatusProtocolError, "the last message is not complete"}
	}
	if u.op.IsData() || u.op == ws.OpContinuation {
		u.joined = !fin
	}
	return nil
}
