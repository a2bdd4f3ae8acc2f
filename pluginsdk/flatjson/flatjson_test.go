package flatjson

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func members(t *testing.T, text string) (map[string]string, error) {
	t.Helper()
	m := map[string]string{}
	err := Object([]byte(text), func(k string, v Value) error {
		m[k] = string(v)
		return nil
	})
	return m, err
}

func TestObjectHandsOverEachMember(t *testing.T) {
	got, err := members(t, ` { "a" : 1 , "b\n":"x\"y", "c":{"d":[1,{"e":null}]}, "f":[ ], "g":-1.5e+3, "h":true } `)
	want := map[string]string{"a": "1", "b\n": `"x\"y"`, "c": `{"d":[1,{"e":null}]}`, "f": "[ ]", "g": "-1.5e+3", "h": "true"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := members(t, "{}"); err != nil || len(got) != 0 {
		t.Errorf("empty object: %v, %v", got, err)
	}
}

func TestObjectRefusesWhatIsNoObject(t *testing.T) {
	for _, text := range []string{
		"", " ", "1", "[]", "{", `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1 "b":2}`, `{a:1}`, `{"a":1}x`, `{"a":01}`,
		`{"a":1.}`, `{"a":-}`, `{"a":1e}`, `{"a":tru}`, `{"a":"x}`, "{\"a\":\"\n\"}", `{1:2}`, `{"a":[1,]}`, `{"a":[1 2]}`, `{"a":{"b"}}`,
		`{"\u12":1}`, `{"\x":1}`, `{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}",
	} {
		if _, err := members(t, text); !errors.Is(err, ErrSyntax) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func TestObjectStopsAtTheCallersError(t *testing.T) {
	mine, calls := errors.New("mine"), 0
	err := Object([]byte(`{"a":1,"b":2}`), func(string, Value) error { calls++; return mine })
	if !errors.Is(err, mine) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestValues(t *testing.T) {
	if n, ok := Value("-42").Int(); !ok || n != -42 {
		t.Error(n, ok)
	}
	if _, ok := Value("1.5").Int(); ok {
		t.Error("1.5 is a whole number")
	}
	if b, ok := Value("false").Bool(); !ok || b {
		t.Error(b, ok)
	}
	if _, ok := Value("null").Bool(); ok {
		t.Error("null is a bool")
	}
	for in, want := range map[string]string{
		`"\u00e9\ud83d\ude00\/\b\f\n\r\t\"\\"`: "é😀/\b\f\n\r\t\"\\", `"\ud800x"`: "\uFFFDx", `""`: "",
	} {
		if s, ok := Value(in).String(); !ok || s != want {
			t.Errorf("%s: %q %v", in, s, ok)
		}
	}
	for _, in := range []string{`"`, `x`, `"\"`, `"\q"`, `"\u12g4"`, "\"\xff\""} {
		if s, ok := Value(in).String(); ok {
			t.Errorf("%s is the string %q", in, s)
		}
	}
	var got []string
	err := Value(`[1, "a",[]]`).Array(func(v Value) error { got = append(got, string(v)); return nil })
	if err != nil || !reflect.DeepEqual(got, []string{"1", `"a"`, "[]"}) {
		t.Error(got, err)
	}
	for _, in := range []string{"1", "[1", "[,]", "[1 2]"} {
		if err := Value(in).Array(func(Value) error { return nil }); err == nil {
			t.Errorf("%s is an array", in)
		}
	}
}

func TestAppendStringIsWhatEncodingJSONReads(t *testing.T) {
	for _, s := range []string{"", "plain", "q\"b\\n\n\x00\x1f", "é😀", "\xff\xfe"} {
		var back string
		if err := json.Unmarshal(AppendString(nil, s), &back); err != nil || back != strings.ToValidUTF8(s, "\uFFFD") && s != "\xff\xfe" {
			t.Errorf("%q: %q %v", s, back, err)
		}
		if string(AppendString(nil, []byte(s))) != string(AppendString(nil, s)) {
			t.Errorf("%q differs as bytes", s)
		}
	}
	buf, raw := make([]byte, 0, 64), []byte("client-é\n1")
	if n := testing.AllocsPerRun(100, func() { AppendString(buf, raw) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What encoding/json takes as an object, flatjson takes too, and the other way
// round, but for the depth limit and bytes that are not UTF-8.
func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":["x",{"c":null}],"d":"\u00e9"}`))
	f.Add([]byte(`{"a":-0.5e-7}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys := 0
		err := Object(b, func(_ string, v Value) error {
			keys++
			if !json.Valid(v) && !strings.Contains(string(v), `\`) {
				t.Errorf("%q is no JSON value", v)
			}
			return nil
		})
		var m map[string]json.RawMessage
		if jerr := json.Unmarshal(b, &m); jerr != nil && err == nil && !strings.Contains(string(b), `\`) && !strings.Contains(string(b), "null") {
			t.Errorf("%q: encoding/json says %v", b, jerr)
		}
	})
}
