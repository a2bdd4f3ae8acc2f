package listener

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/gobwas/ws"
)

// masked is a client's frame.
func masked(op ws.OpCode, fin bool, payload string) []byte {
	var b bytes.Buffer
	f := ws.MaskFrameInPlaceWith(ws.NewFrame(op, fin, []byte(payload)), [4]byte{1, 2, 3, 4})
	if err := ws.WriteFrame(&b, f); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

// MQTT packets may be split and joined across frames [MQTT-6.0.0-2].
func TestFramesMayBeCutAnywhere(t *testing.T) {
	var all, want []byte
	rng := rand.New(rand.NewPCG(3, 4))
	for i, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 70000, 3} {
		data := string(bytes.Repeat([]byte{byte(i)}, n))
		all = append(all, masked(ws.OpBinary, false, data)...)
		all = append(all, masked(ws.OpPing, true, "between")...)
		all = append(all, masked(ws.OpContinuation, true, data)...)
		want = append(append(want, data...), data...)
	}
	for round := range 50 {
		u := unframer{max: 1 << 20}
		in := bytes.Clone(all)
		var got []byte
		pings := 0
		for len(in) > 0 {
			n := min(len(in), 1+rng.IntN(1+rng.IntN(5000)))
			if round == 0 {
				n = 1
			}
			m, err := u.decode(in[:n], func(op ws.OpCode, payload []byte) error {
				if op != ws.OpPing || string(payload) != "between" {
					t.Fatalf("%v %q", op, payload)
				}
				pings++
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, in[:m]...)
			in = in[n:]
		}
		if !bytes.Equal(got, want) || pings != 9 {
			t.Fatalf("round %d: %d bytes of %d, %d pings", round, len(got), len(want), pings)
		}
	}
}

func TestFaultyFrames(t *testing.T) {
	unmasked, _ := ws.CompileFrame(ws.NewBinaryFrame([]byte("x")))
	rsv := masked(ws.OpBinary, true, "x")
	rsv[0] |= 0x40
	for name, c := range map[string]struct {
		in   []byte
		code ws.StatusCode
		data string // what is good before the fault
	}{
		"text [MQTT-6.0.0-1]":     {join(masked(ws.OpBinary, true, "ok"), masked(ws.OpText, true, "x")), ws.StatusUnsupportedData, "ok"},
		"not masked":              {unmasked, ws.StatusProtocolError, ""},
		"reserved bit":            {rsv, ws.StatusProtocolError, ""},
		"unknown opcode":          {masked(0x3, true, "x"), ws.StatusProtocolError, ""},
		"unknown control opcode":  {masked(0xb, true, "x"), ws.StatusProtocolError, ""},
		"fragmented ping":         {masked(ws.OpPing, false, "x"), ws.StatusProtocolError, ""},
		"ping of 126 bytes":       {masked(ws.OpPing, true, string(make([]byte, 126))), ws.StatusProtocolError, ""},
		"continuation of nothing": {masked(ws.OpContinuation, true, "x"), ws.StatusProtocolError, ""},
		"binary in a message":     {join(masked(ws.OpBinary, false, "a"), masked(ws.OpBinary, true, "b")), ws.StatusProtocolError, "a"},
		"too long":                {masked(ws.OpBinary, true, string(make([]byte, 1001))), ws.StatusMessageTooBig, ""},
		"negative length":         {[]byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, ws.StatusProtocolError, ""},
	} {
		u := unframer{max: 1000}
		n, err := u.decode(c.in, nil)
		var e *closeError
		if !errors.As(err, &e) || e.code != c.code || string(c.in[:n]) != c.data {
			t.Errorf("%s: %q, %v", name, c.in[:n], err)
		}
	}
}

func FuzzUnframer(f *testing.F) {
	f.Add(masked(ws.OpBinary, true, "hello"), 1)
	f.Add(join(masked(ws.OpBinary, false, "a"), masked(ws.OpPing, true, "p"), masked(ws.OpContinuation, true, "b")), 3)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		run := func(step int) (string, error) {
			u := unframer{max: 1 << 16}
			b := bytes.Clone(in)
			var out []byte
			for len(b) > 0 {
				n := min(step, len(b))
				m, err := u.decode(b[:n], func(op ws.OpCode, p []byte) error {
					if !op.IsControl() || len(p) > 125 {
						t.Fatalf("control %v of %d bytes", op, len(p))
					}
					return nil
				})
				out = append(out, b[:m]...)
				if err != nil {
					return string(out), err
				}
				b = b[n:]
			}
			return string(out), nil
		}
		whole, err1 := run(len(in) + 1)
		parts, err2 := run(max(1, cut%64))
		if whole != parts || (err1 == nil) != (err2 == nil) {
			t.Fatalf("%q %v\n%q %v", whole, err1, parts, err2)
		}
	})
}

