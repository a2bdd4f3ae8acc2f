package manifest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Operator is an etc/plugins/<name>.toml: what the operator grants the plugin
// and changes about it (contract C.8). Immutable once parsed.
type Operator struct {
	SHA256    string          // of the artefact, hex; "": not pinned
	Grant     []string        // capabilities; must cover what the manifest asks for
	Transport string          // "wasm" or "process"; "": what is there
	HTTP      HTTP            // of the capability http
	Hooks     map[string]Hook // overrides by hook name: filters, when, on_error, park, timeout, max_payload
	// Config is the plugin's own configuration, secrets resolved.
	Config map[string]any

	doc     *document
	secrets []string // resolved values, to be kept out of messages
}

// HTTP is what the operator says about the requests of a plugin. Paths are relative
// to the operator files.
type HTTP struct {
	CAFile        string `toml:"ca_file"`        // certificates to trust in place of the system's
	CertFile      string `toml:"cert_file"`      // of the client
	KeyFile       string `toml:"key_file"`       // of the client
	ServerName    string `toml:"server_name"`    // to expect in the server's certificate
	MaxConcurrent int    `toml:"max_concurrent"` // requests at a time to one server; 0: 64
	MaxResponse   int    `toml:"max_response"`   // bytes of a body; 0: 64 KiB
}

// under makes the paths absolute.
func (h HTTP) under(dir string) HTTP {
	for _, p := range []*string{&h.CAFile, &h.CertFile, &h.KeyFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	return h
}

type operatorFile struct {
	Plugin struct {
		SHA256    string          `toml:"sha256"`
		Grant     []string        `toml:"grant"`
		Transport string          `toml:"transport"`
		HTTP      HTTP            `toml:"http"`
		Hook      map[string]Hook `toml:"hook"`
	} `toml:"plugin"`
	Config map[string]any `toml:"config"`
}

// maxHTTPResponse bounds max_response: a response goes into a guest as one record.
const maxHTTPResponse = 4 << 20

// Secrets resolves references in the values of a [config] table.
type Secrets struct {
	Env func(name string) (string, bool) // os.LookupEnv
	Dir string                           // relative ${file:...} paths are below it
}

// ReadOperator reads the file at path. A missing file grants nothing and
// configures nothing.
func ReadOperator(path string, s Secrets) (*Operator, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		text, err = nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read plugin configuration: %w", err)
	}
	return ParseOperator(path, text, s)
}

// ParseOperator reads the text of an operator file; name is for messages.
func ParseOperator(name string, text []byte, s Secrets) (*Operator, error) {
	var f operatorFile
	doc, err := decodeTOML(name, text, &f, "config")
	if err != nil {
		return nil, err
	}
	o := &Operator{SHA256: strings.ToLower(f.Plugin.SHA256), Grant: f.Plugin.Grant, Transport: f.Plugin.Transport, HTTP: f.Plugin.HTTP.under(s.Dir), Hooks: f.Plugin.Hook, doc: doc}
	if n := len(o.SHA256); n != 0 && (n != 64 || strings.Trim(o.SHA256, "0123456789abcdef") != "") {
		doc.fault("sha256 is not 64 hex digits", "plugin", "sha256")
	}
	if !slices.Contains([]string{"", "wasm", "process"}, o.Transport) {
		doc.fault(fmt.Sprintf("transport = %q: want wasm or process", o.Transport), "plugin", "transport")
	}
	if o.HTTP.MaxConcurrent < 0 || o.HTTP.MaxResponse < 0 || o.HTTP.MaxResponse > maxHTTPResponse {
		doc.fault(fmt.Sprintf("max_concurrent and max_response are not negative, max_response is at most %d", maxHTTPResponse), "plugin", "http")
	}
	for _, c := range o.Grant {
		if err := checkCapability(c, true); err != nil {
			doc.fault(err.Error(), "plugin", "grant")
		}
	}
	r := resolver{Secrets: s, doc: doc}
	o.Config, _ = r.resolve(f.Config, []string{"config"}).(map[string]any)
	o.secrets = r.found
	if o.Config == nil {
		o.Config = map[string]any{}
	}
	if err := doc.err(); err != nil {
		return nil, err
	}
	return o, nil
}

