package passhash

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/dunlinmq/dunlin/pluginsdk/passwd"
)

// Vectors: SHA-crypt.txt, crypt_blowfish, the argon2 tool, passlib, mosquitto_passwd.
func TestVerify(t *testing.T) {
	for _, c := range []struct{ name, hash, password string }{
		{"sha512-crypt", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1", "Hello world!"},
		{"sha512-crypt with rounds", "$6$rounds=10000$saltstringsaltstring$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.", "Hello world!"},
		{"sha256-crypt", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!"},
		{"bcrypt", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
		{"pbkdf2-sha256", "$pbkdf2-sha256$29000$MDEyMzQ1Njc4OWFiY2RlZg$G/O7bynZBig0xpI9OJ2.zH5iXh/vIAuDcj9JVCTUa3k", "password"},
		{"mosquitto 2", "$7$101$MDEyMzQ1Njc4OWFiY2RlZg==$2T94EAX9Zumcm3NnUOBTGy/wopIXrvb9AsLmMjuW9Sj2vaWLgiwUGbm/EFczvljKs7jaQ/rKaQZTdYHuN2IdxQ==", "secret"},
		{"mosquitto 1", "$6$MDEyMzQ1Njc4OWFiY2RlZg==$veVOCoSwGP72Xht1aILusDwsSUHyefI11yC6xJHBHZsnVJg6s2+oRchFr/YJLsRuAM0iTVMjwQpm2iqyxIn43A==", "secret"},
	} {
		if ok, err := Verify(c.hash, []byte(c.password)); !ok || err != nil {
			t.Errorf("%s: %v, %v", c.name, ok, err)
		}
		if ok, err := Verify(c.hash, []byte("x"+c.password)); ok || err != nil {
			t.Errorf("%s with a wrong password: %v, %v", c.name, ok, err)
		}
	}
}

func TestVerifyArgon(t *testing.T) {
	key := argon2.IDKey([]byte("secret"), []byte("saltsalt"), 2, 1024, 2, 24)
	stored := "$argon2id$v=19$m=1024,t=2,p=2$" + base64.RawStdEncoding.EncodeToString([]byte("saltsalt")) + "$" + base64.RawStdEncoding.EncodeToString(key)
	if ok, err := Verify(stored, []byte("secret")); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	if ok, err := Verify(stored, []byte("Secret")); ok || err != nil {
		t.Errorf("a wrong password: %v, %v", ok, err)
	}
}

// Hashes that are no hashes, or cost too much, are errors and never a match.
func TestVerifyRefuses(t *testing.T) {
	for _, c := range []struct {
		hash string
		want error
	}{
		{"", passwd.ErrFormat}, {"secret", passwd.ErrFormat}, {"$", passwd.ErrFormat}, {"$1$salt$x", passwd.ErrFormat},
		{"$2a$05$short", passwd.ErrFormat}, {"$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", passwd.ErrCostly},
		{"$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$a2V5", passwd.ErrCostly}, {"$argon2id$v=19$m=64,t=0,p=1$c2FsdA$a2V5", passwd.ErrFormat},
		{"$argon2id$v=16$m=64,t=1,p=1$c2FsdA$a2V5", passwd.ErrFormat}, {"$argon2id$v=19$m=64,t=1,p=1$%$a2V5", passwd.ErrFormat},
		{"$argon2id$v=19$m=64,t=1,p=1$c2FsdA$", passwd.ErrFormat},
		{"$7$99999999$c2FsdA==$a2V5", passwd.ErrCostly}, {"$7$0$c2FsdA==$a2V5", passwd.ErrFormat}, {"$7$1$c2FsdA==", passwd.ErrFormat}, {"$7$x$c2FsdA==$a2V5", passwd.ErrFormat},
		{"$6$rounds=99999999$salt$x", passwd.ErrCostly}, {"$6$rounds=x$salt$x", passwd.ErrFormat}, {"$5$onlysalt", passwd.ErrFormat},
		{"$6$" + strings.Repeat("x", 2000), passwd.ErrLong},
	} {
		if ok, err := Verify(c.hash, []byte("x")); ok || !errors.Is(err, c.want) {
			t.Errorf("%.40q: %v, %v, want %v", c.hash, ok, err, c.want)
		}
	}
	if ok, err := Verify("$5$a$b", make([]byte, 2000)); ok || !errors.Is(err, passwd.ErrLong) {
		t.Errorf("a long password: %v, %v", ok, err)
	}
}

func TestCost(t *testing.T) {
	if n := Cost("$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5a2V5"); n != 64<<20 {
		t.Errorf("argon2id: %d bytes", n)
	}
	if n := Cost("$6$salt$x"); n > 1<<20 {
		t.Errorf("crypt: %d bytes", n)
	}
}

// What Make makes fits its password and no other, and its kind is what was asked for.
func TestMake(t *testing.T) {
	long := []byte(strings.Repeat("p", passwd.MaxLength))
	for _, kind := range Kinds {
		first, err := Make(kind, []byte("pencil"))
		if err != nil {
			t.Fatal(err)
		}
		if h, err := passwd.Parse(first); err != nil || h.Kind != kind {
			t.Errorf("%s: %v %s", kind, err, h.Kind)
		}
		for password, want := range map[string]bool{"pencil": true, "pencils": false, "": false} {
			if ok, err := Verify(first, []byte(password)); ok != want || err != nil {
				t.Errorf("%s, %q: %v %v", kind, password, ok, err)
			}
		}
		if second, err := Make(kind, []byte("pencil")); err != nil || second == first {
			t.Errorf("%s: the salt is not new: %v", kind, err)
		}
		if _, err := Make(kind, nil); err == nil {
			t.Errorf("%s: an empty password", kind)
		}
		if _, err := Make(kind, append(long, 'p')); err == nil {
			t.Errorf("%s: a password that Verify would refuse", kind)
		}
	}
	if _, err := Make(passwd.Bcrypt, long[:73]); err == nil {
		t.Error("bcrypt would ignore the end of the password")
	}
	if _, err := Make("md5", []byte("pencil")); err == nil || !strings.Contains(err.Error(), "want one of argon2id, bcrypt") {
		t.Errorf("%v", err)
	}
}

// A hash that a plugin takes as well formed is one that can be compared.
func FuzzParsedIsComparable(f *testing.F) {
	for _, text := range []string{
		"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
		"$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$a2V5a2V5a2V5a2V5a2V5a2V5", "$7$1$c2FsdHNhbHQ=$a2V5a2V5a2V5a2V5a2V5a2V5",
		"$6$MDEyMzQ1Njc4OWFiY2RlZg==$veVOCoSwGP72Xht1aILusDwsSUHyefI11yC6xJHBHZsnVJg6s2+oRchFr/YJLsRuAM0iTVMjwQpm2iqyxIn43A==",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := passwd.Parse(text)
		if err != nil || h.Rounds > 5000 || h.Memory > 1024 || h.Kind == passwd.Bcrypt && h.Rounds > 5 {
			return
		}
		if _, err := Verify(text, []byte("x")); errors.Is(err, passwd.ErrFormat) || err != nil && h.Kind != passwd.Bcrypt {
			t.Errorf("%q: %v", text, err)
		}
	})
}