// webPair is a server's stream and the client's raw end.
func webPair(t *testing.T) (*webConn, net.Conn) {
	t.Helper()
	server, client := net.Pipe()
	t.Cleanup(func() { _, _ = server.Close(), client.Close() })
	return newWebConn(server, nil, 1<<20), client
}

// talk writes frames and returns the server's next one.
func talk(t *testing.T, client net.Conn, frames ...[]byte) ws.Frame {
	t.Helper()
	go func() { _, _ = client.Write(join(frames...)) }()
	f, err := ws.ReadFrame(client)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPingIsAnswered(t *testing.T) {
	s, c := webPair(t)
	go func() { _, _ = s.Read(make([]byte, 100)) }()
	if f := talk(t, c, masked(ws.OpPing, true, "are you there")); f.Header.OpCode != ws.OpPong || string(f.Payload) != "are you there" || f.Header.Masked {
		t.Errorf("%+v", f)
	}
}

func TestTextIsClosedWith1003(t *testing.T) {
	s, c := webPair(t)
	errc := make(chan error, 1)
	go func() { _, err := s.Read(make([]byte, 100)); errc <- err }()
	f := talk(t, c, masked(ws.OpText, true, "hello"))
	if code, _ := ws.ParseCloseFrameData(f.Payload); f.Header.OpCode != ws.OpClose || code != ws.StatusUnsupportedData {
		t.Errorf("%+v", f)
	}
	var e *closeError
	if err := <-errc; !errors.As(err, &e) {
		t.Errorf("read: %v", err)
	}
}

func TestCloseHandshakeByThePeer(t *testing.T) {
	s, c := webPair(t)
	got := make(chan string, 2)
	go func() {
		b, err := io.ReadAll(s)
		if err != nil {
			t.Error(err)
		}
		got <- string(b)
	}()
	f := talk(t, c, masked(ws.OpBinary, true, "last words"), masked(ws.OpClose, true, string(ws.NewCloseFrameBody(ws.StatusGoingAway, "bye"))), masked(ws.OpBinary, true, "too late"))
	if code, _ := ws.ParseCloseFrameData(f.Payload); f.Header.OpCode != ws.OpClose || code != ws.StatusGoingAway {
		t.Errorf("%+v", f)
	}
	if b := <-got; b != "last words" {
		t.Errorf("read %q", b)
	}
	if _, err := s.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
}

func TestCloseHandshakeByUs(t *testing.T) {
	s, c := webPair(t)
	go func() { _ = s.CloseWrite() }()
	f, err := ws.ReadFrame(c)
	if err != nil {
		t.Fatal(err)
	}
	if code, _ := ws.ParseCloseFrameData(f.Payload); f.Header.OpCode != ws.OpClose || code != ws.StatusNormalClosure {
		t.Errorf("%+v", f)
	}
	go func() { _, _ = c.Write(masked(ws.OpClose, true, string(f.Payload))) }()
	if _, err := s.Read(make([]byte, 10)); err != io.EOF {
		t.Errorf("read: %v", err)
	}
}

func TestWriteIsCutIntoFrames(t *testing.T) {
	s, c := webPair(t)
	data := bytes.Repeat([]byte("0123456789"), 10000)
	go func() {
		if n, err := s.Write(data); n != len(data) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}()
	var got []byte
	for len(got) < len(data) {
		f, err := ws.ReadFrame(c)
		if err != nil {
			t.Fatal(err)
		}
		if f.Header.OpCode != ws.OpBinary || !f.Header.Fin || f.Header.Length > webFrame {
			t.Fatalf("%+v", f.Header)
		}
		got = append(got, f.Payload...)
	}
	if !bytes.Equal(got, data) {
		t.Error("data changed")
	}
}
