package influxdb

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
)

// server takes lines, but those with "bad" in them, and none while it is down.
type server struct {
	mu    sync.Mutex
	lines []string
	query string
	auth  string
	down  bool
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.query, s.auth = r.URL.Path+"?"+r.URL.RawQuery, r.Header.Get("Authorization")
	switch {
	case s.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case strings.Contains(string(body), "bad"):
		http.Error(w, "unable to parse", http.StatusBadRequest)
	case r.Method == http.MethodPost:
		s.lines = append(s.lines, strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")...)
		w.WriteHeader(http.StatusNoContent)
	}
}

// TestLines: types, escapes and absent values; a point that the server refuses is
// alone in that.
func TestLines(t *testing.T) {
	s := &server{}
	hs := httptest.NewServer(s)
	defer hs.Close()
	d, err := Open(params.New(map[string]any{"url": hs.URL, "database": "db", "username": "u", "password": "p", "precision": "ms"}))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Bind("a", params.New(map[string]any{"measurement": "m x", "timestamp": "${at}", "tags": map[string]any{"place": "${where}", "none": "${no}"},
		"fields": map[string]any{"t": "${t}", "n": "${n}i", "text": "${s}", "on": "${on}", "mixed": "t=${t}", "o": "${o}"}})); err != nil {
		t.Fatal(err)
	}
	item := func(row string) sink.Item { return sink.Item{Action: "a", Row: []byte(row)} }
	err = d.Write(t.Context(), []sink.Item{
		item(`{"t":1,"n":2,"s":"a \"b\"","on":true,"where":"up, there","at":5,"o":{"k":1}}`), item(`{"t":"bad","where":"x","at":1}`), item(`{"t":1.5,"at":"no"}`), item(`{"t":2.5,"at":6}`),
	})
	var bad *sink.Bad
	if !errors.As(err, &bad) || len(bad.Items) != 2 || bad.Items[1] == nil || bad.Items[2] == nil {
		t.Fatalf("refused: %v", err)
	}
	want := []string{`m\ x,place=up\,\ there mixed="t=1",n=2i,o="{\"k\":1}",on=true,t=1,text="a \"b\"" 5`, `m\ x mixed="t=2.5",t=2.5 6`}
	if strings.Join(s.lines, "|") != strings.Join(want, "|") {
		t.Errorf("lines\n%s\nwant\n%s", strings.Join(s.lines, "\n"), strings.Join(want, "\n"))
	}
	if s.query != "/write?db=db&p=p&precision=ms&u=u" {
		t.Errorf("asked %s", s.query)
	}
	s.down = true
	if err := d.Write(t.Context(), []sink.Item{item(`{"t":1,"at":1}`)}); err == nil || errors.As(err, &bad) {
		t.Errorf("down: %v", err)
	}
	if d.Check(t.Context()) == nil {
		t.Error("down, and alive")
	}
}

// TestSettings: version 2 by its token, and what is wrong.
func TestSettings(t *testing.T) {
	s := &server{}
	hs := httptest.NewServer(s)
	defer hs.Close()
	d, err := Open(params.New(map[string]any{"url": hs.URL, "token": "t", "org": "o", "bucket": "b"}))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := errors.Join(d.Bind("a", params.New(map[string]any{"measurement": "m", "fields": map[string]any{"v": "${v}"}})),
		d.Write(t.Context(), []sink.Item{{Action: "a", Row: []byte(`{"v":1}`)}})); err != nil {
		t.Fatal(err)
	}
	if s.query != "/api/v2/write?bucket=b&org=o" || s.auth != "Token t" || s.lines[0] != "m v=1" {
		t.Errorf("%s, %s, %q", s.query, s.auth, s.lines)
	}
	for _, cfg := range []map[string]any{{"url": "x"}, {"url": hs.URL}, {"url": hs.URL, "token": "t"}, {"url": hs.URL, "database": "d", "colour": 1}} {
		if _, err := Open(params.New(cfg)); err == nil {
			t.Errorf("%v was taken", cfg)
		}
	}
	if err := d.Bind("b", params.New(map[string]any{"measurement": "m"})); err == nil {
		t.Error("a point without fields was taken")
	}
}
