package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"runtime"
	"strconv"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/dunlinmq/dunlin/pluginsdk/flatjson"
)

// key is one key that tokens may be signed with. One of the fields after alg is
// set. Immutable.
type key struct {
	id  string // kid; "": for tokens of any kid
	alg string // the only algorithm; "": all that fit the key
	hs  []byte
	rsa *rsa.PublicKey
	ec  *ecdsa.PublicKey
	ed  ed25519.PublicKey
}

// minRSA is the size of the smallest RSA key that is taken, in bits.
const minRSA = 2048

// inModule tells that this is the WASM form, where a signature of P-521 costs
// 80,000,000 units of fuel: no login is worth that.
const inModule = runtime.GOARCH == "wasm"

var errP521 = errors.New("P-521 keys are for the process form of the plugin: transport = \"process\" in its file")

// parsePEM reads public keys: "PUBLIC KEY" (any kind) and "RSA PUBLIC KEY".
func parsePEM(text string) ([]key, error) {
	var keys []key
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		var k key
		var err error
		switch block.Type {
		case "PUBLIC KEY":
			k, err = parseSPKI(block.Bytes)
		case "RSA PUBLIC KEY":
			k.rsa, err = parseRSA(block.Bytes)
		default:
			err = errors.New("want a PUBLIC KEY, found " + block.Type)
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no PEM block in it")
	}
	return keys, nil
}

var (
	oidRSA  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEC   = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidEd   = asn1.ObjectIdentifier{1, 3, 101, 112}
	oidP256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	oidP384 = asn1.ObjectIdentifier{1, 3, 132, 0, 34}
	oidP521 = asn1.ObjectIdentifier{1, 3, 132, 0, 35}

	errDER = errors.New("malformed public key")
)

// parseSPKI reads a SubjectPublicKeyInfo (RFC 5280 §4.1).
func parseSPKI(der []byte) (key, error) {
	var spki, alg cryptobyte.String
	var oid, curve asn1.ObjectIdentifier
	var bits []byte
	in := cryptobyte.String(der)
	if !in.ReadASN1(&spki, tag.SEQUENCE) || !spki.ReadASN1(&alg, tag.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&oid) || !spki.ReadASN1BitStringAsBytes(&bits) {
		return key{}, errDER
	}
	switch {
	case oid.Equal(oidRSA):
		pub, err := parseRSA(bits)
		return key{rsa: pub}, err
	case oid.Equal(oidEd) && len(bits) == ed25519.PublicKeySize:
		return key{ed: bits}, nil
	case oid.Equal(oidEC) && alg.ReadASN1ObjectIdentifier(&curve):
		for _, c := range []struct {
			oid   asn1.ObjectIdentifier
			curve elliptic.Curve
		}{{oidP256, elliptic.P256()}, {oidP384, elliptic.P384()}, {oidP521, elliptic.P521()}} {
			if curve.Equal(c.oid) && inModule && c.curve == elliptic.P521() {
				return key{}, errP521
			}
			if curve.Equal(c.oid) {
				pub, err := ecdsa.ParseUncompressedPublicKey(c.curve, bits)
				return key{ec: pub}, err
			}
		}
	}
	return key{}, errors.New("public key of a kind that no algorithm uses: " + oid.String())
}

// parseRSA reads an RSAPublicKey (RFC 8017 §A.1.1).
func parseRSA(der []byte) (*rsa.PublicKey, error) {
	var seq cryptobyte.String
	n, e := new(big.Int), 0
	in := cryptobyte.String(der)
	if !in.ReadASN1(&seq, tag.SEQUENCE) || !seq.ReadASN1Integer(n) || !seq.ReadASN1Integer(&e) {
		return nil, errDER
	}
	return newRSA(n, e)
}

func newRSA(n *big.Int, e int) (*rsa.PublicKey, error) {
	if n.Sign() <= 0 || n.BitLen() < minRSA || n.BitLen() > 8192 || e < 3 || e&1 == 0 || e > 1<<31-1 {
		return nil, errors.New("RSA key of " + strconv.Itoa(n.BitLen()) + " bits: want 2048 to 8192")
	}
	return &rsa.PublicKey{N: n, E: e}, nil
}