// overrides applies o to the hooks of m and returns copies.
func (o *Operator) overrides(m *Manifest) ([]Hook, error) {
	hooks := slices.Clone(m.Hooks)
	for name, over := range o.Hooks {
		key := []string{"plugin", "hook", name}
		i := slices.IndexFunc(hooks, func(h Hook) bool { return h.Name == name })
		if i < 0 {
			o.doc.fault(fmt.Sprintf("%s does not use the hook %q", m.Name, name), key...)
			continue
		}
		if over.Name != "" || over.Class != "" || over.Fields != nil || over.Dynamic {
			o.doc.fault("name, class, dynamic and fields are the manifest's", key...)
		}
		h := &hooks[i]
		if over.OnError != "" {
			h.OnError = over.OnError
		}
		if over.Filters != nil {
			h.Filters = over.Filters
		}
		if over.When != (When{}) {
			h.When = over.When
		}
		h.Timeout = pick(over.Timeout, h.Timeout)
		h.Park = pick(over.Park, h.Park)
		h.MaxPayload = pick(over.MaxPayload, h.MaxPayload)
		h.MaxQueue, h.Full = pick(over.MaxQueue, h.MaxQueue), pick(over.Full, h.Full)
		if err := h.check(); err != nil {
			o.doc.fault(fmt.Sprintf("hook %q: %s", name, err), key...)
		}
	}
	return hooks, o.doc.err()
}

// pick returns the override unless it is zero.
func pick[T comparable](override, base T) T {
	var zero T
	if override != zero {
		return override
	}
	return base
}

// maxSecret bounds a file named by ${file:...}: a password, or a table of rules.
const maxSecret = 1 << 20

// resolver replaces the secret references of one file.
type resolver struct {
	Secrets
	doc   *document
	found []string
}

// resolve replaces the references in v, which lies at key.
func (r *resolver) resolve(v any, key []string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = r.resolve(e, append(key[:len(key):len(key)], k))
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = r.resolve(e, key)
		}
		return out
	case []map[string]any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = r.resolve(e, key)
		}
		return out
	case string:
		text, err := r.expand(v)
		if err != nil {
			r.doc.fault(err.Error(), key...)
		}
		return text
	default:
		return v
	}
}

// expand replaces each ${env:NAME} and ${file:PATH} of text. Errors name the
// reference and never the value.
func (r *resolver) expand(text string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		ref, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("${%s: the closing } is missing", rest)
		}
		v, err := r.look(ref)
		if err != nil {
			return "", err
		}
		if v != "" {
			r.found = append(r.found, v)
		}
		b.WriteString(v)
		text = after
	}
}

// look reads one reference.
func (s Secrets) look(ref string) (string, error) {
	kind, arg, _ := strings.Cut(ref, ":")
	switch {
	case kind == "env" && arg != "":
		if v, ok := s.Env(arg); ok {
			return v, nil
		}
		return "", fmt.Errorf("${%s}: the variable is not set", ref)
	case kind == "file" && arg != "":
		if !filepath.IsAbs(arg) {
			arg = filepath.Join(s.Dir, arg)
		}
		b, err := os.ReadFile(arg)
		if err != nil {
			return "", fmt.Errorf("${%s}: %w", ref, err)
		}
		if len(b) > maxSecret {
			return "", fmt.Errorf("${%s}: larger than %d bytes", ref, maxSecret)
		}
		return strings.TrimRight(string(b), "\r\n"), nil
	default:
		return "", fmt.Errorf("${%s}: want ${env:NAME} or ${file:PATH}", ref)
	}
}
