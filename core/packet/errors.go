package packet

// Error is why bytes are not a packet. The zero Code never occurs in one.
type Error struct {
	Code ReasonCode // what a 5.0 peer is told in DISCONNECT or CONNACK; a 3.x peer is only closed
	Msg  string     // what is wrong, with the normative statement where there is one
}

// Error gives the code's name and what is wrong.
func (e *Error) Error() string { return e.Code.String() + ": " + e.Msg }

func malformed(msg string) *Error { return &Error{Code: MalformedPacket, Msg: msg} }

func protocolError(msg string) *Error { return &Error{Code: ProtocolError, Msg: msg} }
