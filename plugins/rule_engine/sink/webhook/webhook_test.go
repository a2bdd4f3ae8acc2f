package webhook

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
)

// server notes requests and answers with the status that the row's "want" names.
type server struct {
	*httptest.Server
	mu  sync.Mutex
	got []string
}

func serve(t *testing.T) *server {
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.got = append(s.got, fmt.Sprintf("%s %s %s %s", r.Method, r.URL.RequestURI(), r.Header.Get("X-Client"), body))
		s.mu.Unlock()
		code := 200
		if _, err := fmt.Sscanf(r.URL.Query().Get("want"), "%d", &code); err != nil {
			code = 200
		}
		if code == 302 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(s.Close)
	return s
}

func open(t *testing.T, s *server, action map[string]any) sink.Resource {
	t.Helper()
	r, err := Open(params.New(map[string]any{"url": s.URL + "/base", "pool_size": int64(1)}))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Bind("a", params.New(action)); err != nil {
		t.Fatal(err)
	}
	return r
}

func items(rows ...string) (its []sink.Item) {
	for _, row := range rows {
		its = append(its, sink.Item{Action: "a", Row: []byte(row)})
	}
	return its
}

func TestRequests(t *testing.T) {
	s := serve(t)
	r := open(t, s, map[string]any{"path": "/d/${clientid}?q=${n}", "headers": map[string]any{"X-Client": "${clientid}"}, "body": `{"v":${n}}`})
	if err := r.Write(t.Context(), items(`{"clientid":"c1","n":1}`, `{"clientid":"c2","n":2}`)); err != nil {
		t.Fatal(err)
	}
	if err := r.Bind("a", params.New(map[string]any{"method": "put"})); err != nil {
		t.Fatal(err)
	}
	if err := r.Write(t.Context(), items(`{"x":[1]}`)); err != nil {
		t.Fatal(err)
	}
	want := []string{`POST /base/d/c1?q=1 c1 {"v":1}`, `POST /base/d/c2?q=2 c2 {"v":2}`, `PUT /base  {"x":[1]}`}
	if !slices.Equal(s.got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(s.got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAnswers(t *testing.T) {
	s := serve(t)
	r := open(t, s, map[string]any{"path": "?want=${code}"})
	var bad *sink.Bad
	if err := r.Write(t.Context(), items(`{"code":204}`, `{"code":400}`, `{"code":302}`)); !errors.As(err, &bad) || len(bad.Items) != 2 || bad.Items[1] == nil {
		t.Errorf("400 and 302 refuse the item: %v", err)
	}
	for _, code := range []string{"500", "503", "429"} {
		if err := r.Write(t.Context(), items(`{"code":`+code+`}`)); err == nil || errors.As(err, &bad) {
			t.Errorf("%s is tried again: %v", code, err)
		}
	}
	for _, got := range s.got {
		if strings.Contains(got, "elsewhere") {
			t.Error("a redirect was followed")
		}
	}
	r.Unbind("a")
	if err := r.Write(t.Context(), items(`{}`)); !errors.As(err, &bad) || !errors.Is(bad.Items[0], sink.ErrUnbound) {
		t.Errorf("an item of an action that is gone: %v", err)
	}
}

func TestCheckAndDown(t *testing.T) {
	s := serve(t)
	r := open(t, s, nil)
	if err := r.Check(t.Context()); err != nil {
		t.Error(err)
	}
	s.Close()
	if err := r.Check(t.Context()); err == nil {
		t.Error("Check finds a server that is down well")
	}
	if err := r.Write(t.Context(), items(`{}`)); err == nil {
		t.Error("Write to a server that is down has worked")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestConfigurationFaults(t *testing.T) {
	_, err := Open(params.New(map[string]any{"url": "ftp://x", "pool_size": int64(0), "cacertfile": "/none", "color": "red"}))
	for _, want := range []string{"url: an address like", "pool_size: a whole number from 1 to 256", "cacertfile: open /none", "color: there is no such parameter"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
}
