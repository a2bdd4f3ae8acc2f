package sql

import (
	"regexp"
	"strings"
	"testing"
	"unsafe"
)

// Each expression and what it yields, as JSON. The values are those of EMQ X 4's
// functions (emqx4 §7.3).
var functionCases = map[string][][2]string{
	"message": {
		{`msgid()`, `"000B"`}, {`qos()`, `1`}, {`topic()`, `"t/a/b"`}, {`topic(2)`, `"a"`}, {`topic(9)`, `null`}, {`flags()`, `{"retain":true,"dup":false}`},
		{`flag('retain')`, `true`}, {`clientid()`, `"c_steve"`}, {`clientip()`, `"127.0.0.1"`}, {`peerhost()`, `"127.0.0.1"`},
		{`username()`, `"u_steve"`}, {`payload('a.b')`, `7`}, {`null()`, `null`},
		{`contains_topic(['t/a', 't/a/b'], topic)`, `true`}, {`contains_topic(['t/#'], topic)`, `false`},
		{`contains_topic_match(['t/#'], topic)`, `true`}, {`contains_topic_match(payload.subs, topic, 1)`, `true`},
		{`contains_topic_match(payload.subs, topic, 2)`, `false`},
	},
	"math": {
		{`abs(-5)`, `5`}, {`abs(-5.5)`, `5.5`}, {`ceil(1.2)`, `2`}, {`floor(-1.2)`, `-2`}, {`round(2.5)`, `3`}, {`round(7)`, `7`}, {`power(2, 10)`, `1024.0`},
		{`sqrt(16)`, `4.0`}, {`fmod(7, 4)`, `3.0`}, {`log2(8)`, `3.0`}, {`log10(1000)`, `3.0`}, {`log(1)`, `0.0`}, {`exp(0)`, `1.0`}, {`sin(0)`, `0.0`},
		{`cos(0)`, `1.0`}, {`tan(0)`, `0.0`}, {`asin(0)`, `0.0`}, {`acos(1)`, `0.0`}, {`atan(0)`, `0.0`}, {`sinh(0)`, `0.0`}, {`cosh(0)`, `1.0`},
		{`tanh(0)`, `0.0`}, {`asinh(0)`, `0.0`}, {`acosh(1)`, `0.0`}, {`atanh(0)`, `0.0`}, {`mod(-7, 2)`, `-1`}, {`eq('a', 'a')`, `true`},
		{`eq(1, 1.0)`, `true`}, {`random() < 1`, `true`},
	},
	"bits": {
		{`bitand(6, 3)`, `2`}, {`bitor(6, 3)`, `7`}, {`bitxor(6, 3)`, `5`}, {`bitnot(0)`, `-1`}, {`bitsl(1, 8)`, `256`}, {`bitsr(256, 8)`, `1`},
		{`bitsize('abc')`, `24`}, {`subbits('abc', 8)`, `97`}, {`subbits('abc', 9, 8)`, `98`}, {`subbits('abc', 1, 16)`, `24930`},
		{`subbits('abc', 1, 16, 'integer', 'unsigned', 'little')`, `25185`}, {`subbits(hexstr2bin('FF'), 1, 8, 'integer', 'signed')`, `-1`},
		{`subbits(hexstr2bin('3F800000'), 1, 32, 'float')`, `1.0`}, {`subbits('abc', 9, 8, 'bits')`, `"b"`}, {`subbits('abc', 99, 8)`, `null`},
	},
	"type": {
		{`str(5)`, `"5"`}, {`str(1.50)`, `"1.5"`}, {`str(true)`, `"true"`}, {`str(payload.a)`, `"{\"b\":7}"`}, {`str_utf8('ü')`, `"ü"`}, {`bool('true')`, `true`}, {`bool(0)`, `false`},
		{`int('5')`, `5`}, {`int('5.9')`, `5`}, {`int(5.9)`, `5`}, {`int(true)`, `1`}, {`float('1.5')`, `1.5`}, {`float(2)`, `2.0`}, {`float2str(1.23456, 2)`, `"1.23"`},
		{`float2str(20.2, 10)`, `"20.2"`}, {`map('{"a":1}')`, `{"a":1}`}, {`bin2hexstr('abc')`, `"616263"`}, {`hexstr2bin('616263')`, `"abc"`},
		{`is_str('a')`, `true`}, {`is_bool(1)`, `false`}, {`is_int(1)`, `true`}, {`is_float(1)`, `false`}, {`is_num(1.5)`, `true`}, {`is_map(payload.a)`, `true`},
		{`is_array(payload.subs)`, `true`}, {`is_null_var(payload.nil)`, `true`}, {`is_not_null_var(payload.nil)`, `false`}, {`is_null(payload.nil)`, `false`},
	},
	"string": {
		{`lower('AbC')`, `"abc"`}, {`upper('abc')`, `"ABC"`}, {`trim('  a ')`, `"a"`}, {`ltrim('  a ')`, `"a "`}, {`rtrim(' a ')`, `" a"`}, {`reverse('abc')`, `"cba"`},
		{`strlen('äb')`, `2`}, {`substr('abcdef', 2)`, `"cdef"`}, {`substr('abcdef', 1, 3)`, `"bcd"`}, {`substr('abc', -2)`, `"bc"`}, {`substr('abc', 9)`, `""`},
		{`split('a/b//c', '/')`, `["a","b","c"]`}, {`split('a/b//c', '/', 'notrim')`, `["a","b","","c"]`}, {`split('a/b/c', '/', 'leading')`, `["a","b/c"]`},
		{`split('a/b/c', '/', 'trailing')`, `["a/b","c"]`}, {`split('/a', '/', 'leading_notrim')`, `["","a"]`}, {`split('a/', '/', 'trailing_notrim')`, `["a",""]`},
		{`tokens(' a, b;c', ' ,;')`, `["a","b","c"]`}, {`concat('a', 'b')`, `"ab"`}, {`concat('a', 1, true)`, `"a1true"`}, {`join_to_string('-', [1,'a'])`, `"1-a"`},
		{`sprintf('hello ~s! ~b ~.2f~~', 'x', 5, 1.239)`, `"hello x! 5 1.24~"`}, {`sprintf('~5s|~-5s|~p', 'a', 'b', 'c')`, `"    a|b    |\"c\""`},
		{`pad('a', 3)`, `"a  "`}, {`pad('a', 3, 'leading')`, `"  a"`}, {`pad('a', 4, 'both', '*')`, `"*a**"`}, {`replace('abab', 'a', 'x')`, `"xbxb"`},
		{`replace('abab', 'a', 'x', 'leading')`, `"xbab"`}, {`replace('abab', 'a', 'x', 'trailing')`, `"abxb"`}, {`regex_match('abc123', '^[a-z]+\d+$')`, `true`},
		{`regex_match('abc', '^\d')`, `false`}, {`regex_replace('ab12', '(\d)', '<\1>')`, `"ab<1><2>"`}, {`regex_replace('ab', 'b', '[&$]')`, `"a[b$]"`}, {`ascii('a')`, `97`},
		{`find('eeabcabcee', 'abc')`, `"abcabcee"`}, {`find('eeabcabcee', 'abc', 'trailing')`, `"abcee"`}, {`find('a', 'x')`, `""`},
	},
	"map and array": {
		{`map_new()`, `{}`}, {`map_get('a.b', payload)`, `7`}, {`map_get('a', map('{"a":1}'))`, `1`}, {`map_get('x', map_new(), 'd')`, `"d"`}, {`map_put('a.b', 1, map_new())`, `{"a":{"b":1}}`},
		{`mget('a.b', map('{"a.b":1}'))`, `1`}, {`mget('x', map_new(), 2)`, `2`}, {`mput('a.b', 1, map_new())`, `{"a.b":1}`}, {`map_keys(map('{"k":1}'))`, `["k"]`},
		{`map_values(map('{"k":1}'))`, `[1]`}, {`nth(2, [1,2,3])`, `2`}, {`length([1,2])`, `2`}, {`sublist(2, [1,2,3])`, `[1,2]`}, {`sublist(2, 5, [1,2,3])`, `[2,3]`},
		{`first([1,2])`, `1`}, {`last([1,2])`, `2`}, {`contains(2, [1,2])`, `true`}, {`contains(2, [1,2.0])`, `false`},
	},
	"codec": {
		{`md5('abc')`, `"900150983cd24fb0d6963f7d28e17f72"`}, {`sha('abc')`, `"a9993e364706816aba3e25717850c26c9cd0d89d"`},
		{`sha256('abc')`, `"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"`},
		{`gunzip(gzip('abc'))`, `"abc"`}, {`unzip(zip('abc'))`, `"abc"`}, {`zip_uncompress(zip_compress('abc'))`, `"abc"`}, {`base64_encode('abc')`, `"YWJj"`},
		{`base64_decode('YWJj')`, `"abc"`}, {`json_encode([1,'a'])`, `"[1,\"a\"]"`}, {`json_decode('{"a":[1]}')`, `{"a":[1]}`}, {`term_decode(term_encode([1]))`, `[1]`},
		{`jq('.[] + 1', '[1,2]')`, `[2,3]`}, {`jq('.a', map('{"a":{"b":1}}'), 100)`, `[{"b":1}]`}, {`strlen(uuid_v4())`, `36`}, {`strlen(uuid_v4_no_hyphen())`, `32`},
	},
	"store": {
		{`kv_store_get('none')`, `null`}, {`kv_store_get('none', 5)`, `5`}, {`[kv_store_put('k', 1), kv_store_get('k'), kv_store_del('k'), kv_store_get('k')]`, `[1,1,null,null]`},
		{`[proc_dict_put('k', 2), proc_dict_get('k'), kv_store_get('k'), proc_dict_del('k'), proc_dict_get('k')]`, `[2,2,null,null,null]`},
	},
	"date": {
		{`now_rfc3339()`, `"2023-11-14T22:13:20Z"`}, {`now_rfc3339('millisecond')`, `"2023-11-14T22:13:20.123Z"`}, {`now_timestamp()`, `1700000000`},
		{`now_timestamp('microsecond')`, `1700000000123456`}, {`rfc3339_to_unix_ts('2023-11-14T22:13:20Z')`, `1700000000`},
		{`rfc3339_to_unix_ts('2023-11-15 06:13:20.5+08:00', 'millisecond')`, `1700000000500`}, {`timezone_to_second('+08:00')`, `28800`}, {`timezone_to_second('-01:30')`, `-5400`},
		{`format_date('second', '+02:00', '%Y-%m-%d %H:%M:%S %z', 1700000000)`, `"2023-11-15 00:13:20 +0200"`},
		{`format_date('millisecond', 'Z', '%H:%M:%S.%3N%:z', 1700000000123)`, `"22:13:20.123+00:00"`}, {`format_date('nanosecond', 0, '%S.%6N')`, `"20.123456"`},
		{`date_to_unix_ts('second', '%Y-%m-%d %H:%M:%S', '2023-11-14 22:13:20')`, `1700000000`},
		{`date_to_unix_ts('second', '+02:00', '%Y-%m-%d %H:%M:%S', '2023-11-15 00:13:20')`, `1700000000`},
		{`date_to_unix_ts('millisecond', '%Y-%m-%d %H:%M:%S.%3N%:z', '2023-11-15 00:13:20.250+02:00')`, `1700000000250`}, {`mongo_date(1700000000, 'second')`, `{"$date":1700000000000}`},
	},
}

