package sql

import (
	"strings"
	"testing"
	"time"
)

// event is a message as most cases want it.
func event(payload string) Row {
	flags := &Map{}
	flags.Set("retain", BoolOf(true))
	flags.Set("dup", BoolOf(false))
	user := &Map{}
	user.Set("k1", StringOf("v1"))
	props := &Map{}
	props.Set("User-Property", ObjectOf(user))
	return Row{
		ColEvent: StringOf("message.publish"), ColID: StringOf("000B"), ColClientID: StringOf("c_steve"),
		ColUsername: StringOf("u_steve"), ColPayload: StringOf(payload), ColPeerHost: StringOf("127.0.0.1"),
		ColTopic: StringOf("t/a/b"), ColQoS: IntOf(1), ColFlags: ObjectOf(flags), ColPubProps: ObjectOf(props),
		ColTimestamp: IntOf(1700000000123),
	}
}

// show is the rows of a result as JSON lines, "-" where WHERE did not hold.
func show(t *testing.T, src string, ev Source) string {
	t.Helper()
	q, err := Compile(src, Options{Now: func() time.Time { return time.Unix(1700000000, 123456789).UTC() }})
	if err != nil {
		t.Fatalf("%s\n%v", src, err)
	}
	var r Result
	if err := q.Eval(ev, &r); err != nil {
		return "fault: " + err.Error()
	}
	if !r.Matched {
		return "-"
	}
	var lines []string
	for _, row := range r.Rows {
		lines = append(lines, string(row.AppendJSON(nil)))
	}
	return strings.Join(lines, "\n")
}

func TestSelect(t *testing.T) {
	cases := []struct{ sql, payload, want string }{
		{`SELECT clientid, qos FROM "t/#"`, ``, `{"clientid":"c_steve","qos":1}`},
		{`select payload.x as x from "t/#"`, `{"x":1}`, `{"x":1}`},
		{`SELECT payload.x.y FROM "t/#"`, `{"x":{"y":[1,2.5,"z",null,true]}}`, `{"payload":{"x":{"y":[1,2.5,"z",null,true]}}}`},
		{`SELECT payload.a, payload.b FROM "t/#"`, `{"a":1,"b":2}`, `{"payload":{"a":1,"b":2}}`},
		{`SELECT payload.x[1] as first, payload.x[-1] last FROM "t/#"`, `{"x":[1,2,3]}`, `{"first":1,"last":3}`},
		{`SELECT payload.x[2].y as y FROM "t/#"`, `{"x":[{"y":1},{"y":2}]}`, `{"y":2}`},
		{`SELECT 2 as i, payload.x[i] as y FROM "t/#"`, `{"x":[7,8,9]}`, `{"i":2,"y":8}`},
		{`SELECT payload.x[2..3] as y FROM "t/#"`, `{"x":[7,8,9]}`, `{"y":[8,9]}`},
		{`SELECT [1..3] as y, [1, 'a', 2.5] as z FROM "t/#"`, ``, `{"y":[1,2,3],"z":[1,"a",2.5]}`},
		{`SELECT payload.missing as m, 1 as one FROM "t/#"`, `{}`, `{"one":1}`},
		{`SELECT payload.x as a.b.c, 2 as a.d FROM "t/#"`, `{"x":1}`, `{"a":{"b":{"c":1},"d":2}}`},
		{`SELECT [] as a, 1 as a[0], 2 as a[-0], 3 as a[0] FROM "t/#"`, ``, `{"a":[3,1,2]}`},
		{`SELECT [1,2] as a, 9 as a[-1] FROM "t/#"`, ``, `{"a":[1,9]}`},
		{`SELECT flags.retain as r, pub_props.'User-Property'.k1 as k FROM "t/#"`, ``, `{"r":true,"k":"v1"}`},
		{`SELECT clientid as payload FROM "t/#" WHERE payload.x = 1`, `{"x":1}`, `{"payload":"c_steve"}`},
		{`SELECT payload.x as t FROM "t/#" WHERE t > 30`, `{"x":31}`, `{"t":31}`},
		{`SELECT payload.x as t FROM "t/#" WHERE t > 30`, `{"x":30}`, `-`},
		{`SELECT payload.x FROM "t/#" WHERE payload.y = 1`, `{"x":5,"y":1}`, `{"payload":{"x":5}}`},
		{`SELECT payload.x as qos FROM "t/#" WHERE qos = 5`, `{"x":5}`, `{"qos":5}`},
		{"SELECT clientid -- who\nFROM \"t/#\"", ``, `{"clientid":"c_steve"}`},
		{`SELECT payload."end" as e, payload.end as f FROM "t/#"`, `{"end":1}`, `{"e":1,"f":1}`},
		{`SELECT payload.1.2 as e FROM "t/#"`, `{"1":{"2":3}}`, `{"e":3}`},
		{`SELECT json_decode(payload).x as e FROM "t/#"`, `{"x":3}`, `{"e":3}`},
		{`SELECT "clientid" as c FROM 't/#'`, ``, `{"c":"c_steve"}`},
	}
	for _, c := range cases {
		if got := show(t, c.sql, event(c.payload)); got != c.want {
			t.Errorf("%s\npayload %s\n got %s\nwant %s", c.sql, c.payload, got, c.want)
		}
	}
}

