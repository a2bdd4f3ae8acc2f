package test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

const jwtSecret = "a secret of more than thirty-two bytes"

// jwt makes a token of HS256.
func jwt(t *testing.T, secret string, claims map[string]any) string {
	t.Helper()
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + b64(text)
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(signed))
	return signed + "." + b64(m.Sum(nil))
}

// login connects with a password and returns the client and what it was told.
func (b *broker) login(id, username, password string) (*client, packet.ReasonCode) {
	b.t.Helper()
	c := b.dial(v5)
	ack := c.connectWith(&packet.Connect{ClientID: id, CleanStart: true, HasUsername: true, Username: username, HasPassword: true, Password: []byte(password)})
	return c, ack.Code
}

// TestJWT: a token lets in, says what may be done, and ends the connection, with
// either form of the plugin.
func TestJWT(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"wasm", "process"} {
		t.Run(form, func(t *testing.T) {
			const verify = "[config.verify_claims]\nclientid = \"%c\"\n"
			file := func(config string) string {
				return "[plugin]\ntransport = \"" + form + "\"\n[config]\n" + config
			}
			b := start(t, module("auth_jwt", file("secret = \""+jwtSecret+"\"\n"+verify)))
			in := time.Now().Add(time.Hour).Unix()
			good := jwt(t, jwtSecret, map[string]any{"clientid": "c1", "exp": in, "acl": map[string]any{"pub": []string{"up/%u"}, "sub": []string{"down/%c/#"}}})

			m := mosquitto{b: b, id: "tcp:external", version: v311}
			sub := m.sub(t, "-i", "c1", "-u", "u1", "-P", good, "-t", "down/c1/x")
			all := jwt(t, jwtSecret, map[string]any{"clientid": "c2"})
			m.pub(t, "-i", "c2", "-u", "u2", "-P", all, "-t", "down/c1/x", "-m", "hello")
			sub.expect("down/c1/x 0 0 hello")

			c, code := b.login("c1", "u1", good)
			if code.Failed() {
				t.Fatalf("login: %v", code)
			}
			if up, other := c.puback("up/u1"), c.puback("up/u2"); up.Failed() || other != packet.NotAuthorized {
				t.Errorf("publish: %v %v", up, other)
			}
			if got := c.codes("down/c1/#", "down/#", "$SYS/#"); got[0].Failed() || !got[1].Failed() || !got[2].Failed() {
				t.Errorf("subscribe: %v", got)
			}
			for name, tc := range map[string]struct {
				id, password string
				want         packet.ReasonCode
			}{
				"other secret": {"c1", jwt(t, "x", map[string]any{"clientid": "c1"}), packet.BadUserNameOrPassword},
				"expired":      {"c1", jwt(t, jwtSecret, map[string]any{"clientid": "c1", "exp": 1}), packet.BadUserNameOrPassword},
				"other client": {"c2", good, packet.NotAuthorized},
				"no token":     {"c1", "secret", packet.BadUserNameOrPassword},
			} {
				if _, code := b.login(tc.id, "u1", tc.password); code != tc.want {
					t.Errorf("%s: %v, want %v", name, code, tc.want)
				}
			}

			soon, code := b.login("c3", "u1", jwt(t, jwtSecret, map[string]any{"clientid": "c3", "exp": time.Now().Add(2 * time.Second).Unix()}))
			if code.Failed() {
				t.Fatalf("a token that ends soon: %v", code)
			}
			if code := soon.closed(); code != packet.MaximumConnectTime {
				t.Errorf("closed with %v", code)
			}

			b.refused("auth_jwt", file("from = \"nowhere\"\nsecret = \"x\"\n"), "auth_jwt.toml:4:")
			b.refused("auth_jwt", file("pubkey = \"x\"\n"), "pubkey: there is no PEM block")
			if _, code := b.login("c1", "u1", "secret"); !code.Failed() {
				t.Errorf("a broken file lets in: %v", code)
			}
			if _, code := b.login("c1", "u1", good); code.Failed() {
				t.Errorf("a broken file shuts out: %v", code)
			}
		})
	}
}

// TestJWKSByURL: keys come from a server that the operator grants; a reload while it
// is down keeps them; without the grant nobody comes in.
func TestJWKSByURL(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","use":"sig","x":%q}]}`, b64(public))
	}))
	defer s.Close()
	token := func(exp time.Time) string {
		signed := b64([]byte(`{"alg":"EdDSA","kid":"k1"}`)) + "." + b64(fmt.Appendf(nil, `{"sub":"me","exp":%d}`, exp.Unix()))
		return signed + "." + b64(ed25519.Sign(private, []byte(signed)))
	}
	file := "[plugin]\ntransport = \"wasm\"\ngrant = [\"http:" + s.URL + "\", \"timer\"]\n[config]\njwks = \"" + s.URL + "/keys\"\njwks_refresh_interval = \"1m\"\n"
	b := start(t, module("auth_jwt", file))
	good := token(time.Now().Add(time.Hour))
	if _, code := b.login("c1", "u1", good); code.Failed() {
		t.Fatalf("login: %v", code)
	}
	soon, code := b.login("c2", "u1", token(time.Now().Add(2*time.Second)))
	if code.Failed() {
		t.Fatalf("a token that ends soon: %v", code)
	}
	if code := soon.closed(); code != packet.MaximumConnectTime {
		t.Errorf("closed with %v", code)
	}
	s.Close()
	b.ctl("plugins", "reload", "auth_jwt")
	if _, code := b.login("c1", "u1", good); code.Failed() {
		t.Errorf("after a reload while the server is down: %v", code)
	}
	b.refused("auth_jwt", strings.Replace(file, `"1m"`, `"1s"`, 1), "jwks_refresh_interval: want 10s to 24h")
	if out, err := b.reconfigure("auth_jwt", strings.Replace(file, "grant = [", "# ", 1)); err != nil {
		t.Fatalf("without a grant: %v\n%s", err, out)
	}
	if _, code := b.login("c1", "u1", good[:len(good)-2]+"AA"); !code.Failed() {
		t.Errorf("a forged token: %v", code)
	}
}
