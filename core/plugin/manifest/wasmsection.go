package manifest

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// manifestSection is the custom section of a WASM module that may hold its manifest.
const manifestSection = "dunlin_manifest"

var errModule = errors.New("not a WASM module")

// Inside returns the manifest that a WASM module carries; nil if it has none.
func Inside(code []byte) ([]byte, error) { return findManifest(code) }

// findManifest returns the contents of the manifest section of a WASM module;
// nil if it has none. It reads section heads only.
func findManifest(code []byte) ([]byte, error) {
	b, ok := bytes.CutPrefix(code, []byte("\x00asm\x01\x00\x00\x00"))
	if !ok {
		return nil, errModule
	}
	for len(b) > 0 {
		id := b[0]
		size, n := binary.Uvarint(b[1:])
		if n <= 0 || size > uint64(len(b)-1-n) {
			return nil, errModule
		}
		body := b[1+n : 1+n+int(size)]
		b = b[1+n+int(size):]
		if id != 0 {
			continue
		}
		length, n := binary.Uvarint(body)
		if n <= 0 || length > uint64(len(body)-n) {
			return nil, errModule
		}
		if string(body[n:n+int(length)]) == manifestSection {
			return body[n+int(length):], nil
		}
	}
	return nil, nil
}
