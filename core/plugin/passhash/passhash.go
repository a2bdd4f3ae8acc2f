// Package passhash compares passwords with stored hashes and makes new ones:
// bcrypt, argon2id, PBKDF2 and crypt's SHA-2, in the forms of pluginsdk/passwd,
// which bounds what one comparison may cost. It refuses to store anything and to
// know users.
package passhash

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"hash"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/dunlinmq/dunlin/pluginsdk/passwd"
)

// maxBcrypt is how much of a password bcrypt looks at, in bytes.
const maxBcrypt = 72

// Verify tells whether password belongs to the stored hash. An error is about the
// hash: its form is not known, or it costs too much.
func Verify(stored string, password []byte) (bool, error) {
	if len(password) > passwd.MaxLength {
		return false, passwd.ErrLong
	}
	h, err := passwd.Parse(stored)
	if err != nil {
		return false, err
	}
	switch h.Kind {
	case passwd.Bcrypt:
		return verifyBcrypt(stored, password)
	case passwd.Argon2id:
		return same(argon2.IDKey(password, h.Salt, uint32(h.Rounds), h.Memory, h.Threads, uint32(len(h.Key))), h.Key), nil
	case passwd.PBKDF2SHA256:
		return verifyPBKDF2(sha256.New, h, password)
	case passwd.PBKDF2SHA512:
		return verifyPBKDF2(sha512.New, h, password)
	case passwd.SHA256Crypt:
		return same([]byte(encodeCrypt(crypt(sha256.New, password, h.Salt, h.Rounds))), h.Key), nil
	case passwd.SHA512Crypt:
		return same([]byte(encodeCrypt(crypt(sha512.New, password, h.Salt, h.Rounds))), h.Key), nil
	default: // mosquitto's: one SHA-512 of password and salt
		return same(sum(sha512.New, password, h.Salt), h.Key), nil
	}
}

// Cost is how many bytes of memory a comparison with the stored hash takes, about.
func Cost(stored string) int64 {
	h, _ := passwd.Parse(stored)
	return h.Bytes()
}

func verifyBcrypt(stored string, password []byte) (bool, error) {
	// What bcrypt itself ignores behind the 72nd byte makes no password right.
	err := bcrypt.CompareHashAndPassword([]byte(stored), password[:min(len(password), maxBcrypt)])
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	return err == nil, err
}

func verifyPBKDF2(h func() hash.Hash, of passwd.Hash, password []byte) (bool, error) {
	got, err := pbkdf2.Key(h, string(password), of.Salt, of.Rounds, len(of.Key))
	return same(got, of.Key), err
}

func same(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
