package listener

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// The PROXY protocol, versions 1 and 2, as HAProxy's proxy-protocol.txt has it.
// The header is read to its last byte and no further, so that what follows is
// still in the socket.
const (
	proxyV1Longest = 107     // with its line end (§2.1)
	proxyV2Longest = 4 << 10 // of addresses and TLVs; the protocol would allow 64 KiB
	proxyV2Head    = 16
)

// Types of TLVs (§2.2).
const (
	tlvSSL   = 0x20 // its value: client bits, verify, then TLVs
	tlvSSLCN = 0x22
)

// Bits of the SSL TLV's first byte.
const (
	sslClientSSL      = 0x01
	sslClientCertConn = 0x02
	sslClientCertSess = 0x04
)

var proxyV2Signature = []byte("\r\n\r\n\x00\r\nQUIT\n")

var errNoProxy = errors.New("no PROXY header")

// proxied is what a PROXY header tells.
type proxied struct {
	// peer is the client's address; invalid if the header does not tell: the
	// proxy speaks for itself (a health check) or does not know.
	peer netip.AddrPort
	// cn is the common name of the client's certificate, if the proxy has verified
	// one; version 2 only.
	cn string
}

// readProxy reads one header off r and not a byte more.
func readProxy(r io.Reader) (proxied, error) {
	var buf [proxyV1Longest]byte
	head := buf[:len(proxyV2Signature)]
	// One byte tells strangers from proxies, before waiting for more.
	if _, err := io.ReadFull(r, head[:1]); err != nil {
		return proxied{}, err
	}
	if head[0] != 'P' && head[0] != '\r' {
		return proxied{}, errNoProxy
	}
	if _, err := io.ReadFull(r, head[1:]); err != nil {
		return proxied{}, err
	}
	switch {
	case bytes.Equal(head, proxyV2Signature):
		return readProxyV2(r)
	case bytes.HasPrefix(head, []byte("PROXY ")):
		line, err := readProxyLine(r, buf[:], len(head))
		if err != nil {
			return proxied{}, err
		}
		return parseProxyV1(line)
	}
	return proxied{}, errNoProxy
}

// readProxyLine completes the line of which n bytes are in buf. A line end takes
// two bytes, so two can be asked for until the first of them is there.
func readProxyLine(r io.Reader, buf []byte, n int) (string, error) {
	for {
		want := 2
		if buf[n-1] == '\r' {
			want = 1
		}
		if n+want > len(buf) {
			return "", errors.New("PROXY line is too long")
		}
		if _, err := io.ReadFull(r, buf[n:n+want]); err != nil {
			return "", err
		}
		n += want
		if buf[n-1] == '\n' {
			line, ok := strings.CutSuffix(string(buf[:n]), "\r\n")
			if !ok {
				return "", errors.New("PROXY line ends without CR LF")
			}
			return line, nil
		}
		if want == 1 || buf[n-2] == '\n' {
			return "", errors.New("PROXY line ends without CR LF")
		}
	}
}

// parseProxyV1 reads "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443".
func parseProxyV1(line string) (proxied, error) {
	f := strings.Split(line, " ")
	if len(f) >= 2 && f[1] == "UNKNOWN" {
		return proxied{}, nil // the rest says nothing (§2.1)
	}
	if len(f) != 6 || (f[1] != "TCP4" && f[1] != "TCP6") {
		return proxied{}, fmt.Errorf("bad PROXY line %q", line)
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		a, err := netip.ParseAddr(f[2+i])
		if err != nil || a.Is4() != (f[1] == "TCP4") || a.Zone() != "" {
			return proxied{}, fmt.Errorf("bad address in PROXY line %q", line)
		}
		port := f[4+i]
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || (len(port) > 1 && port[0] == '0') || port[0] == '+' {
			return proxied{}, fmt.Errorf("bad port in PROXY line %q", line)
		}
		ends[i] = netip.AddrPortFrom(a, uint16(n))
	}
	return proxied{peer: unmap(ends[0])}, nil
}

// readProxyV2 reads what follows the signature.
func readProxyV2(r io.Reader) (proxied, error) {
	var fixed [proxyV2Head - 12]byte
	if _, err := io.ReadFull(r, fixed[:]); err != nil {
		return proxied{}, err
	}
	if fixed[0]>>4 != 2 || fixed[0]&0xf > 1 {
		return proxied{}, fmt.Errorf("PROXY version and command %#02x", fixed[0])
	}
	length := int(binary.BigEndian.Uint16(fixed[2:]))
	if length > proxyV2Longest {
		return proxied{}, fmt.Errorf("PROXY header of %d bytes is too long", length)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return proxied{}, err
	}
	if fixed[0]&0xf == 0 { // LOCAL: the rest says nothing
		return proxied{}, nil
	}
	return parseProxyV2(fixed[1], body)
}

// parseProxyV2 reads addresses and TLVs.
func parseProxyV2(family byte, b []byte) (proxied, error) {
	var p proxied
	size := 0
	switch family {
	case 0x11, 0x12: // TCP or UDP over IPv4
		if size = 12; len(b) >= size {
			p.peer = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[8:]))
		}
	case 0x21, 0x22: // over IPv6
		if size = 36; len(b) >= size {
			p.peer = unmap(netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)), binary.BigEndian.Uint16(b[32:])))
		}
	case 0x31, 0x32: // a UNIX socket: no address
		size = 216
	case 0x00: // unspecified: TLVs only
	default:
		return proxied{}, fmt.Errorf("PROXY address family and protocol %#02x", family)
	}
	if len(b) < size {
		return proxied{}, errors.New("PROXY header is too short for its addresses")
	}
	err := eachTLV(b[size:], func(kind byte, v []byte) error {
		if kind != tlvSSL {
			return nil
		}
		var err error
		p.cn, err = sslName(v)
		return err
	})
	return p, err
}

// sslName is the common name in an SSL TLV; "" if the client has shown no
// certificate or the proxy could not verify it.
func sslName(v []byte) (cn string, err error) {
	if len(v) < 5 {
		return "", errors.New("PROXY SSL TLV is too short")
	}
	err = eachTLV(v[5:], func(kind byte, v []byte) error {
		if kind == tlvSSLCN {
			cn = string(v)
		}
		return nil
	})
	verified := binary.BigEndian.Uint32(v[1:]) == 0
	if v[0]&sslClientSSL == 0 || v[0]&(sslClientCertConn|sslClientCertSess) == 0 || !verified {
		cn = ""
	}
	return cn, err
}

func eachTLV(b []byte, fn func(kind byte, v []byte) error) error {
	for len(b) > 0 {
		if len(b) < 3 {
			return errors.New("PROXY TLV is cut")
		}
		n := int(binary.BigEndian.Uint16(b[1:]))
		if len(b) < 3+n {
			return errors.New("PROXY TLV is longer than the header")
		}
		if err := fn(b[0], b[3:3+n]); err != nil {
			return err
		}
		b = b[3+n:]
	}
	return nil
}
