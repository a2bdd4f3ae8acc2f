//go:build !wasip1

package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/plugins/plugintest"
)

// both asks one server about logins and access, with a short timeout.
func both(url string) string {
	return fmt.Sprintf("[config]\ntimeout = \"300ms\"\nauth_req.url = %q\nacl_req.url = %q\n", url, url)
}

// denied insists that nobody is let in and nothing is allowed.
func denied(t *testing.T, h *plugintest.Host, name string) {
	t.Helper()
	if e := h.Login(t, "c", "u", "p"); e.Verdict != hook.Deny || e.Reason != 0x88 {
		t.Errorf("%s: a login: %v %v", name, e.Verdict, e.Reason)
	}
	if e := ask(t, h, hook.Publish, "a")[0]; e.Verdict != hook.Deny || e.CacheTTL != 0 {
		t.Errorf("%s: access: %v for %v", name, e.Verdict, e.CacheTTL)
	}
}

// hangUp ends the connection without an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// TestFailures: a server that is down, dies, hangs, floods, or leads elsewhere
// lets nobody in and allows nothing.
func TestFailures(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, map[string]http.HandlerFunc{
		"/dies": hangUp, "/hangs": func(http.ResponseWriter, *http.Request) { <-release },
		"/floods": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) },
		"/half": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("yes"))
			hangUp(w, r)
		},
		"/moved": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/page", http.StatusFound) },
	})
	defer close(release)
	for _, path := range []string{"/dies", "/hangs", "/floods", "/half", "/moved"} {
		denied(t, open(t, plugintest.WASM, s.URL, both(s.URL+path)), path)
	}
	for _, r := range s.requests() {
		if strings.Contains(r, "/page") {
			t.Error("a redirection was followed")
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down := "http://" + l.Addr().String()
	_ = l.Close()
	denied(t, open(t, plugintest.WASM, down, both(down+"/")), "a server that is down")
	denied(t, open(t, plugintest.WASM, down, both(s.URL+"/")), "a server that is not granted")
	denied(t, open(t, plugintest.WASM, s.URL, both("https"+strings.TrimPrefix(s.URL, "http")+"/")), "another scheme")
}

// A request that fails at once is made again, one that took its time is not.
func TestRetry(t *testing.T) {
	var n atomic.Int64
	release := make(chan struct{})
	s := serve(t, map[string]http.HandlerFunc{
		"/once": func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1 {
				hangUp(w, r)
			}
		},
		"/hangs": func(http.ResponseWriter, *http.Request) { <-release },
	})
	defer close(release)
	if e := open(t, plugintest.WASM, s.URL, both(s.URL+"/once")).Login(t, "c", "u", "p"); e.Verdict != hook.Allow || n.Load() != 2 {
		t.Errorf("%v after %d requests", e.Verdict, n.Load())
	}
	n.Store(0)
	if e := open(t, plugintest.WASM, s.URL, "[config]\nretry_times = 0\nauth_req.url = \""+s.URL+"/once\"\n").Login(t, "c", "u", "p"); e.Verdict != hook.Deny || n.Load() != 1 {
		t.Errorf("retry_times = 0: %v after %d requests", e.Verdict, n.Load())
	}
	s.requests()
	if e := open(t, plugintest.WASM, s.URL, both(s.URL+"/hangs")).Login(t, "c", "u", "p"); e.Verdict != hook.Deny || len(s.requests()) != 1 {
		t.Errorf("a server that hangs: %v", e.Verdict)
	}
}

// TestTLS: the server's certificate has to be of the authority that the operator
// names, and the client shows its own.
func TestTLS(t *testing.T) {
	s := &server{}
	s.Server = httptest.NewTLSServer(s.handler(nil))
	t.Cleanup(s.Close)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	trusting := fmt.Sprintf("[plugin.http]\nca_file = %q\n", ca)
	if e := open(t, plugintest.WASM, s.URL, trusting+both(s.URL+"/")).Login(t, "c", "u", "p"); e.Verdict != hook.Allow {
		t.Errorf("%v %v", e.Verdict, e.Reason)
	}
	denied(t, open(t, plugintest.WASM, s.URL, both(s.URL+"/")), "an authority that is not trusted")
	denied(t, open(t, plugintest.WASM, s.URL, trusting+strings.Replace(both(s.URL+"/"), "[config]", "server_name = \"other.example\"\n[config]", 1)), "another name")
}