const functionPayload = `{"a":{"b":7},"nil":null,"subs":[{"topic":"t/#","qos":1}]}`

func TestFunctions(t *testing.T) {
	used := map[string]bool{}
	for family, cases := range functionCases {
		t.Run(family, func(t *testing.T) {
			for _, c := range cases {
				for _, name := range regexp.MustCompile(`([a-z0-9_]+)\(`).FindAllStringSubmatch(c[0], -1) {
					used[name[1]] = true
				}
				want := `{"v":` + c[1] + `}`
				if c[1] == "null" {
					want = `{}`
				}
				if got := show(t, "SELECT "+c[0]+` as v FROM "t/#"`, event(functionPayload)); got != want {
					t.Errorf("%s\n got %s\nwant %s", c[0], got, want)
				}
			}
		})
	}
	for _, name := range Functions() {
		if !used[name] {
			switch name {
			case "payload", "is_not_null", "unix_ts_to_rfc3339": // in the tests of conditions and below
			default:
				t.Errorf("%s() has no case", name)
			}
		}
	}
	if got := show(t, `SELECT unix_ts_to_rfc3339(1700000000123, 'millisecond') as a, payload() as p FROM "t"`, event("x")); got != `{"a":"2023-11-14T22:13:20.123Z","p":"x"}` {
		t.Error(got)
	}
}

