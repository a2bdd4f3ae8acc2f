package passwd_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/pluginsdk/passwd"
)

// Each form is told by its kind and what it costs.
func TestParse(t *testing.T) {
	key := strings.Repeat("a2V5", 8)
	for text, want := range map[string]passwd.Hash{
		"$2b$10$abcdefghijklmnopqrstuu/FyAyuZSl3DbPdvio4KrIBdz2k2yhV2": {Kind: passwd.Bcrypt, Rounds: 10},
		"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$" + key:            {Kind: passwd.Argon2id, Rounds: 2, Memory: 19456, Threads: 1},
		"$pbkdf2-sha256$29000$c2FsdA$" + key:                           {Kind: passwd.PBKDF2SHA256, Rounds: 29000},
		"$pbkdf2-sha512$i=29000$c2FsdA==$" + key:                       {Kind: passwd.PBKDF2SHA512, Rounds: 29000},
		"$7$101$c2FsdA==$" + key:                                       {Kind: passwd.PBKDF2SHA512, Rounds: 101},
		"$6$c2FsdA==$" + strings.Repeat("A", 86) + "==":                {Kind: passwd.SHA512Salted},
		"$6$rounds=10$salt$" + strings.Repeat(".", 86):                 {Kind: passwd.SHA512Crypt, Rounds: 1000},
		"$5$salt$" + strings.Repeat("/", 43):                           {Kind: passwd.SHA256Crypt, Rounds: 5000},
	} {
		h, err := passwd.Parse(text)
		if err != nil || h.Kind != want.Kind || h.Rounds != want.Rounds || h.Memory != want.Memory || h.Threads != want.Threads {
			t.Errorf("%s: %v %+v", text, err, h)
		}
		if h.Bytes() < 1<<16 || h.Memory > 0 && h.Bytes() != int64(h.Memory)<<10 {
			t.Errorf("%s: %d bytes", text, h.Bytes())
		}
	}
}

// What is no hash, asks for too much, or could be found by trying is refused,
// and no message quotes it: it may be a password.
func TestParseRefuses(t *testing.T) {
	key := strings.Repeat("a2V5", 8)
	for text, want := range map[string]error{
		"": passwd.ErrFormat, "hunter2": passwd.ErrFormat, "$1$salt$hunter2": passwd.ErrFormat, "$2b$10$hunter2": passwd.ErrFormat,
		"$2b$3$" + strings.Repeat("a", 53): passwd.ErrFormat, "$2b$03$" + strings.Repeat("a", 53): passwd.ErrFormat,
		"$2b$16$" + strings.Repeat("a", 53): passwd.ErrCostly, "$2b$10$" + strings.Repeat("-", 53): passwd.ErrFormat,
		"$argon2id$v=19$m=8,t=1$c2FsdA$" + key: passwd.ErrFormat, "$argon2id$v=19$t=1,m=8,p=1$c2FsdA$" + key: passwd.ErrFormat,
		"$argon2id$v=19$m=8,t=-1,p=1$c2FsdA$" + key: passwd.ErrFormat, "$argon2id$v=19$m=8,t=1,p=256$c2FsdA$" + key: passwd.ErrFormat,
		"$argon2id$v=19$m=262144,t=5,p=1$c2FsdA$" + key: passwd.ErrCostly, "$argon2id$v=19$m=8,t=65,p=1$c2FsdA$" + key: passwd.ErrCostly,
		"$pbkdf2-sha256$1$c2FsdA$a2V5": passwd.ErrFormat, "$7$5000001$c2FsdA$" + key: passwd.ErrCostly,
		"$7$99999999999$c2FsdA$" + key: passwd.ErrFormat, "$7$1$***$" + key: passwd.ErrFormat,
		"$6$c2FsdA==$" + key + "==": passwd.ErrFormat, "$5$salt$short": passwd.ErrFormat, "$5$rounds=9$salt": passwd.ErrFormat,
		"$6$rounds=2000001$salt$" + strings.Repeat(".", 86): passwd.ErrCostly, "$5$" + strings.Repeat("x", 1100): passwd.ErrLong,
	} {
		if h, err := passwd.Parse(text); !errors.Is(err, want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.60q: %v %+v, want %v", text, err, h, want)
		}
	}
}
