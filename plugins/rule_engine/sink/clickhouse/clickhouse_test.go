package clickhouse

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/plugins/rule_engine/params"
	"github.com/dunlinmq/dunlin/plugins/rule_engine/sink"
)

// TestInsert: a request a table, with the rows as the actions want them; a row that
// the server refuses is alone in that; other faults are tried again.
func TestInsert(t *testing.T) {
	got, down := map[string]string{}, false
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case down:
			w.Header().Set("X-ClickHouse-Exception-Code", "241") // memory limit
			http.Error(w, "DB::Exception: Memory limit", http.StatusInternalServerError)
		case strings.Contains(string(body), "bad"):
			w.Header().Set("X-ClickHouse-Exception-Code", "117")
			http.Error(w, "DB::Exception: Unknown field", http.StatusInternalServerError)
		case r.Method == http.MethodPost:
			if r.Header.Get("X-ClickHouse-User") != "u" || r.Header.Get("X-ClickHouse-Database") != "db" {
				t.Errorf("headers %v", r.Header)
			}
			got[r.URL.Query().Get("query")] += string(body)
		}
	}))
	defer hs.Close()
	d, err := Open(params.New(map[string]any{"url": hs.URL, "user": "u", "password": "p", "database": "db"}))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := errors.Join(d.Bind("all", params.New(map[string]any{"table": "rows"})), d.Bind("some", params.New(map[string]any{"table": "db.other", "row": `{"x":"${a}"}`}))); err != nil {
		t.Fatal(err)
	}
	err = d.Write(t.Context(), []sink.Item{{Action: "all", Row: []byte(`{"a":1}`)}, {Action: "some", Row: []byte(`{"a":2}`)}, {Action: "all", Row: []byte(`{"a":"bad"}`)}, {Action: "all", Row: []byte(`{"a":3}`)}})
	var bad *sink.Bad
	if !errors.As(err, &bad) || len(bad.Items) != 1 || bad.Items[2] == nil {
		t.Errorf("refused: %v", err)
	}
	if got["INSERT INTO rows FORMAT JSONEachRow"] != "{\"a\":1}\n{\"a\":3}\n" || got["INSERT INTO db.other FORMAT JSONEachRow"] != "{\"x\":\"2\"}\n" {
		t.Errorf("inserted %q", got)
	}
	down = true
	if err := d.Write(t.Context(), []sink.Item{{Action: "all", Row: []byte(`{"a":1}`)}}); err == nil || errors.As(err, &bad) {
		t.Errorf("down: %v", err)
	}
	if d.Check(t.Context()) == nil {
		t.Error("down, and alive")
	}
	if err := d.Bind("evil", params.New(map[string]any{"table": "a; DROP TABLE b"})); err == nil {
		t.Error("a table's name with a statement in it was taken")
	}
}