// A configuration with a fault is refused with the place of the fault.
func TestConfigurationIsChecked(t *testing.T) {
	const url = `"url":"http://a/b"`
	for text, want := range map[string]string{
		`{}`: "nothing to ask", `[]`: "not a JSON object", `{"auth":{}}`: "there is no key auth", `{"super_req":{` + url + `},"acl_req":{` + url + `}}`: "super_req is asked after auth_req",
		`{"auth_req":{}}`: "auth_req: url is missing", `{"auth_req":{"url":"ftp://a"}}`: "auth_req: url", `{"auth_req":{"url":"http://a b"}}`: "auth_req: url",
		`{"auth_req":{"url":"http://a\nX: y"}}`: "auth_req: url", `{"auth_req":{` + url + `,"method":"put"}}`: "auth_req: method", `{"auth_req":{` + url + `,"x":1}}`: "auth_req: there is no key x",
		`{"auth_req":{` + url + `,"content_type":"text/plain"}}`:                      "auth_req: content_type",
		`{"auth_req":{` + url + `,"method":"get","content_type":"application/json"}}`: "for the body of post",
		`{"auth_req":{` + url + `,"headers":{"a":"b\nc"}}}`:                           "auth_req: headers: a", `{"auth_req":{` + url + `,"headers":{"a b":"c"}}}`: "headers: a b",
		`{"auth_req":{` + url + `,"headers":{"Content-Type":"text/html"}}}`: "want application/x-www-form-urlencoded or application/json",
		`{"auth_req":{` + url + `,"params":"a"}}`:                           "params: a: want name=value", `{"auth_req":{` + url + `,"params":"=%u"}}`: "a name is missing",
		`{"auth_req":{` + url + `,"params":"a=%t"}}`: "a = %t: want one of %u", `{"acl_req":{` + url + `,"params":"a=%P"}}`: "a = %P: want one of", `{"acl_req":{` + url + `,"params":{"a":"50%"}}}`: "a = 50%",
		`{"acl_req":{` + url + `,"params":{"a":1}}}`: "a is not a text", `{"acl_req":{` + url + `},"timeout":"1ms"}`: "timeout: want 100ms to 20s", `{"acl_req":{` + url + `},"timeout":5}`: "timeout: want",
		`{"acl_req":{` + url + `},"cache_ttl":"-1s"}`: "cache_ttl: want", `{"acl_req":{` + url + `},"retry_times":9}`: "retry_times: want 0 to 5",
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// Whatever a client calls itself, the server reads what it has said, and nothing
// becomes another parameter or another line of the request.
func FuzzFill(f *testing.F) {
	f.Add("a&b=c", "p w\r\nX: y", "t/+/#")
	f.Add("%u", "\"}", "\xff\x00é")
	form, json1 := &request{url: "http://a/", post: true}, &request{url: "http://a/", post: true, json: true}
	query := &request{url: "http://a/?x=y"}
	for _, r := range []*request{form, json1, query} {
		for _, p := range []string{"user=%u", "pass=%P", "topic=<%t>"} {
			name, value, _ := strings.Cut(p, "=")
			if err := r.addParam(name, value, "%u %P %t"); err != nil {
				f.Fatal(err)
			}
		}
	}
	f.Fuzz(func(t *testing.T, user, password, topic string) {
		who := facts{username: user, password: password, topic: topic}
		want := map[string]string{"user": user, "pass": password, "topic": "<" + topic + ">"}
		asked := form.fill(&who)
		u, err := url.Parse(query.fill(&who).URL)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{string(asked.Body), u.RawQuery} {
			got, err := url.ParseQuery(text)
			if err != nil || got.Get("x")+"y" == "" {
				t.Fatalf("%s: %v", text, err)
			}
			for name, value := range want {
				if len(got[name]) != 1 || got.Get(name) != value {
					t.Errorf("%s of %s: %q, want %q", name, text, got[name], value)
				}
			}
		}
		var got map[string]string
		if err := json.Unmarshal(json1.fill(&who).Body, &got); err != nil || len(got) != 3 || got["user"] != strings.ToValidUTF8(user, "\uFFFD") && strings.ToValidUTF8(user, "") == user {
			t.Errorf("%v: %q", err, got)
		}
		_ = mounts([]byte(user))
	})
}

// FuzzParse: no configuration makes the plugin fall over.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"auth_req":{"url":"http://a","params":"a=%u","headers":{"x":"y"}},"timeout":"5s"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parse(text)
		if err != nil {
			return
		}
		for _, r := range []*request{c.auth, c.super, c.acl} {
			if r == nil {
				continue
			}
			if out := r.fill(&facts{}); strings.ContainsAny(out.URL+strings.Join(out.Headers, ""), "\r\n") {
				t.Errorf("%s: %+v", text, out)
			}
		}
	})
}
