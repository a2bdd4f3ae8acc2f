package contract

import "strconv"

// fault makes an error of texts, numbers and errors, which it wraps. The
// package runs in guests, where package fmt would cost 0.8 MB of module.
func fault(parts ...any) error {
	f := &faultError{}
	var text []byte
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			text = append(text, p...)
		case int:
			text = strconv.AppendInt(text, int64(p), 10)
		case uint32:
			text = strconv.AppendUint(text, uint64(p), 10)
		case byte: // a reason code
			text = append(text, "0x"...)
			text = strconv.AppendUint(text, uint64(p), 16)
		case error:
			text = append(text, p.Error()...)
			f.wrapped = append(f.wrapped, p)
		}
	}
	f.text = string(text)
	return f
}

// faultError is what [fault] makes.
type faultError struct {
	text    string
	wrapped []error
}

func (e *faultError) Error() string { return e.text }

// Unwrap gives errors.Is and errors.As the causes.
func (e *faultError) Unwrap() []error { return e.wrapped }