// parseJWKS reads a JWK Set (RFC 7517 §5). Keys that are not for signatures, or
// of kinds that it does not know, are left out; it is an error when none is left.
func parseJWKS(text []byte) ([]key, error) {
	return readJWKS(text, func(_ key, err error) (bool, error) { return true, err })
}

// parsePublicJWKS reads a set that somebody else publishes: a key that is
// malformed, or is a secret and no public key, is left out and told of.
func parsePublicJWKS(text []byte, tell func(err error)) ([]key, error) {
	n := 0
	return readJWKS(text, func(k key, err error) (bool, error) {
		if err == nil && k.hs != nil {
			err = errors.New("a secret key in a public set")
		}
		if n++; err == nil && n > maxKeys {
			return false, errors.New("more than " + strconv.Itoa(maxKeys) + " keys")
		}
		if err != nil {
			tell(errors.New("key " + strconv.Itoa(n) + ": " + err.Error()))
		}
		return err == nil, nil
	})
}

// readJWKS reads a set; take says of each key whether it is to be used, and which
// error ends it.
func readJWKS(text []byte, take func(k key, err error) (bool, error)) ([]key, error) {
	var keys []key
	found := 0
	err := flatjson.Object(text, func(name string, v flatjson.Value) error {
		if name != "keys" {
			return nil
		}
		return v.Array(func(v flatjson.Value) error {
			found++
			k, ok, err := parseJWK(v)
			if !ok && err == nil {
				return nil
			}
			use, err := take(k, err)
			if err != nil {
				return errors.New("key " + strconv.Itoa(found) + ": " + err.Error())
			}
			if use {
				keys = append(keys, k)
			}
			return nil
		})
	})
	if err == nil && len(keys) == 0 {
		err = errors.New("a JWK set of " + strconv.Itoa(found) + " keys, of which none can check signatures")
	}
	return keys, err
}

// parseJWK reads one JSON Web Key; ok is false for one to be left out.
func parseJWK(v flatjson.Value) (k key, ok bool, err error) {
	m := map[string]string{}
	err = flatjson.Object(v, func(name string, v flatjson.Value) error {
		if text, ok := v.String(); ok {
			m[name] = text
		}
		return nil
	})
	if err != nil || m["use"] != "" && m["use"] != "sig" {
		return k, false, err
	}
	k.id, k.alg = m["kid"], m["alg"]
	switch m["kty"] {
	case "oct":
		k.hs, err = unbase64(m["k"])
		if err == nil && len(k.hs) == 0 {
			err = errors.New("k is empty")
		}
	case "RSA":
		n, err1 := unbase64(m["n"])
		e, err2 := unbase64(m["e"])
		if err = errors.Join(err1, err2); err == nil && len(e) <= 4 {
			k.rsa, err = newRSA(new(big.Int).SetBytes(n), int(new(big.Int).SetBytes(e).Int64()))
		} else if err == nil {
			err = errors.New("e is too large")
		}
	case "EC":
		curve := curves[m["crv"]]
		if curve == nil || inModule && curve == elliptic.P521() {
			return k, false, nil
		}
		k.ec, err = parsePoint(curve, m["x"], m["y"])
	case "OKP":
		if m["crv"] != "Ed25519" {
			return k, false, nil
		}
		k.ed, err = unbase64(m["x"])
		if err == nil && len(k.ed) != ed25519.PublicKeySize {
			err = errors.New("x has " + strconv.Itoa(len(k.ed)) + " bytes")
		}
	default:
		return k, false, nil
	}
	return k, err == nil, err
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

func parsePoint(c elliptic.Curve, x, y string) (*ecdsa.PublicKey, error) {
	size := (c.Params().BitSize + 7) / 8
	point := []byte{4}
	for _, text := range []string{x, y} {
		b, err := unbase64(text)
		if err != nil {
			return nil, err
		}
		if len(b) != size {
			return nil, errors.New("a coordinate of " + strconv.Itoa(len(b)) + " bytes")
		}
		point = append(point, b...)
	}
	return ecdsa.ParseUncompressedPublicKey(c, point)
}

func unbase64(text string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(text) }
