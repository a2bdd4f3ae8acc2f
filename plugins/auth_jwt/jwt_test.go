//go:build !wasip1

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/dunlinmq/dunlin/plugins/plugintest"
	sdk "github.com/dunlinmq/dunlin/pluginsdk"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
	"github.com/dunlinmq/dunlin/pluginsdk/placeholder"
)

const secret = "a secret of more than thirty-two bytes"

// pairs are key pairs by kid.
var pairs = sync.OnceValue(func() map[string]crypto.Signer {
	m := map[string]crypto.Signer{}
	m["rsa"], _ = rsa.GenerateKey(rand.Reader, 2048)
	m["p256"], _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	m["p384"], _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	m["p521"], _ = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	m["ed"] = ed
	return m
})

// byMethod names the pair that signs with a method.
var byMethod = map[string]string{
	"RS256": "rsa", "RS384": "rsa", "RS512": "rsa", "PS256": "rsa", "PS384": "rsa", "PS512": "rsa",
	"ES256": "p256", "ES384": "p384", "ES512": "p521", "EdDSA": "ed", "HS256": "", "HS384": "", "HS512": "",
}

// sign makes a token with the library of golang-jwt, which the plugin does not use.
func sign(t testing.TB, method, kid string, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(method), claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	var key any = []byte(secret)
	if name := byMethod[method]; name != "" {
		key = pairs()[name]
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// publicPEM is the public keys in PEM.
func publicPEM(t testing.TB) string {
	var out strings.Builder
	for _, k := range pairs() {
		der, err := x509.MarshalPKIXPublicKey(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		_ = pem.Encode(&out, &pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	return out.String()
}

// jwks is the public keys and the secret as a JWK set.
func jwks() string {
	b64 := base64.RawURLEncoding.EncodeToString
	set := []map[string]string{{"kty": "oct", "kid": "oct", "k": b64([]byte(secret))}, {"kty": "RSA", "use": "enc"}, {"kty": "new"}}
	for kid, k := range pairs() {
		switch k := k.Public().(type) {
		case *rsa.PublicKey:
			set = append(set, map[string]string{"kty": "RSA", "kid": kid, "use": "sig", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())})
		case *ecdsa.PublicKey:
			point, _ := k.Bytes()
			half := len(point) / 2
			set = append(set, map[string]string{"kty": "EC", "kid": kid, "crv": k.Params().Name, "x": b64(point[1 : 1+half]), "y": b64(point[1+half:])})
		case ed25519.PublicKey:
			set = append(set, map[string]string{"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": b64(k)})
		}
	}
	text, _ := json.Marshal(map[string]any{"keys": set})
	return string(text)
}

func configured(t testing.TB, config map[string]any) *config {
	t.Helper()
	text, _ := json.Marshal(config)
	c, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var client = placeholder.Client{ID: "c1", Username: "u1", Named: true}

// Tokens that another library signs are taken, with keys in PEM and as a JWK set;
// with a changed byte or another key they are not.
func TestAlgorithms(t *testing.T) {
	now := time.Now()
	inPEM := configured(t, map[string]any{"pubkey": publicPEM(t), "secret": secret})
	inSet := configured(t, map[string]any{"jwks": jwks()})
	for method, kid := range byMethod {
		if kid == "" {
			kid = "oct"
		}
		text := sign(t, method, kid, jwt.MapClaims{"sub": "device", "exp": now.Add(time.Hour).Unix()})
		for name, c := range map[string]*config{"pem": inPEM, "jwks": inSet} {
			v := c.judge(text, client, now)
			if v.Action != sdk.Allow || v.Login.Principal != "device" || v.Login.ExpiresAt.Unix() != now.Add(time.Hour).Unix() || v.Login.Superuser || v.Login.Permissions != nil {
				t.Errorf("%s %s: %+v %+v", method, name, v, v.Login)
			}
			i := strings.LastIndexByte(text, '.') + 5
			forged := text[:i] + string('A'+(text[i]-'A'+1)%20) + text[i+1:]
			if v := c.judge(forged, client, now); v.Action != sdk.Deny || v.Reason != badCredentials {
				t.Errorf("%s %s: a forged signature: %+v", method, name, v)
			}
			other := text[:strings.IndexByte(text, '.')+1] + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"root"}`)) + text[strings.LastIndexByte(text, '.'):]
			if v := c.judge(other, client, now); v.Action != sdk.Deny {
				t.Errorf("%s %s: other claims: %+v", method, name, v)
			}
		}
		if v := inSet.judge(sign(t, method, "unknown", jwt.MapClaims{}), client, now); v.Action != sdk.Next {
			t.Errorf("%s: an unknown key: %+v", method, v)
		}
	}
}

// The known ways to make a library believe an unsigned token do not work.
func TestAttacks(t *testing.T) {
	now := time.Now()
	c := configured(t, map[string]any{"pubkey": publicPEM(t)})
	b64 := base64.RawURLEncoding.EncodeToString
	claims := b64([]byte(`{"sub":"root"}`))
	der, _ := x509.MarshalPKIXPublicKey(pairs()["rsa"].Public())
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	confused, _ := jwt.New(jwt.SigningMethodHS256).SignedString([]byte(public))
	for name, text := range map[string]string{
		"alg none":        b64([]byte(`{"alg":"none"}`)) + "." + claims + ".",
		"alg None":        b64([]byte(`{"alg":"None"}`)) + "." + claims + ".",
		"no signature":    b64([]byte(`{"alg":"ES256"}`)) + "." + claims + ".",
		"zero signature":  b64([]byte(`{"alg":"ES256"}`)) + "." + claims + "." + b64(make([]byte, 64)),
		"HMAC of the key": confused,
		"crit":            b64([]byte(`{"alg":"RS256","crit":["b64"],"b64":false}`)) + "." + claims + "." + b64(make([]byte, 256)),
		"claims twice":    b64([]byte(`{"alg":"RS256"}`)) + "." + b64([]byte(`{"sub":"a","sub":"b"}`)) + "." + b64(make([]byte, 256)),
	} {
		if v := c.judge(text, client, now); v.Action != sdk.Deny && name != "HMAC of the key" || v.Action == sdk.Allow {
			t.Errorf("%s: %+v", name, v)
		}
	}
	for _, text := range []string{"", "secret", "a.b", "a.b.c", "....", "!.!.!", b64([]byte(`{}`)) + "." + claims + ".", b64([]byte(`x`)) + ".." + claims, strings.Repeat("a.", 2) + strings.Repeat("a", maxToken)} {
		if v := c.judge(text, client, now); v.Action != sdk.Next {
			t.Errorf("%.20q is left to the next plugin: %+v", text, v)
		}
	}
	// An algorithm of the key's own kind but not the one it is for.
	c.keys = c.keys[:0]
	set := strings.Replace(jwks(), `"kid":"rsa"`, `"kid":"rsa","alg":"RS256"`, 1)
	c = configured(t, map[string]any{"jwks": set})
	if v := c.judge(sign(t, "PS256", "rsa", jwt.MapClaims{}), client, now); v.Action == sdk.Allow {
		t.Errorf("a key for RS256 checks PS256")
	}
}

// Times hold, with leeway; the end of the token is that of the login.
func TestTimes(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, tc := range []struct {
		claims jwt.MapClaims
		leeway int
		ok     bool
		ends   int64
	}{
		{jwt.MapClaims{}, 0, true, 0}, {jwt.MapClaims{"exp": now.Unix() + 1}, 0, true, now.Unix() + 1}, {jwt.MapClaims{"exp": now.Unix()}, 0, false, 0},
		{jwt.MapClaims{"exp": now.Unix() - 5}, 10, true, now.Unix() + 5}, {jwt.MapClaims{"exp": now.Unix() - 10}, 10, false, 0},
		{jwt.MapClaims{"nbf": now.Unix() + 1}, 0, false, 0}, {jwt.MapClaims{"nbf": now.Unix() + 1}, 1, true, 0}, {jwt.MapClaims{"nbf": now.Unix()}, 0, true, 0},
		{jwt.MapClaims{"iat": now.Unix() + 60}, 0, false, 0}, {jwt.MapClaims{"iat": now.Unix()}, 0, true, 0},
		{jwt.MapClaims{"exp": fmt.Sprint(now.Unix() + 7)}, 0, true, now.Unix() + 7}, {jwt.MapClaims{"exp": "NaN"}, 0, false, 0}, {jwt.MapClaims{"exp": nil}, 0, false, 0},
		{jwt.MapClaims{"exp": -1}, 0, false, 0}, {jwt.MapClaims{"exp": 1e300}, 0, false, 0}, {jwt.MapClaims{"exp": float64(now.Unix()) + 1.5}, 0, true, now.Unix() + 1},
	} {
		c := configured(t, map[string]any{"secret": secret, "leeway": tc.leeway})
		v := c.judge(sign(t, "HS256", "", tc.claims), client, now)
		if (v.Action == sdk.Allow) != tc.ok || v.Action == sdk.Next {
			t.Errorf("%v: %+v", tc.claims, v)
		} else if tc.ok && tc.ends != 0 && v.Login.ExpiresAt.Unix() != tc.ends || tc.ok && tc.ends == 0 && !v.Login.ExpiresAt.IsZero() {
			t.Errorf("%v: ends %v", tc.claims, v.Login.ExpiresAt)
		}
	}
}

// verify_claims compares with the client's names.
func TestVerifyClaims(t *testing.T) {
	c := configured(t, map[string]any{"secret": secret, "verify_claims": map[string]any{"username": "%u", "clientid": "dev-%c", "aud": "mqtt"}, "superuser_claim": "root"})
	good := func() jwt.MapClaims {
		return jwt.MapClaims{"username": "u1", "clientid": "dev-c1", "aud": []string{"web", "mqtt"}, "root": true}
	}
	v := c.judge(sign(t, "HS256", "", good()), client, time.Now())
	if v.Action != sdk.Allow || !v.Login.Superuser || v.Login.Principal != "u1" {
		t.Errorf("%+v", v)
	}
	for name, value := range map[string]any{"username": "u2", "clientid": "c1", "aud": []string{"web"}} {
		for _, with := range []any{value, nil, 7, map[string]any{}} {
			claims := good()
			claims[name] = with
			if with == nil {
				delete(claims, name)
			}
			if v := c.judge(sign(t, "HS256", "", claims), client, time.Now()); v.Action != sdk.Deny || v.Reason != notAuthorized || !strings.Contains(v.Text, name) {
				t.Errorf("%s = %v: %+v", name, with, v)
			}
		}
	}
	c = configured(t, map[string]any{"secret": secret, "from": "username"})
	if v := c.judge(sign(t, "HS256", "", jwt.MapClaims{"root": "true"}), client, time.Now()); v.Action != sdk.Allow || v.Login.Superuser || v.Login.Principal != "c1" {
		t.Errorf("%+v", v.Login)
	}
}

// Broken configurations are refused with the key.
func TestConfigurationIsChecked(t *testing.T) {
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	der, _ := x509.MarshalPKIXPublicKey(small.Public())
	weak := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	cut := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der[:20]}))
	for text, want := range map[string]map[string]any{
		"no key to check tokens with":                  {},
		"from: not a valid value":                      {"from": "header", "secret": secret},
		"secret: not a valid value":                    {"secret": ""},
		"secret_base64: illegal base64":                {"secret_base64": "!"},
		"pubkey: there is no PEM block":                {"pubkey": "x"},
		"pubkey: RSA key of 1024 bits":                 {"pubkey": weak},
		"pubkey: want a PUBLIC KEY, found PRIVATE KEY": {"pubkey": private},
		"pubkey: malformed public key":                 {"pubkey": cut},
		"jwks: flatjson":                               {"jwks": "x"},
		"jwks: flatjson: ":                             {"jwks": "https://a b"},
		"jwks_refresh_interval: want 10s to 24h":       {"jwks": "https://a", "jwks_refresh_interval": "1s"},
		"jwks_max_age is less than":                    {"jwks": "https://a", "jwks_max_age": "1m"},
		"jwks: a JWK set of 1 keys, of which none":     {"jwks": `{"keys":[{"kty":"new"}]}`},
		"jwks: key 1: x has 1 bytes":                   {"jwks": `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`},
		"jwks: key 1: a coordinate of 1 bytes":         {"jwks": `{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}`},
		"leeway: not a valid value":                    {"leeway": -1, "secret": secret},
		"verify_claims: x is not a text":               {"verify_claims": map[string]any{"x": 1}, "secret": secret},
		"there is no key colour":                       {"colour": "red"},
	} {
		config, _ := json.Marshal(want)
		if _, err := parse(config); err == nil || !strings.HasPrefix(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func login(w *contract.Writer, password string) {
	w.Begin(contract.Header{Hook: contract.HookAuthenticate, Conn: 7, Time: uint64(time.Now().UnixNano())})
	w.String(contract.SlotClientID, "c1")
	w.String(contract.SlotUsername, "u1")
	w.String(contract.SlotPassword, password)
	w.End()
}

// Both forms of the plugin answer a login with every algorithm, within the fuel
// of a module.
func TestPlugin(t *testing.T) {
	config, _ := json.Marshal(map[string]any{"jwks": jwks(), "verify_claims": map[string]any{"name": "%u"}})
	for _, kind := range []plugintest.Kind{plugintest.WASM, plugintest.Process} {
		t.Run(string(kind), func(t *testing.T) {
			p := plugintest.Open(t, kind, string(config))
			for method := range byMethod {
				w := p.Frame(contract.HookAuthenticate)
				login(w, sign(t, method, "", jwt.MapClaims{"name": "u1", "acl": map[string]any{"pub": []string{"up/%c"}}}))
				v := p.Call(t, contract.HookAuthenticate, w, nil)[0]
				if method == "ES512" && kind == plugintest.WASM {
					if v.Action != contract.Next {
						t.Errorf("%s: %v", method, v.Action)
					}
					continue
				}
				if list, _ := v.Permissions(); v.Action != contract.Allow || len(list) != 2 || list[0].Filter != "up/c1" {
					t.Errorf("%s: %v %v", method, v.Action, list)
				}
			}
			w := p.Frame(contract.HookAuthenticate)
			login(w, "an ordinary password")
			if v := p.Call(t, contract.HookAuthenticate, w, nil)[0]; v.Action != contract.Next {
				t.Errorf("a password: %v", v.Action)
			}
			if s := p.Status(); s.Faults != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A module that could not check P-521 signatures within its fuel says so.
func TestModuleRefusesP521(t *testing.T) {
	config, _ := json.Marshal(map[string]any{"pubkey": publicPEM(t)})
	if _, err := plugintest.TryOpen(t, plugintest.WASM, string(config)); err == nil || !strings.Contains(err.Error(), "pubkey: P-521 keys are for the process form") {
		t.Errorf("%v", err)
	}
}

// The work that one token may cause is bounded, whatever the set of keys.
func TestWorkIsBounded(t *testing.T) {
	signer := pairs()["p384"].(*ecdsa.PrivateKey)
	other, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	c := &config{acl: "acl"}
	for range 3 {
		c.keys = append(c.keys, key{ec: &other.PublicKey})
	}
	c.keys = append(c.keys, key{ec: &signer.PublicKey}, key{id: "mine", ec: &signer.PublicKey})
	if v := c.judge(sign(t, "ES384", "", jwt.MapClaims{}), client, time.Now()); v.Action != sdk.Deny {
		t.Errorf("the fourth key is tried: %+v", v)
	}
	c.keys = c.keys[3:]
	if v := c.judge(sign(t, "ES384", "mine", jwt.MapClaims{}), client, time.Now()); v.Action != sdk.Allow {
		t.Errorf("the named key: %+v", v)
	}
}

func BenchmarkLogin(b *testing.B) {
	config, _ := json.Marshal(map[string]any{"jwks": jwks()})
	for _, method := range []string{"HS256", "RS256", "PS512", "ES256", "ES384", "EdDSA"} {
		kid := byMethod[method]
		for _, kind := range []plugintest.Kind{plugintest.WASM, plugintest.Process} {
			b.Run(method+"/"+string(kind), func(b *testing.B) {
				p := plugintest.Open(b, kind, string(config))
				text := sign(b, method, kid, jwt.MapClaims{"sub": "u1"})
				for b.Loop() {
					w := p.Frame(contract.HookAuthenticate)
					login(w, text)
					if v := p.Call(b, contract.HookAuthenticate, w, nil)[0]; v.Action != contract.Allow {
						b.Fatal(v.Action)
					}
				}
				b.ReportMetric(float64(p.Status().FuelMost), "fuel")
			})
		}
	}
}