func TestFunctionFaults(t *testing.T) {
	cases := [][2]string{
		{`nth(5, [1])`, "element 5 of 1"}, {`first([])`, "the array is empty"}, {`int('x')`, `"x" is not a number`}, {`int('0x10')`, "is not a number"}, {`float('inf')`, "is not a number"},
		{`map('[1]')`, "array is no map"}, {`sprintf('~s')`, "wants more arguments"}, {`sprintf('a', 1)`, "are not in the format"}, {`sprintf('~q', 1)`, "~q has no meaning"}, {`sprintf('~')`, "ends within ~"},
		{`regex_match('a', '(')`, "missing closing )"}, {`base64_decode('!')`, "is not base64"}, {`hexstr2bin('zz')`, "not hexadecimal"}, {`gunzip('abc')`, "EOF"},
		{`json_decode('{')`, "not JSON"}, {`now_timestamp('year')`, "the unit is second"}, {`format_date('second', 'x', '%Y')`, "is no offset"}, {`sqrt(-1)`, "the result is no number"},
		{`date_to_unix_ts('second', '%Y-%m-%d', '2023-02-30')`, "is not in the format"}, {`bitsl(1, 63)`, "does not fit"}, {`subbits('abc', 0, 1)`, "counts from 1"}, {`jq('.a', '{', 5)`, "not JSON"},
		{`jq('def f: f; f', '1', 20)`, "deadline exceeded"}, {`pad('a', 99999999999)`, "at most"}, {`replace(pad('', 3000000, 'leading', 'a'), 'a', 'bb')`, "at most"}, {`floor(1e300)`, "does not fit"},
		{`split('a', 'b', 'middle')`, "the mode is"}, {`find('a', 'b', 'x')`, "the direction is"}, {`substr(1, 2)`, "is a string, not integer"}, {`abs('a')`, "wants a number"},
	}
	for _, c := range cases {
		got := show(t, "SELECT "+c[0]+` as v FROM "t/#"`, event(functionPayload))
		if !strings.HasPrefix(got, "fault: ") || !strings.Contains(got, c[1]) {
			t.Errorf("%s: %s, want a fault with %q", c[0], got, c[1])
		}
	}
}

