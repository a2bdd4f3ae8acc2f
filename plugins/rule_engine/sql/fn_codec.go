package sql

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/big"
	"time"

	"github.com/google/uuid"
	"github.com/itchyny/gojq"
)

var codecFunctions = map[string]function{
	"md5":    onText(func(s string) Value { h := md5.Sum([]byte(s)); return StringOf(hex.EncodeToString(h[:])) }),
	"sha":    onText(func(s string) Value { h := sha1.Sum([]byte(s)); return StringOf(hex.EncodeToString(h[:])) }),
	"sha256": onText(func(s string) Value { h := sha256.Sum256([]byte(s)); return StringOf(hex.EncodeToString(h[:])) }),

	"gzip":           packing(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }),
	"gunzip":         unpacking(func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }),
	"zip":            packing(deflating),
	"unzip":          unpacking(func(r io.Reader) (io.Reader, error) { return flate.NewReader(r), nil }),
	"zip_compress":   packing(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }),
	"zip_uncompress": unpacking(func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }),

	"base64_encode": onText(func(s string) Value { return StringOf(base64.StdEncoding.EncodeToString([]byte(s))) }),
	"base64_decode": pure(1, 1, func(args []Value) (Value, error) {
		s, err := text(args, 0)
		if err != nil {
			return Value{}, err
		}
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return Value{}, errorf("%s is not base64", clip(s))
		}
		return StringOf(string(b)), nil
	}),
	"json_encode": onValue(encodeJSON), "json_decode": onValue(decodeJSON),
	"term_encode": onValue(encodeJSON), "term_decode": onValue(decodeJSON),
	"jq": pure(2, 3, jq),

	"uuid_v4":           {call: func(*env, []Value) (Value, error) { return newUUID(false) }},
	"uuid_v4_no_hyphen": {call: func(*env, []Value) (Value, error) { return newUUID(true) }},
}

func encodeJSON(v Value) (Value, error) { return StringOf(string(AppendJSON(nil, v))), nil }

func decodeJSON(v Value) (Value, error) {
	if v.kind != String {
		return Value{}, errorf("argument 1 is a string, not %s", v.kind)
	}
	return DecodeJSON(v.str)
}

func newUUID(plain bool) (Value, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return Value{}, errorf("%v", err)
	}
	if plain {
		return StringOf(hex.EncodeToString(id[:])), nil
	}
	return StringOf(id.String()), nil
}

func deflating(w io.Writer) io.WriteCloser {
	f, err := flate.NewWriter(w, flate.DefaultCompression)
	if err != nil {
		panic("sql: the default level of compression is no level: " + err.Error())
	}
	return f
}

func packing(open func(io.Writer) io.WriteCloser) function {
	return pure(1, 1, func(args []Value) (Value, error) {
		s, err := text(args, 0)
		if err != nil {
			return Value{}, err
		}
		var b bytes.Buffer
		w := open(&b)
		if _, err = io.WriteString(w, s); err == nil {
			err = w.Close()
		}
		if err != nil {
			return Value{}, errorf("%v", err)
		}
		return StringOf(b.String()), nil
	})
}

// unpacking reads at most MaxText bytes: a small input can unpack to gigabytes.
func unpacking(open func(io.Reader) (io.Reader, error)) function {
	return pure(1, 1, func(args []Value) (Value, error) {
		s, err := text(args, 0)
		if err != nil {
			return Value{}, err
		}
		r, err := open(bytes.NewReader([]byte(s)))
		if err != nil {
			return Value{}, errorf("%v", err)
		}
		b, err := io.ReadAll(io.LimitReader(r, MaxText+1))
		if err != nil {
			return Value{}, errorf("%v", err)
		}
		if len(b) > MaxText {
			return Value{}, tooLong(len(b))
		}
		return StringOf(string(b)), nil
	})
}

// The limits of jq().
const (
	jqTime    = time.Second // unless the third argument says milliseconds
	maxJQTime = 30_000
	jqResults = 10_000
)

// jq is jq(program, value or JSON text[, milliseconds]): an array of results.
func jq(args []Value) (Value, error) {
	program, err := text(args, 0)
	if err != nil {
		return Value{}, err
	}
	limit := jqTime
	if len(args) == 3 {
		ms, err := whole(args, 2)
		if err != nil || ms < 1 || ms > maxJQTime {
			return Value{}, errorf("argument 3 is milliseconds from 1 to %d", maxJQTime)
		}
		limit = time.Duration(ms) * time.Millisecond
	}
	query, err := gojq.Parse(program)
	if err != nil {
		return Value{}, errorf("%v", err)
	}
	in := args[1]
	if in.kind == String {
		if in, err = DecodeJSON(in.str); err != nil {
			return Value{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var out []Value
	for it := query.RunWithContext(ctx, toAny(in)); ; {
		got, ok := it.Next()
		if !ok {
			return ArrayOf(out), nil
		}
		if err, failed := got.(error); failed {
			return Value{}, errorf("%v", err)
		}
		if len(out) == jqResults {
			return Value{}, errorf("more than %d results", jqResults)
		}
		v, err := fromAny(got)
		if err != nil {
			return Value{}, err
		}
		out = append(out, v)
	}
}

// toAny is a value as gojq takes it.
func toAny(v Value) any {
	switch v.kind {
	case Int:
		return int(v.num)
	case Float:
		return v.Float()
	case Bool:
		return v.True()
	case String:
		return v.str
	case Array:
		items := make([]any, len(v.ref.items))
		for i, item := range v.ref.items {
			items[i] = toAny(item)
		}
		return items
	case Object:
		m := make(map[string]any, v.ref.m.Len())
		for i, k := range v.ref.m.keys {
			m[k] = toAny(v.ref.m.vals[i])
		}
		return m
	}
	return nil
}

// fromAny is what gojq has made.
func fromAny(x any) (Value, error) {
	switch x := x.(type) {
	case int:
		return IntOf(int64(x)), nil
	case float64:
		return FloatOf(x), nil
	case *big.Int:
		f, _ := new(big.Float).SetInt(x).Float64()
		return checked(f)
	case string:
		return StringOf(x), nil
	}
	b, err := json.Marshal(x)
	if err != nil {
		return Value{}, errorf("%v", err)
	}
	return DecodeJSON(string(b))
}
