package test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// authServer knows the user ann with the password pencil, who may use topics below
// her name. The users slow-... wait until it is told to let them go.
type authServer struct {
	*httptest.Server
	release        chan struct{}
	waiting, asked atomic.Int64
}

func startAuthServer(t *testing.T) *authServer {
	t.Helper()
	s := &authServer{release: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /mqtt/auth", func(w http.ResponseWriter, r *http.Request) {
		user := r.FormValue("username")
		if strings.HasPrefix(user, "slow") {
			s.waiting.Add(1)
			<-s.release
			s.waiting.Add(-1)
		}
		if user != "ann" && !strings.HasPrefix(user, "slow") || r.FormValue("password") != "pencil" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	mux.HandleFunc("GET /mqtt/acl", func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		topic := r.FormValue("topic")
		if topic == "ann/slow" {
			s.waiting.Add(1)
			<-s.release
			s.waiting.Add(-1)
		}
		if !strings.HasPrefix(topic, r.FormValue("username")+"/") {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// authHTTP is a broker with the file of auth_http that ships, for the server.
func authHTTP(t *testing.T, s *authServer) *broker {
	t.Helper()
	shipped, err := os.ReadFile(filepath.Join(repo, "etc/plugins/auth_http.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return start(t, module("auth_http", strings.NewReplacer("http://127.0.0.1:8991", s.URL, `timeout = "5s"`, `timeout = "20s"`).Replace(string(shipped))))
}

// TestAuthHTTP: the server says who comes in and what is allowed; answers about
// access are remembered; when it is gone nobody new comes in.
func TestAuthHTTP(t *testing.T) {
	t.Parallel()
	s := startAuthServer(t)
	b := authHTTP(t, s)
	m := mosquitto{b: b, id: "tcp:external", version: v311}
	sub := m.sub(t, "-i", "s1", "-u", "ann", "-P", "pencil", "-t", "ann/#")
	m.pub(t, "-i", "p1", "-u", "ann", "-P", "pencil", "-t", "ann/b", "-m", "hello", "-q", "1")
	sub.expect("ann/b 0 0 hello")
	m.tool = "pub"
	if out, err := m.command("-u", "ann", "-P", "pencils", "-t", "ann/b", "-m", "x").CombinedOutput(); err == nil {
		t.Errorf("mosquitto_pub with a wrong password: %s", out)
	}
	c, code := b.login("c1", "ann", "pencil")
	if code.Failed() {
		t.Fatalf("login: %v", code)
	}
	if got := c.codes("ann/#", "bob/#", "$share/g/ann/x"); got[0].Failed() || got[1] != packet.NotAuthorized || got[2].Failed() {
		t.Errorf("subscribe: %v", got)
	}
	before := s.asked.Load()
	for range 20 {
		if mine, other := c.puback("ann/t"), c.puback("bob/t"); mine.Failed() || other != packet.NotAuthorized {
			t.Fatalf("publish: %v %v", mine, other)
		}
	}
	if n := s.asked.Load() - before; n != 2 {
		t.Errorf("%d requests for two topics", n)
	}
	dies := b.dial(v5)
	will := &packet.Will{Topic: "ann/will", Payload: []byte("gone"), QoS: 1}
	if ack := dies.connectWith(&packet.Connect{ClientID: "d1", CleanStart: true, HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("pencil"), Will: will}); ack.Code.Failed() {
		t.Fatalf("a client with a will: %v", ack.Code)
	}
	s.Close()
	dies.close()
	// c subscribed, and so did the mosquitto_sub, which got c's messages too.
	for {
		if p := c.message(); p.Topic == "ann/will" {
			break
		}
	}
	if _, code := b.login("c2", "ann", "pencil"); code != packet.ServerUnavailable {
		t.Errorf("a login while the server is down: %v", code)
	}
	if known, unknown := c.puback("ann/t"), c.puback("ann/new"); known.Failed() || !unknown.Failed() {
		t.Errorf("publish while the server is down: %v %v", known, unknown)
	}
}

// TestAuthHTTPSlow: while the server makes some clients wait, with their logins and
// with their messages, others are served; those that waited get their answers.
func TestAuthHTTPSlow(t *testing.T) {
	t.Parallel()
	s := startAuthServer(t)
	b := authHTTP(t, s)
	c, code := b.login("c1", "ann", "pencil")
	if code.Failed() {
		t.Fatalf("login: %v", code)
	}
	c.subscribe("ann/x", 1)
	stuck, code := b.login("c2", "ann", "pencil")
	if code.Failed() {
		t.Fatalf("login: %v", code)
	}
	stuck.publish("ann/slow", "1", 1)
	const slow = 40
	var wg sync.WaitGroup
	for range slow {
		conn, err := b.transport("tcp:external")
		if err != nil {
			t.Fatal(err)
		}
		w := b.client(conn, v5)
		defer w.close()
		wg.Go(func() {
			ack, err := w.tryConnect(&packet.Connect{CleanStart: true, HasUsername: true, Username: "slow", HasPassword: true, Password: []byte("pencil")})
			if err != nil || ack.Code.Failed() {
				t.Errorf("a client that waited: %v %+v", err, ack)
			}
		})
	}
	b.eventually("all wait", func() bool { return s.waiting.Load() == slow+1 })
	for range 50 {
		c.publish("ann/x", "still here", 1)
		c.expect("ann/x", "still here")
	}
	if _, code := b.login("c3", "ann", "pencil"); code.Failed() {
		t.Errorf("another login: %v", code)
	}
	if n := s.waiting.Load(); n != slow+1 {
		t.Errorf("%d wait, not %d", n, slow+1)
	}
	close(s.release)
	wg.Wait()
	if err := stuck.await(1); err != nil {
		t.Errorf("a message that waited: %v", err)
	}
}
