// Package passhash compares passwords with stored hashes: bcrypt, argon2id,
// PBKDF2 and crypt's SHA-2, in the forms that password files have. It bounds what
// one comparison may cost, since hashes come from files that others wrote. It
// refuses to store anything and to know users.
package passhash

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Bounds of one comparison: about two seconds of one core.
const (
	maxBcryptCost = 15
	maxIterations = 5_000_000 // of PBKDF2
	maxRounds     = 2_000_000 // of crypt
	maxArgonKiB   = 256 << 10
	maxArgonTime  = 64
	maxLength     = 1024 // bytes of a hash, and of a password
)

// Errors of Verify.
var (
	ErrFormat = errors.New("not a password hash that is known here")
	ErrCostly = errors.New("the hash asks for more work than is allowed")
	ErrLong   = errors.New("longer than 1024 bytes")
)

// Verify tells whether password belongs to the stored hash. An error is about the
// hash: its form is not known, or it costs too much.
func Verify(stored string, password []byte) (bool, error) {
	if len(stored) > maxLength || len(password) > maxLength {
		return false, ErrLong
	}
	parts := strings.Split(stored, "$")
	if len(parts) < 3 || parts[0] != "" {
		return false, ErrFormat
	}
	switch parts[1] {
	case "2a", "2b", "2y":
		return verifyBcrypt(stored, password)
	case "argon2id":
		return verifyArgon(parts, password)
	case "pbkdf2-sha256":
		return verifyPBKDF2(parts[2:], sha256.New, password)
	case "pbkdf2-sha512", "7": // 7: mosquitto's password file
		return verifyPBKDF2(parts[2:], sha512.New, password)
	case "5":
		return verifyCrypt(stored, sha256.New, password)
	case "6":
		if len(parts) == 4 && strings.HasSuffix(parts[3], "==") {
			return verifySalted(parts[2], parts[3], password) // mosquitto's, before 2.0
		}
		return verifyCrypt(stored, sha512.New, password)
	}
	return false, ErrFormat
}

// Cost is how many bytes of memory a comparison with the stored hash takes, about.
func Cost(stored string) int64 {
	parts := strings.Split(stored, "$")
	if len(parts) == 6 && parts[1] == "argon2id" {
		if a, err := parseArgon(parts); err == nil {
			return int64(a.memory) << 10
		}
	}
	return 1 << 16
}

func verifyBcrypt(stored string, password []byte) (bool, error) {
	cost, err := bcrypt.Cost([]byte(stored))
	switch {
	case err != nil:
		return false, fmt.Errorf("%w: %w", ErrFormat, err)
	case cost > maxBcryptCost:
		return false, ErrCostly
	}
	// What bcrypt itself ignores behind the 72nd byte makes no password right.
	err = bcrypt.CompareHashAndPassword([]byte(stored), password[:min(len(password), 72)])
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	return err == nil, err
}

// argon are the parameters of an argon2id hash.
type argon struct {
	memory, time uint32 // KiB; passes
	threads      uint8
	salt, key    []byte
}

// parseArgon reads $argon2id$v=19$m=65536,t=3,p=4$salt$key.
func parseArgon(parts []string) (a argon, err error) {
	if len(parts) != 6 || parts[2] != "v=19" {
		return a, ErrFormat
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &a.memory, &a.time, &a.threads); n != 3 || err != nil || a.time == 0 || a.threads == 0 {
		return a, ErrFormat
	}
	if a.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return a, ErrFormat
	}
	if a.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(a.key) == 0 {
		return a, ErrFormat
	}
	if a.memory > maxArgonKiB || a.time > maxArgonTime || uint64(a.memory)*uint64(a.time) > maxArgonKiB*4 {
		return a, ErrCostly
	}
	return a, nil
}

func verifyArgon(parts []string, password []byte) (bool, error) {
	a, err := parseArgon(parts)
	if err != nil {
		return false, err
	}
	return same(argon2.IDKey(password, a.salt, a.time, a.memory, a.threads, uint32(len(a.key))), a.key), nil
}

// verifyPBKDF2 compares with iterations, salt, key.
func verifyPBKDF2(parts []string, h func() hash.Hash, password []byte) (bool, error) {
	if len(parts) != 3 {
		return false, ErrFormat
	}
	n, err := strconv.Atoi(parts[0])
	if err != nil || n < 1 {
		return false, ErrFormat
	}
	if n > maxIterations {
		return false, ErrCostly
	}
	salt, err := adapted(parts[1])
	if err != nil {
		return false, err
	}
	key, err := adapted(parts[2])
	if err != nil || len(key) == 0 {
		return false, ErrFormat
	}
	got, err := pbkdf2.Key(h, string(password), salt, n, len(key))
	return same(got, key), err
}

// adapted reads base64, also without padding and with "." for "+".
func adapted(s string) ([]byte, error) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.ReplaceAll(s, ".", "+"), "="))
	if err != nil {
		return nil, ErrFormat
	}
	return b, nil
}

// verifySalted compares with one SHA-512 of password and salt.
func verifySalted(salt, key string, password []byte) (bool, error) {
	s, err := adapted(salt)
	if err != nil {
		return false, err
	}
	want, err := adapted(key)
	if err != nil || len(want) != sha512.Size {
		return false, ErrFormat
	}
	got := sha512.Sum512(append(append([]byte(nil), password...), s...))
	return same(got[:], want), nil
}

func same(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
