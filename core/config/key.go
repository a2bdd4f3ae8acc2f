package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// key is one row of a section's table: what docs/configuration.md shows and
// what the loader applies are the same row.
type key[T any] struct {
	name string
	setter[T]
	def string // the default as a file would write it; "" leaves the zero value
	doc string
}

// setter checks a value and puts it into its field.
type setter[T any] struct {
	kind string // what to write, for the documentation
	set  func(*T, value) error
}

// table is the rows of one section, found by name.
type table[T any] []key[T]

func (t table[T]) find(name string) (key[T], bool) {
	i := slices.IndexFunc(t, func(k key[T]) bool { return k.name == name })
	if i < 0 {
		return key[T]{}, false
	}
	return t[i], true
}

func (t table[T]) names() []string {
	names := make([]string, len(t))
	for i, k := range t {
		names[i] = k.name
	}
	return names
}

// defaults fills every field that has a default. A default that its own setter
// refuses is a broken table: it panics, and a test applies every table.
func (t table[T]) defaults(to *T) {
	for _, k := range t {
		if k.def == "" {
			continue
		}
		if err := k.set(to, value{text: k.def}); err != nil {
			panic(fmt.Sprintf("config: the default of %s: %v", k.name, err))
		}
	}
}

func duration[T any](field func(*T) *time.Duration) setter[T] {
	return setter[T]{"duration", func(to *T, v value) error {
		d, err := parseDuration(v.text)
		if err == nil {
			*field(to) = d
		}
		return err
	}}
}

type integer interface {
	~int | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// number reads an integer from lo to hi.
func number[T any, N integer](field func(*T) *N, lo, hi int64) setter[T] {
	kind := fmt.Sprintf("%d..%d", lo, hi)
	return setter[T]{kind, func(to *T, v value) error {
		n, err := strconv.ParseInt(v.text, 10, 64)
		if err != nil || n < lo || n > hi {
			return fmt.Errorf("%q is not a number from %d to %d", v.text, lo, hi)
		}
		*field(to) = N(n)
		return nil
	}}
}

// size reads a number of bytes from lo to hi.
func size[T any, N integer](field func(*T) *N, lo, hi int64) setter[T] {
	return setter[T]{"bytes", func(to *T, v value) error {
		n, err := parseBytes(v.text)
		if err != nil {
			return err
		}
		if n < lo || n > hi {
			return fmt.Errorf("%q is not a size from %d to %d bytes", v.text, lo, hi)
		}
		*field(to) = N(n)
		return nil
	}}
}

// seconds reads a duration that the protocol carries in whole seconds; "never"
// is 0xFFFFFFFF.
func seconds[T any, N integer](field func(*T) *N, hi int64) setter[T] {
	return setter[T]{"duration", func(to *T, v value) error {
		if v.text == "never" && hi == neverSeconds {
			*field(to) = N(hi)
			return nil
		}
		d, err := parseDuration(v.text)
		if err != nil {
			return err
		}
		s := int64(d / time.Second)
		if s > hi || d%time.Second != 0 {
			return fmt.Errorf("%q is not a whole number of seconds up to %d", v.text, hi)
		}
		*field(to) = N(s)
		return nil
	}}
}

// neverSeconds is the protocol's interval that does not end [MQTT-3.1.2-23].
const neverSeconds = 0xFFFFFFFF

func toggle[T any](field func(*T) *bool) setter[T] {
	return setter[T]{"flag", func(to *T, v value) error {
		b, err := parseFlag(v.text)
		if err == nil {
			*field(to) = b
		}
		return err
	}}
}

// fraction reads a number from lo to hi, also as a percentage.
func fraction[T any](field func(*T) *float64, lo, hi float64) setter[T] {
	return setter[T]{"fraction", func(to *T, v value) error {
		f, err := parseFraction(v.text)
		if err != nil {
			return err
		}
		if f < lo || f > hi {
			return fmt.Errorf("%q is not a number from %g to %g", v.text, lo, hi)
		}
		*field(to) = f
		return nil
	}}
}

func text[T any](field func(*T) *string) setter[T] {
	return setter[T]{"text", func(to *T, v value) error {
		*field(to) = v.text
		return nil
	}}
}

func list[T any](field func(*T) *[]string) setter[T] {
	return setter[T]{"list", func(to *T, v value) error {
		*field(to) = v.elements()
		return nil
	}}
}

// choice reads one of a few words.
func choice[T, E any](field func(*T) *E, words map[string]E) setter[T] {
	known := slices.Sorted(maps.Keys(words))
	return setter[T]{strings.Join(known, ", "), func(to *T, v value) error {
		e, ok := words[strings.ToLower(v.text)]
		if !ok {
			hint := ""
			if near, ok := nearest(v.text, known); ok {
				hint = fmt.Sprintf("; did you mean %q?", near)
			}
			return fmt.Errorf("%q is none of %s%s", v.text, strings.Join(known, ", "), hint)
		}
		*field(to) = e
		return nil
	}}
}

// onOff are the words of a flag that a choice accepts for two of its values.
func onOff[E any](on, off E, more map[string]E) map[string]E {
	words := map[string]E{"true": on, "on": on, "false": off, "off": off}
	maps.Copy(words, more)
	return words
}
