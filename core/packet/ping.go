package packet

// Pingreq asks for a sign of life (5.0 §3.12).
type Pingreq struct{}

// Pingresp answers a Pingreq (5.0 §3.13).
type Pingresp struct{}

// What the Decoder returns; they have no state.
var (
	pingreq  Pingreq
	pingresp Pingresp
)

// Type is TypePingreq.
func (p *Pingreq) Type() Type { return TypePingreq }

// Type is TypePingresp.
func (p *Pingresp) Type() Type { return TypePingresp }

func (p *Pingreq) appendTo(dst []byte, _ Version) []byte {
	return append(dst, byte(TypePingreq)<<4, 0)
}

func (p *Pingresp) appendTo(dst []byte, _ Version) []byte {
	return append(dst, byte(TypePingresp)<<4, 0)
}
