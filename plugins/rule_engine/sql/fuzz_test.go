package sql

import (
	"testing"

	"github.com/tidwall/gjson"
)

// No statement and no payload ends the process, and a statement that compiles
// evaluates to something that is JSON.
func FuzzCompileAndEval(f *testing.F) {
	for _, cases := range functionCases {
		for _, c := range cases {
			f.Add("SELECT "+c[0]+` as v FROM "t/#"`, functionPayload)
		}
	}
	f.Add(`FOREACH payload.s as s DO s.a as a.b[1], * INCASE s.i >= 1 FROM "t/#" WHERE not topic =~ 't/+' or qos in (1,2)`, `{"s":[{"i":1}]}`)
	f.Add(`SELECT case payload.x when 1 then [1..3] else payload.y[2..3] end FROM "a","b"`, `{"x":2,"y":[1,2,3]}`)
	f.Fuzz(func(t *testing.T, src, payload string) {
		if len(src) > 300 || len(payload) > 300 {
			return
		}
		q, err := Compile(src, Options{})
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without a text")
			}
			return
		}
		var r Result
		if q.Eval(event(payload), &r) != nil {
			return
		}
		for _, row := range r.Rows {
			if out := string(row.AppendJSON(nil)); !gjson.Valid(out) {
				t.Fatalf("%s\nyields %s", src, out)
			}
		}
	})
}
