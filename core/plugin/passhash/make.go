package passhash

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/dunlinmq/dunlin/pluginsdk/passwd"
)

// Kinds are what Make can make, the default first.
var Kinds = []passwd.Kind{passwd.Argon2id, passwd.Bcrypt, passwd.PBKDF2SHA512, passwd.PBKDF2SHA256}

// What a new hash costs: what OWASP asks for at least, since each login costs it.
const (
	argonKiB    = 19 << 10
	argonPasses = 2
	bcryptCost  = 10
	rounds512   = 210_000
	rounds256   = 600_000
	saltSize    = 16
)

// Make hashes a new password with a new salt. The error is about the password or
// the kind.
func Make(kind passwd.Kind, password []byte) (string, error) {
	switch {
	case len(password) == 0:
		return "", errors.New("the password is empty")
	case len(password) > passwd.MaxLength:
		return "", fmt.Errorf("the password is longer than %d bytes", passwd.MaxLength)
	}
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	b64 := base64.RawStdEncoding.EncodeToString
	switch kind {
	case passwd.Argon2id:
		key := argon2.IDKey(password, salt, argonPasses, argonKiB, 1, 32)
		return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=1$%s$%s", argonKiB, argonPasses, b64(salt), b64(key)), nil
	case passwd.Bcrypt:
		if len(password) > maxBcrypt {
			return "", fmt.Errorf("bcrypt takes passwords of up to %d bytes", maxBcrypt)
		}
		text, err := bcrypt.GenerateFromPassword(password, bcryptCost)
		return string(text), err
	case passwd.PBKDF2SHA256:
		key, err := pbkdf2.Key(sha256.New, string(password), salt, rounds256, sha256.Size)
		return fmt.Sprintf("$pbkdf2-sha256$%d$%s$%s", rounds256, b64(salt), b64(key)), err
	case passwd.PBKDF2SHA512:
		key, err := pbkdf2.Key(sha512.New, string(password), salt, rounds512, sha512.Size)
		return fmt.Sprintf("$pbkdf2-sha512$%d$%s$%s", rounds512, b64(salt), b64(key)), err
	}
	return "", fmt.Errorf("there is no hash %q: want one of %s", kind, strings.Join(names(), ", "))
}

func names() []string {
	list := make([]string, len(Kinds))
	for i, k := range Kinds {
		list[i] = string(k)
	}
	return list
}