func TestSelectAll(t *testing.T) {
	ev := Row{ColClientID: StringOf("c"), ColQoS: IntOf(2), ColTopic: StringOf("t")}
	if got, want := show(t, `SELECT *, qos + 1 as next FROM "t"`, ev), `{"clientid":"c","topic":"t","qos":2,"next":3}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := show(t, `SELECT 7 as qos, * FROM "t"`, ev), `{"qos":7,"clientid":"c","topic":"t"}`; got != want {
		t.Errorf("an alias before * stays: got %s, want %s", got, want)
	}
}

func TestForeach(t *testing.T) {
	const sensors = `{"date":"d","sensors":[{"n":"a","i":0},{"n":"b","i":1},{"n":"c","i":2}]}`
	cases := []struct{ sql, payload, want string }{
		{`FOREACH payload.sensors DO item.n as name FROM "t/#"`, sensors, "{\"name\":\"a\"}\n{\"name\":\"b\"}\n{\"name\":\"c\"}"},
		{`FOREACH payload.sensors as s DO s.n as name, clientid INCASE s.i >= 1 FROM "t/#"`, sensors,
			"{\"name\":\"b\",\"clientid\":\"c_steve\"}\n{\"name\":\"c\",\"clientid\":\"c_steve\"}"},
		{`FOREACH payload.date as d, payload.sensors as s DO d, s.i as i INCASE s.n = 'c' FROM "t/#"`, sensors, `{"d":"d","i":2}`},
		{`FOREACH payload.nothing DO item FROM "t/#"`, sensors, ``},
		{`FOREACH payload.sensors DO item.n as n FROM "t/#" WHERE qos = 2`, sensors, `-`},
		{`FOREACH split(payload, ',') DO item FROM "t/#"`, `a,b`, "{\"item\":\"a\"}\n{\"item\":\"b\"}"},
		{`FOREACH jq('.sensors[] | select(.i > 0) | {n}', payload) DO item.n as n FROM "t/#"`, sensors, "{\"n\":\"b\"}\n{\"n\":\"c\"}"},
	}
	for _, c := range cases {
		if got := show(t, c.sql, event(c.payload)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.sql, got, c.want)
		}
	}
}

func TestForeachWithoutDoYieldsAllColumnsAndTheElement(t *testing.T) {
	ev := Row{ColClientID: StringOf("c"), ColPayload: StringOf(`[1,2]`)}
	want := `{"clientid":"c","payload":"[1,2]","s":1}` + "\n" + `{"clientid":"c","payload":"[1,2]","s":2}`
	if got := show(t, `FOREACH json_decode(payload) as s FROM "t"`, ev); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestConditions(t *testing.T) {
	const payload = `{"n":5,"f":5.0,"s":"5","t":"x","b":true,"z":null,"o":{"a":1},"o2":{"a":1.0},"l":[1,2]}`
	holds := []string{
		`payload.n = 5`, `payload.n = '5'`, `payload.s = 5`, `payload.f = payload.n`, `payload.n = payload.f`, `5 < 5.5`,
		`payload.s = '5'`, `payload.t > 'w'`, `payload.b`, `payload.b = true`, `payload.b = 'true'`, `NOT false`,
		`NOT payload.n = 6`, `payload.z = 'null'`, `is_null(payload.none)`, `is_not_null(payload.z)`, `payload.none = payload.nada`,
		`payload.n != payload.none`, `payload.n <> 6`, `topic =~ 't/#'`, `topic =~ '+/a/+'`, `'t/x' =~ 't/+'`,
		`payload.n IN (1, 5)`, `payload.n not in (1, 2)`, `payload.t in ('x')`, `payload.f not in (5)`,
		`true or payload.x.y`, `not (true and false)`, `1 = 1 and 2 > 1 or false`, `false and false or true`, `not true or true`,
		`payload.l = [1, 2]`, `payload.o = payload.o2`, `payload.o < payload.l`, `payload.l < 'a'`,
		`case payload.n when 4 then false when 5 then true end`, `case when payload.n > 4 then 1 else 0 end`, `-5 < -4`, `- payload.n = -5`,
		`2 + 3 * 4 = 14`, `(2 + 3) * 4 = 20`, `7 div 2 = 3`, `7 / 2 = 3.5`, `mod(7, 2) = 1`, `10 - 3 - 2 = 5`, `'a' + 1 = 'a1'`,
		`"clientid" = 'c_steve'`, `payload.n >= 5 and payload.n <= 5`,
	}
	for _, cond := range holds {
		if got := show(t, `SELECT 1 as ok FROM "t/#" WHERE `+cond, event(payload)); got != `{"ok":1}` {
			t.Errorf("WHERE %s: %s", cond, got)
		}
	}
	for _, cond := range []string{
		`payload.n = 6`, `payload.none > 1`, `payload.none < 1`, `payload.none >= payload.none2`, `payload.none = 1`, `payload.none = payload.z`,
		`NOT payload.n`, `topic =~ 'x/#'`, `payload.none =~ 'x'`, `payload.n in ('5')`, `'5' in (5)`, `eq(1, 2)`, `not true`,
	} {
		if got := show(t, `SELECT 1 as ok FROM "t/#" WHERE `+cond, event(payload)); got != `-` {
			t.Errorf("WHERE %s: %s", cond, got)
		}
	}
}

func TestFaults(t *testing.T) {
	cases := []struct{ cond, want string }{
		{`payload.t > 5`, `"x" is not a number`},
		{`payload.t`, `a condition is true or false`},
		{`1 / 0 = 1`, `division by zero`},
		{`9223372036854775807 + 1 > 0`, `does not fit in 64 bits`},
		{`upper(5) = 'a'`, `upper(): argument 1 is a string, not integer`},
		{`payload.t - 1 = 0`, `only numbers`},
	}
	for _, c := range cases {
		got := show(t, `SELECT 1 as ok FROM "t/#" WHERE `+c.cond, event(`{"t":"x"}`))
		if !strings.HasPrefix(got, "fault: ") || !strings.Contains(got, c.want) {
			t.Errorf("WHERE %s: %s, want a fault with %q", c.cond, got, c.want)
		}
	}
	if got := show(t, `SELECT payload.x as x FROM "t/#"`, event(`{"x":`)); !strings.Contains(got, "the payload is not JSON") {
		t.Errorf("a payload that is not JSON: %s", got)
	}
	if got := show(t, `SELECT clientid FROM "t/#"`, event(`{"x":`)); got != `{"clientid":"c_steve"}` {
		t.Errorf("a payload that nobody looks into may be anything: %s", got)
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	cases := []struct{ sql, want string }{
		{``, "line 1, column 1: the statement ends where SELECT or FOREACH is wanted"},
		{`SELECT a`, `line 1, column 9: the statement ends where FROM "topic" is wanted`},
		{`SELECT a FROM t`, `line 1, column 15: a "topic" is wanted, not "t"`},
		{`SELECT a FROM "t/#/x"`, `line 1, column 15: not a topic filter`},
		{"SELECT a,\n  FROM \"t\"", `line 2, column 3: a value is wanted, not "FROM"`},
		{`SELECT uper(a) FROM "t"`, "line 1, column 8: there is no function uper (did you mean upper?)"},
		{`SELECT upper() FROM "t"`, "line 1, column 8: upper takes 1 argument, not 0"},
		{`SELECT substr('a') FROM "t"`, "substr takes 2 to 3 arguments, not 1"},
		{`SELECT a FROM "t" WHERE 1 < 2 < 3`, `line 1, column 31: AND or OR is wanted, not "<" (comparisons do not chain`},
		{`SELECT a FROM "t" GROUP BY a`, `(rules have no GROUP)`},
		{`SELECT a FROM "t";`, `line 1, column 18: ';' has no meaning here (a rule is one statement without a semicolon)`},
		{`SELECT 'a FROM "t"`, `line 1, column 8: a ' is opened and never closed`},
		{`SELECT a FROM "t" WHERE a NOT 5`, `IN is wanted, not "5"`},
		{`SELECT CASE a END FROM "t"`, `WHEN is wanted, not "END"`},
		{`SELECT a AS FROM "t"`, `a name is wanted, not "FROM"`},
		{`SELECT 99999999999999999999 FROM "t"`, `does not fit in 64 bits`},
		{`SELECT 1x FROM "t"`, `neither a number nor a name`},
		{`FOREACH * FROM "t"`, `FOREACH wants an array, not *`},
		{`SELECT [3..1] FROM "t"`, `has to go up`},
		{"SELECT " + strings.Repeat("(", 200) + "1", "nested deeper than"},
	}
	for _, c := range cases {
		_, err := Compile(c.sql, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n got %v\nwant %s", c.sql, err, c.want)
		}
	}
}

func TestQueryFacts(t *testing.T) {
	q, err := Compile(`SELECT playload.x as x, clientid FROM "t/#", '$events/client_connected' WHERE x > 1`, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(q.Topics) != 2 || q.Topics[1] != "$events/client_connected" {
		t.Errorf("topics %q", q.Topics)
	}
	if len(q.Unknown) != 1 || q.Unknown[0] != "playload" {
		t.Errorf("unknown names %q, want playload", q.Unknown)
	}
}

// A message that does not match costs no allocation; one that does only its row.
func TestAllocations(t *testing.T) {
	q, err := Compile(`SELECT payload.temp as t FROM "s/#" WHERE t > 30`, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := Result{Rows: make([]*Map, 0, 1)}
	for _, c := range []struct {
		payload string
		most    float64
	}{{`{"temp":20,"hum":40}`, 3}, {`{"temp":31,"hum":40}`, 3}} {
		var ev Source = event(c.payload)
		if n := testing.AllocsPerRun(200, func() {
			if err := q.Eval(ev, &r); err != nil {
				t.Fatal(err)
			}
		}); n > c.most {
			t.Errorf("%s: %v allocations, at most %v are allowed", c.payload, n, c.most)
		}
	}
}

func BenchmarkEval(b *testing.B) {
	payload := `{"temp":31.5,"hum":40,"id":"sensor-0001","pos":{"lat":52.1,"lon":13.2},"tags":["a","b"],"note":"` + strings.Repeat("x", 120) + `"}`
	for _, c := range []struct{ name, sql string }{
		{"match", `SELECT payload.temp as t FROM "s/#" WHERE t > 30`},
		{"no match", `SELECT payload.hum as h FROM "s/#" WHERE payload.temp > 40`},
		{"no payload", `SELECT clientid, topic FROM "s/#" WHERE qos = 1`},
	} {
		b.Run(c.name, func(b *testing.B) {
			q, err := Compile(c.sql, Options{})
			if err != nil {
				b.Fatal(err)
			}
			var ev Source = event(payload)
			var r Result
			b.ReportAllocs()
			for b.Loop() {
				if err := q.Eval(ev, &r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
