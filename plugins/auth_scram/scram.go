package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"hash"
	"strconv"
	"strings"
)

var errMalformed = errors.New("malformed SCRAM message")

// exchange is what the server remembers between its two messages (RFC 5802 §5).
type exchange struct {
	user        string
	gs2         string // GS2 header of the client
	clientFirst string // without the header
	serverFirst string
}

func (m mechanism) hash() func() hash.Hash {
	if m == sha512Mech {
		return sha512.New
	}
	return sha256.New
}

func (m mechanism) mac(key []byte, text string) []byte {
	h := hmac.New(m.hash(), key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// begin answers the client's first message. nonce is the server's part.
func begin(m mechanism, first, nonce string, find func(user string) secret) (x exchange, err error) {
	parts := strings.SplitN(first, ",", 3)
	if len(parts) != 3 {
		return x, errMalformed
	}
	switch {
	case strings.HasPrefix(parts[0], "p="):
		return x, errors.New("channel binding is not offered")
	case parts[0] != "n" && parts[0] != "y":
		return x, errMalformed
	case parts[1] != "" && !strings.HasPrefix(parts[1], "a="):
		return x, errMalformed
	}
	x.gs2, x.clientFirst = parts[0]+","+parts[1]+",", parts[2]
	fields := strings.Split(parts[2], ",")
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "n=") || !strings.HasPrefix(fields[1], "r=") || len(fields[1]) < 10 { // m=: a mandatory extension
		return x, errMalformed
	}
	if x.user, err = unescape(fields[0][2:]); err != nil {
		return x, err
	}
	if a := parts[1]; a != "" {
		if as, err := unescape(a[2:]); err != nil || as != x.user {
			return x, errors.New("acting as somebody else is not offered")
		}
	}
	s := find(x.user)
	x.serverFirst = fields[1] + nonce + ",s=" + base64.StdEncoding.EncodeToString(s.salt) + ",i=" + strconv.Itoa(s.iterations)
	return x, nil
}

// finish checks the client's proof and returns the server's own.
func (x *exchange) finish(m mechanism, final string, s secret) (proof string, ok bool, err error) {
	i := strings.LastIndex(final, ",p=")
	if i < 0 {
		return "", false, errMalformed
	}
	fields := strings.Split(final[:i], ",")
	nonce, _, _ := strings.Cut(x.serverFirst, ",")
	if len(fields) < 2 || fields[0] != "c="+base64.StdEncoding.EncodeToString([]byte(x.gs2)) || fields[1] != nonce {
		return "", false, errMalformed
	}
	got, err := base64.StdEncoding.DecodeString(final[i+3:])
	if err != nil || len(got) != m.size() {
		return "", false, errMalformed
	}
	message := x.clientFirst + "," + x.serverFirst + "," + final[:i]
	signature := m.mac(s.storedKey, message)
	key := make([]byte, len(got))
	subtle.XORBytes(key, got, signature)
	h := m.hash()()
	h.Write(key)
	if subtle.ConstantTimeCompare(h.Sum(nil), s.storedKey) != 1 {
		return "", false, nil
	}
	return "v=" + base64.StdEncoding.EncodeToString(m.mac(s.serverKey, message)), true, nil
}

// unescape reads a saslname.
func unescape(text string) (string, error) {
	var out strings.Builder
	for {
		plain, rest, more := strings.Cut(text, "=")
		out.WriteString(plain)
		switch {
		case !more && out.Len() > 0:
			return out.String(), nil
		case strings.HasPrefix(rest, "2C"):
			out.WriteByte(',')
		case strings.HasPrefix(rest, "3D"):
			out.WriteByte('=')
		default:
			return "", errMalformed
		}
		text = rest[2:]
	}
}

// marshal is the exchange as the state that the broker carries.
func (x *exchange) marshal() []byte {
	return []byte(strings.Join([]string{x.gs2, x.user, x.clientFirst, x.serverFirst}, "\x00"))
}

func unmarshal(state []byte) (x exchange, ok bool) {
	parts := strings.Split(string(state), "\x00")
	if len(parts) != 4 {
		return x, false
	}
	return exchange{gs2: parts[0], user: parts[1], clientFirst: parts[2], serverFirst: parts[3]}, true
}

// newNonce is the server's part of the nonce.
func newNonce() string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}
