package listener

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// v2 is a version 2 header.
func v2(command, family byte, body ...[]byte) []byte {
	b := append(bytes.Clone(proxyV2Signature), 0x20|command, family, 0, 0)
	for _, p := range body {
		b = append(b, p...)
	}
	binary.BigEndian.PutUint16(b[14:], uint16(len(b)-16))
	return b
}

func tlv(kind byte, v []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(v))), v...)
}

// inet4 is 192.0.2.1:56324 -> 192.0.2.2:1883.
var inet4 = []byte{192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 4, 0x07, 0x5b}

func inet6(addr string) []byte {
	a := netip.MustParseAddr(addr).As16()
	return append(append(a[:], a[:]...), 0xdc, 4, 0x07, 0x5b)
}

// sslTLV is what a proxy tells of a client's certificate.
func sslTLV(bits byte, verify uint32, cn string) []byte {
	v := binary.BigEndian.AppendUint32([]byte{bits}, verify)
	v = append(v, tlv(0x21, []byte("TLSv1.3"))...)
	return tlv(tlvSSL, append(v, tlv(tlvSSLCN, []byte(cn))...))
}

func TestProxyHeaders(t *testing.T) {
	for name, c := range map[string]struct {
		header, peer, cn string
	}{
		"v1 IPv4":                   {"PROXY TCP4 192.0.2.1 192.0.2.2 56324 1883\r\n", "192.0.2.1:56324", ""},
		"v1 IPv4, odd length":       {"PROXY TCP4 192.0.2.1 192.0.2.2 5632 1883\r\n", "192.0.2.1:5632", ""},
		"v1 IPv6":                   {"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "[2001:db8::1]:1", ""},
		"v1 unknown":                {"PROXY UNKNOWN\r\n", "", ""},
		"v1 unknown with addresses": {"PROXY UNKNOWN ffff:f...f:ffff x y z\r\n", "", ""},
		"v2 IPv4":                   {string(v2(1, 0x11, inet4)), "192.0.2.1:56324", ""},
		"v2 IPv6":                   {string(v2(1, 0x21, inet6("2001:db8::1"))), "[2001:db8::1]:56324", ""},
		"v2 mapped":                 {string(v2(1, 0x21, inet6("::ffff:192.0.2.1"))), "192.0.2.1:56324", ""},
		"v2 local":                  {string(v2(0, 0x00)), "", ""},
		"v2 local with an address":  {string(v2(0, 0x11, inet4)), "", ""},
		"v2 UNIX":                   {string(v2(1, 0x31, make([]byte, 216))), "", ""},
		"v2 unspecified":            {string(v2(1, 0x00, tlv(4, nil))), "", ""},
		"v2 certificate":            {string(v2(1, 0x11, inet4, tlv(4, []byte("noop")), sslTLV(7, 0, "meter-7"))), "192.0.2.1:56324", "meter-7"},
		"v2 resumed certificate":    {string(v2(1, 0x11, inet4, sslTLV(5, 0, "meter-7"))), "192.0.2.1:56324", "meter-7"},
		"v2 not verified":           {string(v2(1, 0x11, inet4, sslTLV(7, 1, "meter-7"))), "192.0.2.1:56324", ""},
		"v2 no certificate":         {string(v2(1, 0x11, inet4, sslTLV(1, 0, "meter-7"))), "192.0.2.1:56324", ""},
		"v2 no TLS":                 {string(v2(1, 0x11, inet4, sslTLV(6, 0, "meter-7"))), "192.0.2.1:56324", ""},
	} {
		r := strings.NewReader(c.header + "MQTT")
		p, err := readProxy(iotest.HalfReader(r))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if peer := p.peer.String(); (peer != c.peer && (c.peer != "" || p.peer.IsValid())) || p.cn != c.cn {
			t.Errorf("%s: %+v", name, p)
		}
		if r.Len() != len("MQTT") {
			t.Errorf("%s: %d bytes are left, not 4", name, r.Len())
		}
		for n := range len(c.header) {
			if _, err := readProxy(strings.NewReader(c.header[:n])); err == nil {
				t.Errorf("%s: %d bytes are enough", name, n)
			}
		}
	}
}

func TestBadProxyHeaders(t *testing.T) {
	long := v2(1, 0x11, inet4)
	binary.BigEndian.PutUint16(long[14:], proxyV2Longest+1)
	for name, header := range map[string]string{
		"MQTT":                       "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
		"HTTP":                       "POST / HTTP/1.1\r\n\r\n",
		"v1 lower case":              "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"v1 IPv6 as TCP4":            "PROXY TCP4 ::1 ::1 1 2\r\n",
		"v1 IPv4 as TCP6":            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
		"v1 zone":                    "PROXY TCP6 fe80::1%x fe80::2 1 2\r\n",
		"v1 no port":                 "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
		"v1 empty port":              "PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n",
		"v1 port":                    "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
		"v1 port with zeros":         "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
		"v1 two spaces":              "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
		"v1 other family":            "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"v1 LF alone":                "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\nxxxxxx",
		"v1 CR alone":                "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rxxxxxx\r\n",
		"v1 too long":                "PROXY UNKNOWN " + strings.Repeat("x", 100) + "\r\n",
		"v2 version 3":               strings.Replace(string(v2(1, 0x11, inet4)), "\x21\x11", "\x31\x11", 1),
		"v2 command 2":               string(v2(2, 0x11, inet4)),
		"v2 family":                  string(v2(1, 0x41, inet4)),
		"v2 short address":           string(v2(1, 0x11, inet4[:11])),
		"v2 short address, IPv6":     string(v2(1, 0x21, inet4)),
		"v2 too long":                string(long) + strings.Repeat("x", proxyV2Longest),
		"v2 cut TLV":                 string(v2(1, 0x11, inet4, []byte{1, 0})),
		"v2 TLV beyond the end":      string(v2(1, 0x11, inet4, []byte{1, 0, 9, 0})),
		"v2 short SSL TLV":           string(v2(1, 0x11, inet4, tlv(tlvSSL, []byte{7}))),
		"v2 TLV beyond the SSL one":  string(v2(1, 0x11, inet4, tlv(tlvSSL, []byte{7, 0, 0, 0, 0, tlvSSLCN, 0, 9, 'x'}))),
		"v2 signature spoiled":       "\r\n\r\n\x00\r\nQUIX\n\x21\x11\x00\x0c" + string(inet4),
		"v1 after a line end":        "\r\nPROXY UNKNOWN\r\n",
		"v1 without a word":          "PROXY \r\n",
		"v1 unknown without the end": "PROXY UNKNOWN",
	} {
		if p, err := readProxy(strings.NewReader(header)); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func FuzzReadProxy(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 56324 1883\r\nx"))
	f.Add(v2(1, 0x21, inet6("2001:db8::1"), sslTLV(7, 0, "meter-7")))
	f.Add(v2(0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		p, err := readProxy(r)
		if err != nil {
			return
		}
		if p.peer.IsValid() && p.peer.Addr().Is4In6() {
			t.Errorf("mapped address %v", p.peer)
		}
		// What was read is the header, whole: alone it says the same.
		again, err := readProxy(bytes.NewReader(b[:len(b)-r.Len()]))
		if err != nil || again != p {
			t.Errorf("%+v, alone %+v, %v", p, again, err)
		}
	})
}

// Every transport takes the client's address and name from the header; bytes
// that came in the same segment are not lost, and plain TCP stays a descriptor.
func TestProxiedClients(t *testing.T) {
	ca := newPKI(t)
	header := v2(1, 0x11, inet4, sslTLV(7, 0, "meter-7"))
	for _, proto := range []Proto{TCP, TLS, WS, WSS} {
		t.Run(string(proto), func(t *testing.T) {
			cfg := ca.config(proto)
			cfg.ProxyProtocol, cfg.MaxConnPerAddress = true, 1
			cfg.TLS.PeerCertAsClientID = CertCN
			if proto.Secure() {
				cfg.TLS.PeerCertAsClientID = ""
			}
			p := open(t, cfg)
			p.preface = header
			echo(t, p.client(ca))
			info := <-p.infos
			if info.Peer.String() != "192.0.2.1:56324" || info.CommonName != "meter-7" || (info.CertClientID != "meter-7") != proto.Secure() {
				t.Errorf("%+v", info)
			}
			second := p.dial() // from the same client
			closes(t, second)
			p.preface = v2(1, 0x21, inet6("2001:db8::1"))
			echo(t, p.client(ca))
			if info := <-p.infos; info.Peer.String() != "[2001:db8::1]:56324" || info.CommonName != "" {
				t.Errorf("%+v", info)
			}
			eventually(t, "the counts", func() bool { return p.Stats().Crowded == 1 })
		})
	}
}

func TestProxyHeaderAndPacketInOneSegment(t *testing.T) {
	cfg := Default(TCP, "test")
	cfg.ProxyProtocol = true
	p := open(t, cfg)
	nc := p.dial()
	if _, err := nc.Write([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 56324 1883\r\nfirst bytes")); err != nil {
		t.Fatal(err)
	}
	expect(t, nc, "first bytes")
	if fd := <-p.bare; fd != rawTCP {
		t.Errorf("handed over as descriptor: %v, want %v", fd, rawTCP)
	}
}

func TestConnectionsWithoutProxyHeaderAreClosed(t *testing.T) {
	cfg := Default(TCP, "test")
	cfg.ProxyProtocol, cfg.ProxyTimeout = true, 50*time.Millisecond
	p := open(t, cfg)
	closes(t, p.dial()) // says nothing
	nc := p.dial()
	_, _ = nc.Write([]byte("\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"))
	closes(t, nc)
	eventually(t, "the failures", func() bool { return p.Stats().Failed == 2 && p.Stats().Current == 0 })
}

// What the proxy says of itself leaves the socket's own address.
func TestProxyHealthCheckKeepsTheSocketsAddress(t *testing.T) {
	cfg := Default(TCP, "test")
	cfg.ProxyProtocol = true
	p := open(t, cfg)
	p.preface = v2(0, 0)
	nc := p.dial()
	echo(t, nc)
	if info := <-p.infos; info.Peer.String() != nc.LocalAddr().String() {
		t.Errorf("%+v", info)
	}
}
