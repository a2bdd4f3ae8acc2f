package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of the algorithms
	_ "crypto/sha512"
	"math/big"
	"strings"
)

// algorithm is a JWS algorithm (RFC 7518 §3.1, RFC 8037).
type algorithm struct {
	kind byte // 'H' HMAC, 'R' RSA PKCS #1 v1.5, 'P' RSA PSS, 'E' ECDSA, 'D' EdDSA
	hash crypto.Hash
	bits int // of the curve
}

// algorithms are those that are known. "none" is none of them.
var algorithms = map[string]algorithm{
	"HS256": {'H', crypto.SHA256, 0}, "HS384": {'H', crypto.SHA384, 0}, "HS512": {'H', crypto.SHA512, 0},
	"RS256": {'R', crypto.SHA256, 0}, "RS384": {'R', crypto.SHA384, 0}, "RS512": {'R', crypto.SHA512, 0},
	"PS256": {'P', crypto.SHA256, 0}, "PS384": {'P', crypto.SHA384, 0}, "PS512": {'P', crypto.SHA512, 0},
	"ES256": {'E', crypto.SHA256, 256}, "ES384": {'E', crypto.SHA384, 384}, "ES512": {'E', crypto.SHA512, 521},
	"EdDSA": {'D', 0, 0},
}

// fits tells whether tokens of the algorithm may be signed with k: the key says
// what algorithms it is for, never the token.
func (k *key) fits(name string, a algorithm) bool {
	if k.alg != "" && k.alg != name {
		return false
	}
	switch a.kind {
	case 'H':
		return k.hs != nil
	case 'R', 'P':
		return k.rsa != nil
	case 'E':
		return k.ec != nil && k.ec.Curve.Params().BitSize == a.bits
	default:
		return k.ed != nil
	}
}

// verifies tells whether sig is k's signature of signed. k fits a.
func (k *key) verifies(a algorithm, signed string, sig []byte) bool {
	if a.kind == 'D' {
		return ed25519.Verify(k.ed, []byte(signed), sig)
	}
	if a.kind == 'H' {
		m := hmac.New(a.hash.New, k.hs)
		m.Write([]byte(signed))
		return hmac.Equal(m.Sum(nil), sig)
	}
	h := a.hash.New()
	h.Write([]byte(signed))
	sum := h.Sum(nil)
	switch a.kind {
	case 'R':
		return rsa.VerifyPKCS1v15(k.rsa, a.hash, sum, sig) == nil
	case 'P':
		return rsa.VerifyPSS(k.rsa, a.hash, sum, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	default:
		size := (a.bits + 7) / 8
		return len(sig) == 2*size && ecdsa.Verify(k.ec, sum, new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:]))
	}
}

// maxWork bounds the work that a token may cause, in RSA signatures of 2048 bits:
// a token without kid is tried with every key that fits.
const maxWork = 64

// work is what it costs a module to check a signature with k.
func (k *key) work() int {
	switch {
	case k.rsa != nil:
		return k.rsa.N.BitLen() * k.rsa.N.BitLen() >> 22
	case k.ed != nil:
		return 7
	case k.ec != nil && k.ec.Curve.Params().BitSize > 256:
		return 30
	case k.ec != nil:
		return 3
	}
	return 1
}

// check tells whether one of keys has signed the token, and what it cost to find
// out. known is false when no key is for tokens of its kid and algorithm.
func check(keys []key, t *token) (signed, known bool, work int) {
	a, ok := algorithms[t.alg]
	if !ok {
		return false, true, 0
	}
	for i := range keys {
		k := &keys[i]
		if t.kid != "" && k.id != "" && k.id != t.kid || !k.fits(t.alg, a) {
			continue
		}
		if work += k.work(); work > maxWork {
			break
		}
		if k.verifies(a, t.signed, t.signature) {
			return true, true, work
		}
	}
	return false, work > 0, work
}

// usable lists the algorithms that some key is for, for messages.
func usable(keys []key) string {
	var out []string
	for _, name := range []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"} {
		for i := range keys {
			if keys[i].fits(name, algorithms[name]) {
				out = append(out, name)
				break
			}
		}
	}
	return strings.Join(out, " ")
}
