package manifest

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SignatureFile is the file beside the manifest that holds a plugin's signature.
const SignatureFile = "plugin.sig"

// keyPrefix begins the text of a public key.
const keyPrefix = "ed25519:"

// PublicKey is an ed25519 key that signs plugins; comparable.
type PublicKey [ed25519.PublicKeySize]byte

// ParsePublicKey reads ed25519: and 32 bytes in base64.
func ParsePublicKey(text string) (k PublicKey, err error) {
	b64, ok := strings.CutPrefix(text, keyPrefix)
	b, err := base64.StdEncoding.Strict().DecodeString(b64)
	if !ok || err != nil || len(b) != len(k) {
		return k, fmt.Errorf("%q is not a public key: want %s and 32 bytes in base64, as `dunlin plugin keygen` prints it", text, keyPrefix)
	}
	return PublicKey(b), nil
}

// String is what ParsePublicKey reads.
func (k PublicKey) String() string { return keyPrefix + base64.StdEncoding.EncodeToString(k[:]) }

// Signature says for which bytes somebody vouches: sums of files by name, and the
// key. What is signed is the text of the file up to its last line.
type Signature struct {
	Sums map[string]string // sha256 in hex by file name, relative to the plugin's folder, with slashes
	Key  PublicKey
}

// The lines of a signature file: the title, one `sha256 HEX NAME` a file in the order
// of their names, `key KEY`, `signature BASE64`.
const (
	signatureTitle = "dunlin plugin signature 1\n"
	maxSignature   = 64 << 10
)

// Sign writes a signature file over sums.
func Sign(key ed25519.PrivateKey, sums map[string]string) []byte {
	var b bytes.Buffer
	b.WriteString(signatureTitle)
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&b, "sha256 %s %s\n", sums[name], name)
	}
	fmt.Fprintf(&b, "key %s\n", PublicKey(key.Public().(ed25519.PublicKey)))
	fmt.Fprintf(&b, "signature %s\n", base64.StdEncoding.EncodeToString(ed25519.Sign(key, b.Bytes())))
	return b.Bytes()
}

// ParseSignature reads a signature file and checks that its key has signed it. Whether
// the key is to be trusted, and whether the sums are those of the files, is the
// caller's question. name is for messages.
func ParseSignature(name string, text []byte) (*Signature, error) {
	if len(text) > maxSignature {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxSignature)
	}
	rest, ok := strings.CutPrefix(string(text), signatureTitle)
	if !ok {
		return nil, fmt.Errorf("%s:1: not a signature of a plugin: it does not begin with %q", name, strings.TrimSpace(signatureTitle))
	}
	s := &Signature{Sums: map[string]string{}}
	for line := 2; rest != ""; line++ {
		head, after, ok := strings.Cut(rest, "\n")
		if !ok {
			return nil, fmt.Errorf("%s:%d: the line does not end", name, line)
		}
		word, value, _ := strings.Cut(head, " ")
		var err error
		switch {
		case word == "sha256" && s.Key == PublicKey{}:
			err = s.sum(value)
		case word == "key" && s.Key == PublicKey{}:
			s.Key, err = ParsePublicKey(value)
		case word == "signature" && s.Key != PublicKey{} && after == "":
			return s, s.verify(name, text[:len(text)-len(rest)], value)
		default:
			err = errors.New("want sha256 lines, one key line, one signature line")
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
		rest = after
	}
	return nil, fmt.Errorf("%s: the signature is missing", name)
}

// sum reads the rest of a sha256 line.
func (s *Signature) sum(text string) error {
	sum, file, _ := strings.Cut(text, " ")
	if err := checkSum(sum); err != nil {
		return err
	}
	if _, twice := s.Sums[file]; twice || file == "" {
		return fmt.Errorf("the file %q is named twice, or not at all", file)
	}
	s.Sums[file] = sum
	return nil
}

// verify checks the signature over signed.
func (s *Signature) verify(name string, signed []byte, b64 string) error {
	sig, err := base64.StdEncoding.Strict().DecodeString(b64)
	if err != nil || !ed25519.Verify(s.Key[:], signed, sig) {
		return fmt.Errorf("%s: the signature is not that of %s over this text: the file was changed", name, s.Key)
	}
	return nil
}

// checkSum tests a sha256 in hex.
func checkSum(text string) error {
	if b, err := hex.DecodeString(text); err != nil || len(b) != 32 || strings.ToLower(text) != text {
		return fmt.Errorf("%q is not a sha256: want 64 digits 0-9 and a-f", text)
	}
	return nil
}
