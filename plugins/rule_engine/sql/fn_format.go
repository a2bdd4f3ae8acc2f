package sql

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// sprintf formats as Erlang's io_lib:format: ~s ~p ~w ~b ~f ~e ~g ~c ~n ~~, with
// ~Width.PrecisionX.
func sprintf(args []Value) (Value, error) {
	format, err := text(args, 0)
	if err != nil {
		return Value{}, err
	}
	args = args[1:]
	var b strings.Builder
	for format != "" {
		plain, rest, found := strings.Cut(format, "~")
		b.WriteString(plain)
		if !found {
			break
		}
		d, more, err := readDirective(rest)
		if err != nil {
			return Value{}, err
		}
		format = more
		switch d.verb {
		case '~':
			b.WriteByte('~')
			continue
		case 'n':
			b.WriteByte('\n')
			continue
		}
		if len(args) == 0 {
			return Value{}, errorf("the format wants more arguments")
		}
		s, err := d.text(args[0])
		if err != nil {
			return Value{}, err
		}
		args = args[1:]
		b.WriteString(d.field(s))
		if b.Len() > MaxText {
			return Value{}, tooLong(b.Len())
		}
	}
	if len(args) > 0 {
		return Value{}, errorf("%d arguments are not in the format", len(args))
	}
	return StringOf(b.String()), nil
}

// directive is what stands behind ~.
type directive struct {
	width, precision int // -1: none
	left             bool
	verb             byte
}

func readDirective(s string) (d directive, rest string, err error) {
	d.width, d.precision = -1, -1
	i := 0
	number := func() int {
		from := i
		i = digits(s, i)
		n, err := strconv.Atoi(s[from:i])
		if err != nil {
			return -1
		}
		return min(n, 1000)
	}
	if strings.HasPrefix(s, "-") {
		d.left = true
		i++
	}
	d.width = number()
	if i < len(s) && s[i] == '.' {
		i++
		d.precision = number()
	}
	if i < len(s) && s[i] == 't' { // ~ts: all text is UTF-8 here
		i++
	}
	if i == len(s) {
		return d, "", errorf("the format ends within ~")
	}
	d.verb = s[i]
	return d, s[i+1:], nil
}

// text is the argument as the directive writes it.
func (d directive) text(v Value) (string, error) {
	digits := d.precision
	if digits < 0 {
		digits = 6
	}
	switch d.verb {
	case 's':
		s := v.Text()
		if d.precision >= 0 && d.precision < len(s) {
			s = string([]rune(s)[:min(d.precision, len([]rune(s)))])
		}
		return s, nil
	case 'p', 'w':
		if v.kind == String {
			return string(appendQuoted(nil, v.str)), nil
		}
		return v.Text(), nil
	case 'b', 'B', 'c':
		if v.kind != Int {
			return "", errorf("~%c wants a whole number, not %s", d.verb, v.kind)
		}
		if d.verb == 'c' {
			return string(rune(v.num)), nil
		}
		return strconv.FormatInt(v.num, 10), nil
	case 'f', 'e', 'g':
		if !v.number() {
			return "", errorf("~%c wants a number, not %s", d.verb, v.kind)
		}
		return strconv.FormatFloat(v.Float(), d.verb, digits, 64), nil
	}
	return "", errorf("~%c has no meaning: ~s ~p ~w ~b ~f ~e ~g ~c ~n ~~", d.verb)
}

func (d directive) field(s string) string {
	lack := d.width - len([]rune(s))
	switch {
	case lack <= 0:
		return s
	case d.left:
		return s + strings.Repeat(" ", lack)
	}
	return strings.Repeat(" ", lack) + s
}

// patterns keeps compiled regular expressions; they nearly always are constants
// of a statement.
var patterns struct {
	sync.RWMutex
	m map[string]*regexp.Regexp // guarded by the mutex; at most maxPatterns
}

const maxPatterns = 1024

// pattern compiles a regular expression: RE2's syntax, so that no pattern takes
// more than linear time (EMQ X has PCRE's).
func pattern(s string) (*regexp.Regexp, error) {
	patterns.RLock()
	re := patterns.m[s]
	patterns.RUnlock()
	if re != nil {
		return re, nil
	}
	re, err := regexp.Compile(s)
	if err != nil {
		return nil, errorf("%v", err)
	}
	patterns.Lock()
	defer patterns.Unlock()
	if patterns.m == nil || len(patterns.m) >= maxPatterns {
		patterns.m = map[string]*regexp.Regexp{}
	}
	patterns.m[s] = re
	return re, nil
}

func regexMatch(_ *env, args []Value) (Value, error) {
	s, err := text(args, 0)
	if err != nil {
		return Value{}, err
	}
	p, err := text(args, 1)
	if err != nil {
		return Value{}, err
	}
	re, err := pattern(p)
	if err != nil {
		return Value{}, err
	}
	return BoolOf(re.MatchString(s)), nil
}

func regexReplace(_ *env, args []Value) (Value, error) {
	var parts [3]string
	for i := range parts {
		var err error
		if parts[i], err = text(args, i); err != nil {
			return Value{}, err
		}
	}
	re, err := pattern(parts[1])
	if err != nil {
		return Value{}, err
	}
	if size := len(parts[0]) + (len(parts[0])+1)*len(parts[2]); size > MaxText {
		return Value{}, tooLong(size)
	}
	return StringOf(re.ReplaceAllString(parts[0], template(parts[2]))), nil
}

// template turns Erlang's & and \1 into ${0} and ${1}.
func template(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '$':
			b.WriteString("$$")
		case c == '&':
			b.WriteString("${0}")
		case c == '\\' && i+1 < len(s):
			i++
			if digit(s[i]) {
				b.WriteString("${" + s[i:i+1] + "}")
			} else {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
