package contract

import (
	"slices"
	"testing"
)

func TestRequest(t *testing.T) {
	headers := []string{"Content-Type: text/plain", "X: "}
	b := Request{"POST", "https://a/b?c", headers, []byte("two\n\nparts")}.Append(nil)
	r, err := ParseRequest(b)
	if err != nil || r.Method != "POST" || r.URL != "https://a/b?c" || !slices.Equal(r.Headers, headers) || string(r.Body) != "two\n\nparts" {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := ParseRequest(Request{Method: "GET", URL: "http://a"}.Append(nil)); err != nil || len(r.Headers) != 0 || len(r.Body) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{"", "GET http://a", "GET\n\n", " http://a\n\n", "GET http://a\nnocolon\n\n", "GET http://a\n: x\n\n", "GET http://a\nX: a\r\n\n"} {
		if _, err := ParseRequest([]byte(bad)); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}
