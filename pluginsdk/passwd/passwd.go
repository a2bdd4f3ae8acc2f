// Package passwd reads the forms in which password files keep hashes, and bounds
// what one may cost, so that a plugin that reads a file and the broker that
// compares agree. It refuses to compare, to make hashes, and to know users.
package passwd

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// Kind is how a password was hashed.
type Kind string

// The kinds, by the names that `dunlin ctl users list` shows.
const (
	Bcrypt       Kind = "bcrypt"
	Argon2id     Kind = "argon2id"
	PBKDF2SHA256 Kind = "pbkdf2-sha256"
	PBKDF2SHA512 Kind = "pbkdf2-sha512" // also mosquitto's $7$
	SHA256Crypt  Kind = "sha256-crypt"
	SHA512Crypt  Kind = "sha512-crypt"
	SHA512Salted Kind = "sha512" // mosquitto's $6$ before 2.0: one round
)

// Bounds of one comparison: about two seconds of one core, and 256 MiB.
const (
	MaxLength    = 1024 // bytes of a hash, and of a password
	maxBcrypt    = 15
	maxRounds    = 5_000_000 // of PBKDF2
	maxCrypt     = 2_000_000 // rounds of crypt
	maxArgonKiB  = 256 << 10
	maxArgonTime = 64
	minKey       = 16 // bytes: less is found by trying
)

// Errors of Parse. None of them quotes the text: it may be a password.
var (
	ErrFormat = errors.New("not a password hash that is known here")
	ErrCostly = errors.New("the hash asks for more work than is allowed")
	ErrLong   = errors.New("longer than 1024 bytes")
)

// Hash is one hash, taken apart. Immutable.
type Hash struct {
	Kind    Kind
	Rounds  int    // iterations; bcrypt: the cost; argon2id: passes
	Memory  uint32 // argon2id: KiB
	Threads uint8  // argon2id
	Salt    []byte // not of bcrypt
	Key     []byte // not of bcrypt; of crypt in its own base64
}

// Parse reads a hash:
//
//	$2b$10$...                               bcrypt, also $2a$ and $2y$
//	$argon2id$v=19$m=19456,t=2,p=1$salt$key  argon2id
//	$pbkdf2-sha256$29000$salt$key            PBKDF2 as passlib writes it, also sha512
//	$7$101$salt$key                          mosquitto_passwd: PBKDF2 with SHA-512
//	$6$salt$key==                            mosquitto_passwd before 2.0: SHA-512
//	$5$rounds=5000$salt$key                  crypt's SHA-256, and $6$ its SHA-512
func Parse(text string) (Hash, error) {
	if len(text) > MaxLength {
		return Hash{}, ErrLong
	}
	parts := strings.Split(text, "$")
	if len(parts) < 3 || parts[0] != "" {
		return Hash{}, ErrFormat
	}
	switch parts[1] {
	case "2a", "2b", "2y":
		return parseBcrypt(parts)
	case "argon2id":
		return parseArgon(parts)
	case "pbkdf2-sha256":
		return parsePBKDF2(PBKDF2SHA256, parts)
	case "pbkdf2-sha512", "7":
		return parsePBKDF2(PBKDF2SHA512, parts)
	case "5":
		return parseCrypt(Hash{Kind: SHA256Crypt}, parts[2:], 43)
	case "6":
		if len(parts) == 4 && strings.HasSuffix(parts[3], "==") {
			return Hash{Kind: SHA512Salted}.keyed(parts[2:], 64)
		}
		return parseCrypt(Hash{Kind: SHA512Crypt}, parts[2:], 86)
	}
	return Hash{}, ErrFormat
}

func parseBcrypt(parts []string) (Hash, error) {
	if len(parts) != 4 || len(parts[2]) != 2 || len(parts[3]) != 53 || !crypted(parts[3]) {
		return Hash{}, ErrFormat
	}
	cost, ok := number(parts[2])
	switch {
	case !ok || cost < 4 || cost > 31:
		return Hash{}, ErrFormat
	case cost > maxBcrypt:
		return Hash{}, ErrCostly
	}
	return Hash{Kind: Bcrypt, Rounds: cost}, nil
}

func parseArgon(parts []string) (Hash, error) {
	if len(parts) != 6 || parts[2] != "v=19" {
		return Hash{}, ErrFormat
	}
	values := strings.Split(parts[3], ",")
	if len(values) != 3 {
		return Hash{}, ErrFormat
	}
	var v [3]int
	for i, name := range []string{"m=", "t=", "p="} {
		text, found := strings.CutPrefix(values[i], name)
		n, ok := number(text)
		if !found || !ok || n < 1 {
			return Hash{}, ErrFormat
		}
		v[i] = n
	}
	if v[0] > maxArgonKiB || v[1] > maxArgonTime || v[0]*v[1] > maxArgonKiB*4 {
		return Hash{}, ErrCostly
	}
	if v[2] > 255 {
		return Hash{}, ErrFormat
	}
	return Hash{Kind: Argon2id, Memory: uint32(v[0]), Rounds: v[1], Threads: uint8(v[2])}.keyed(parts[4:], 0)
}

func parsePBKDF2(kind Kind, parts []string) (Hash, error) {
	if len(parts) != 5 {
		return Hash{}, ErrFormat
	}
	n, ok := number(strings.TrimPrefix(parts[2], "i="))
	switch {
	case !ok || n < 1:
		return Hash{}, ErrFormat
	case n > maxRounds:
		return Hash{}, ErrCostly
	}
	return Hash{Kind: kind, Rounds: n}.keyed(parts[3:], 0)
}

// parseCrypt reads [rounds=N] salt key; size is the length of the key.
func parseCrypt(h Hash, parts []string, size int) (Hash, error) {
	h.Rounds = 5000
	if text, ok := strings.CutPrefix(parts[0], "rounds="); ok {
		n, ok := number(text)
		switch {
		case !ok:
			return Hash{}, ErrFormat
		case n > maxCrypt:
			return Hash{}, ErrCostly
		}
		h.Rounds, parts = max(n, 1000), parts[1:]
	}
	if len(parts) != 2 || len(parts[1]) != size || !crypted(parts[1]) {
		return Hash{}, ErrFormat
	}
	h.Salt, h.Key = []byte(parts[0][:min(len(parts[0]), 16)]), []byte(parts[1])
	return h, nil
}

// keyed reads the two parts salt and key. size is the key's; 0: any of at least minKey.
func (h Hash) keyed(parts []string, size int) (Hash, error) {
	var err error
	if h.Salt, err = adapted(parts[0]); err == nil {
		h.Key, err = adapted(parts[1])
	}
	if err != nil || len(h.Key) < minKey || size > 0 && len(h.Key) != size {
		return Hash{}, ErrFormat
	}
	return h, nil
}

// adapted reads base64, also without padding and with "." for "+".
func adapted(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.ReplaceAll(s, ".", "+"), "="))
}

// crypted tells whether s is in the alphabet of crypt and bcrypt.
func crypted(s string) bool {
	for _, c := range []byte(s) {
		if c != '.' && c != '/' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// number reads digits.
func number(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil
}

// Bytes is how much memory a comparison takes, about.
func (h Hash) Bytes() int64 { return max(1<<16, int64(h.Memory)<<10) }
