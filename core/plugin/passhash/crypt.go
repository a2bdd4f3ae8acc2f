package passhash

import (
	"crypto/sha512"
	"hash"
)

// crypt is the scheme of https://www.akkadia.org/drepper/SHA-crypt.txt; the
// numbers are its steps.
func crypt(h func() hash.Hash, password, salt []byte, rounds int) []byte {
	b := sum(h, password, salt, password) // 4-8
	a := h()                              // 1-3, 9-12
	a.Write(password)
	a.Write(salt)
	a.Write(stretch(b, len(password)))
	for n := len(password); n > 0; n >>= 1 {
		if n&1 != 0 {
			a.Write(b)
		} else {
			a.Write(password)
		}
	}
	c := a.Sum(nil)
	dp := h() // 13-16
	for range password {
		dp.Write(password)
	}
	p := stretch(dp.Sum(nil), len(password))
	ds := h() // 17-20
	for range 16 + int(c[0]) {
		ds.Write(salt)
	}
	s := stretch(ds.Sum(nil), len(salt))
	for i := range rounds { // 21
		r := h()
		first, last := c, p
		if i&1 != 0 {
			first, last = p, c
		}
		r.Write(first)
		if i%3 != 0 {
			r.Write(s)
		}
		if i%7 != 0 {
			r.Write(p)
		}
		r.Write(last)
		c = r.Sum(nil)
	}
	return c
}

func sum(h func() hash.Hash, parts ...[]byte) []byte {
	d := h()
	for _, p := range parts {
		d.Write(p)
	}
	return d.Sum(nil)
}

// stretch repeats b to n bytes.
func stretch(b []byte, n int) []byte {
	out := make([]byte, 0, n+len(b))
	for len(out) < n {
		out = append(out, b...)
	}
	return out[:n]
}

const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// encodeCrypt writes a sum as step 22 has it: groups of three bytes whose places
// rotate.
func encodeCrypt(c []byte) string {
	var out []byte
	group := func(a, b, d byte, n int) {
		for v := uint(a)<<16 | uint(b)<<8 | uint(d); n > 0; n-- {
			out = append(out, cryptAlphabet[v&63])
			v >>= 6
		}
	}
	if len(c) == sha512.Size {
		x, y, z := 0, 21, 42
		for range 21 {
			group(c[x], c[y], c[z], 4)
			x, y, z = y+1, z+1, x+1
		}
		group(0, 0, c[63], 2)
		return string(out)
	}
	x, y, z := 0, 10, 20
	for range 10 {
		group(c[x], c[y], c[z], 4)
		x, y, z = z+1, x+1, y+1
	}
	group(0, c[31], c[30], 3)
	return string(out)
}