// A bomb of a few kilobytes does not unpack to a gigabyte.
func TestUnpackingIsBounded(t *testing.T) {
	bomb := `gzip(pad('', 4000000))`
	if got := show(t, `SELECT strlen(gunzip(`+bomb+`)) as n FROM "t"`, event("")); got != `{"n":4000000}` {
		t.Fatal(got)
	}
	v, err := functions["gzip"].call(nil, []Value{StringOf(strings.Repeat("a", MaxText+1))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = functions["gunzip"].call(nil, []Value{v}); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("unpacking more than MaxText: %v", err)
	}
}

func TestStoreIsBounded(t *testing.T) {
	s := NewStore(2)
	for _, k := range []string{"a", "b", "a"} {
		if err := s.put(k, IntOf(1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.put("c", IntOf(1)); err == nil {
		t.Error("a third key was taken by a store of two")
	}
	s.del("a")
	if err := s.put("c", IntOf(1)); err != nil {
		t.Errorf("after a deletion: %v", err)
	}
}

// TestStoreKeepsItsOwn: what is stored does not change with the event that it came of.
func TestStoreKeepsItsOwn(t *testing.T) {
	q, err := Compile(`SELECT kv_store_put('k', payload.a) as x, kv_store_put('l', map_get('a', payload)) as y FROM "t"`, Options{})
	if err != nil {
		t.Fatal(err)
	}
	get, err := Compile(`SELECT kv_store_get('k') as k, kv_store_get('l') as l FROM "t"`, Options{Store: storeOf(q)})
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte(`{"a": {"b": ["text", "more"], "c": "d"}}`)
	var r Result
	if err := q.Eval(Row{ColPayload: StringOf(unsafe.String(&payload[0], len(payload)))}, &r); err != nil {
		t.Fatal(err)
	}
	for i := range payload {
		payload[i] = 'x'
	}
	if err := get.Eval(Row{}, &r); err != nil {
		t.Fatal(err)
	}
	const want = `{"b":["text","more"],"c":"d"}`
	if got := string(r.Rows[0].AppendJSON(nil)); got != `{"k":`+want+`,"l":`+want+`}` {
		t.Errorf("kept %s", got)
	}
}

// storeOf is the store of a query without one of its own.
func storeOf(q *Query) *Store { return q.envs.Get().(*env).vars }
