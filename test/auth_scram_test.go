package test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/dunlinmq/dunlin/core/packet"
)

// scramUser is a line of the users file, made by another implementation.
func scramUser(t *testing.T, user, password string) string {
	t.Helper()
	c, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	k, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt of 16 bytes", Iters: 4096})
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s:SCRAM-SHA-256$%d:%s$%s:%s\n", user, k.Iters, b64([]byte(k.Salt)), b64(k.StoredKey), b64(k.ServerKey))
}

// scramClient is a client's side of enhanced authentication.
type scramClient struct {
	*client
	talk *scram.ClientConversation
}

func (b *broker) scram(t *testing.T, user, password string) *scramClient {
	t.Helper()
	c, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	return &scramClient{b.dial(v5), c.NewConversation()}
}

// props are the method and the answer to what the server sent.
func (c *scramClient) props(server string) packet.Props {
	c.t.Helper()
	data, err := c.talk.Step(server)
	if err != nil {
		c.t.Fatal(err)
	}
	p := packet.AppendStringProp(nil, packet.PropAuthMethod, "SCRAM-SHA-256")
	return packet.AppendBytesProp(p, packet.PropAuthData, []byte(data))
}

// run goes on after first was sent and returns how it ended.
func (c *scramClient) run(first packet.Packet) packet.ReasonCode {
	c.t.Helper()
	c.send(first)
	challenge, ok := c.read().(*packet.Auth)
	if !ok || challenge.Code != packet.ContinueAuthentication {
		c.t.Fatalf("%+v instead of a challenge", challenge)
	}
	data, _ := challenge.Props.Bytes(packet.PropAuthData)
	c.send(&packet.Auth{Code: packet.ContinueAuthentication, Props: c.props(string(data))})
	var code packet.ReasonCode
	var props packet.Props
	switch p := c.read().(type) {
	case *packet.Connack:
		code, props = p.Code, p.Props
	case *packet.Auth:
		code, props = p.Code, p.Props
	case *packet.Disconnect:
		return p.Code
	default:
		c.t.Fatalf("%v ends an exchange", p)
	}
	if !code.Failed() {
		proof, _ := props.Bytes(packet.PropAuthData)
		if _, err := c.talk.Step(string(proof)); err != nil || !c.talk.Valid() {
			c.t.Errorf("the server's proof: %v", err)
		}
	}
	return code
}

func (c *scramClient) login(id string) packet.ReasonCode {
	c.t.Helper()
	return c.run(&packet.Connect{Version: v5, ClientID: id, CleanStart: true, Props: c.props("")})
}

// again re-authenticates as user.
func (c *scramClient) again(t *testing.T, user, password string) packet.ReasonCode {
	t.Helper()
	other, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	c.talk = other.NewConversation()
	return c.run(&packet.Auth{Code: packet.ReAuthenticate, Props: c.props("")})
}

// TestSCRAM: both sides prove that they know the password; a connected client
// proves it again while its traffic goes on; a reload changes who may come.
func TestSCRAM(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile(filepath.Join(repo, "etc/plugins/auth_scram.toml"))
	if err != nil {
		t.Fatal(err)
	}
	s := module("auth_scram", string(shipped))
	s.etc["etc/scram_users"] = scramUser(t, "ann", "pencil")
	b := start(t, s)

	c := b.scram(t, "ann", "pencil")
	if code := c.login("c1"); code.Failed() {
		t.Fatalf("login: %v", code)
	}
	c.subscribe("a", 1)
	if code := c.again(t, "ann", "pencil"); code.Failed() {
		t.Errorf("re-authentication: %v", code)
	}
	c.publish("a", "after it", 1)
	c.expect("a", "after it")
	for user, password := range map[string]string{"ann": "crayon", "nobody": "pencil"} {
		if code := b.scram(t, user, password).login("c2"); code != packet.BadUserNameOrPassword {
			t.Errorf("%s with %s: %v", user, password, code)
		}
	}
	if _, code := b.login("c3", "ann", "pencil"); !code.Failed() {
		t.Errorf("a password in the clear: %v", code)
	}

	write := func(users string) {
		if err := os.WriteFile(filepath.Join(b.home, "etc/scram_users"), []byte(users), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(scramUser(t, "ann", "pencil") + "bob:pencil\n")
	b.refused("auth_scram", string(shipped), "scram_users: line 2: want user:SCRAM-SHA-256$")
	write(scramUser(t, "bob", "brush"))
	b.ctl("plugins", "reload", "auth_scram")
	if code := b.scram(t, "bob", "brush").login("c4"); code.Failed() {
		t.Errorf("a new user: %v", code)
	}
	add := b.dunlin("ctl", "users", "add", "carl", "--scram")
	add.Stdin = strings.NewReader("charcoal\n")
	if out, err := add.CombinedOutput(); err != nil || string(out) != "ok\n" {
		t.Errorf("ctl users add: %v\n%s", err, out)
	}
	if code := b.scram(t, "carl", "charcoal").login("c5"); code.Failed() {
		t.Errorf("a user that ctl has added: %v", code)
	}
	if code := c.again(t, "ann", "pencil"); code != packet.NotAuthorized {
		t.Errorf("re-authentication of a user that is gone: %v", code)
	}
}
