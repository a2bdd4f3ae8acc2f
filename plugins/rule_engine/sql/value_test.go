package sql

import (
	"encoding/json"
	"math"
	"strconv"
	"testing"
)

func TestMapKeepsOrderAndGrows(t *testing.T) {
	m := &Map{}
	for i := range 100 {
		m.Set(strconv.Itoa(i), IntOf(int64(i)))
	}
	m.Set("50", StringOf("x"))
	c := m.Clone()
	c.Set("1", NullOf())
	if m.Len() != 100 || m.Get("50").Str() != "x" || m.Get("1").Int() != 1 || c.Get("1").Kind() != Null || c.Get("99").Int() != 99 {
		t.Errorf("len %d, 50 %v, 1 %v", m.Len(), m.Get("50"), m.Get("1"))
	}
	if k, v := m.At(7); k != "7" || v.Int() != 7 {
		t.Errorf("At(7) is %s %v", k, v)
	}
	if m.Get("none").Defined() || m.Has("none") {
		t.Error("a key that is not there has a value")
	}
}

func TestJSONRoundTrip(t *testing.T) {
	for _, s := range []string{
		`null`, `true`, `0`, `-5`, `9223372036854775807`, `1.5`, `1e-7`, `[]`, `{}`, `{"a":[1,{"b":"\u0001\"\\\n"}]}`, `"ü€😀"`, `[[[1]]]`, `1.0`, `1e+22`,
	} {
		v, err := DecodeJSON(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if got := string(AppendJSON(nil, v)); !sameJSON(t, got, s) {
			t.Errorf("%s became %s", s, got)
		}
	}
	if v, err := DecodeJSON(`9223372036854775808`); err != nil || v.Kind() != Float {
		t.Errorf("a number above 64 bits: %v %v", v.Kind(), err)
	}
	if got := string(AppendJSON(nil, FloatOf(math.Inf(1)))); got != "null" {
		t.Errorf("infinity is written as %s", got)
	}
	if got := string(AppendJSON(nil, StringOf("a\xffb"))); got != `"a`+"\ufffd"+`b"` {
		t.Errorf("bytes that are no text: %s", got)
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	p, err1 := json.Marshal(x)
	q, err2 := json.Marshal(y)
	return err1 == nil && err2 == nil && string(p) == string(q)
}

func TestDepthIsBounded(t *testing.T) {
	deep := ""
	for range 5000 {
		deep += "["
	}
	for range 5000 {
		deep += "]"
	}
	if _, err := DecodeJSON(deep); err == nil {
		t.Error("5000 levels were taken")
	}
}

func TestFloatText(t *testing.T) {
	for f, want := range map[float64]string{1: "1.0", 1.5: "1.5", 0.1: "0.1", 20.20: "20.2", -2: "-2.0", 1e10: "10000000000.0"} {
		if got := FloatOf(f).Text(); got != want {
			t.Errorf("%v is %s, want %s", f, got, want)
		}
	}
}

// Numbers of 64 bits never wrap around.
func TestWholesOverflow(t *testing.T) {
	for _, c := range []struct {
		op   string
		a, b int64
		ok   bool
	}{
		{"+", math.MaxInt64, 1, false}, {"+", math.MaxInt64, 0, true}, {"+", math.MinInt64, -1, false}, {"-", math.MinInt64, 1, false}, {"-", 0, math.MinInt64, false},
		{"*", math.MaxInt64, 2, false}, {"*", math.MinInt64, -1, false}, {"*", math.MinInt64, 1, true}, {"*", 1 << 31, 1 << 31, true}, {"*", 1 << 32, 1 << 31, false},
		{"div", math.MinInt64, -1, false}, {"mod", math.MinInt64, -1, true}, {"-", -5, 0, true},
	} {
		if _, err := arithmetic(c.op, IntOf(c.a), IntOf(c.b)); (err == nil) != c.ok {
			t.Errorf("%d %s %d: %v", c.a, c.op, c.b, err)
		}
	}
}
