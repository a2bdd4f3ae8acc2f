package config

import (
	"errors"
	"net"
	"os"
	"slices"

	"github.com/dunlinmq/dunlin/core/listener"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
)

// check looks at what no single key can tell. It changes nothing.
func (r *reader) check(c *Config) {
	bound := map[string]string{}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		at := []string{"listener", string(l.Proto), l.Name}
		if other, taken := bound[l.Bind]; taken && l.Bind != "" && !freePort(l.Bind) {
			r.fault(append(slices.Clone(at), "bind"), "%s is taken by the listener %s", l.Bind, other)
		}
		bound[l.Bind] = l.ID()
		if _, ok := c.Zones[l.Zone]; !ok {
			r.noZone(append(slices.Clone(at), "zone"), l.Zone, c)
		}
		r.validate(at, l)
		r.files(at, l)
	}
	r.protects(c)
	if len(c.Plugins.Dirs) == 0 {
		r.fault([]string{"plugins", "dirs"}, "no directory is left")
	}
}

// trusts reads the keys of those who sign plugins.
func (r *reader) trusts(p *Plugins) {
	for _, text := range p.TrustedKeys {
		k, err := manifest.ParsePublicKey(text)
		if err != nil {
			r.fault([]string{"plugins", "trusted_keys"}, "%v", err)
			continue
		}
		p.Trust.Keys = append(p.Trust.Keys, k)
	}
	if p.Trust.RequireSignature && len(p.TrustedKeys) == 0 {
		r.fault([]string{"plugins", "require_signature"}, "without trusted_keys no plugin could be loaded")
	}
}

// freePort tells whether the address asks the system for a port.
func freePort(bind string) bool {
	_, port, err := net.SplitHostPort(bind)
	return err == nil && port == "0"
}

func (r *reader) noZone(path []string, zone string, c *Config) {
	var names []string
	for name := range c.Zones {
		names = append(names, name)
	}
	hint := "write zone." + zone + ".<key> to make it"
	if near, ok := nearest(zone, names); ok {
		hint = "did you mean \"" + near + "\"?"
	}
	r.fault(path, "there is no zone %q; %s", zone, hint)
}

// validate adds what the listener's own package has against l, unless the same
// key has a fault already.
func (r *reader) validate(at []string, l *listener.Config) {
	joined, ok := l.Validate().(interface{ Unwrap() []error })
	if !ok {
		return
	}
	for _, err := range joined.Unwrap() {
		var f *listener.Fault
		if !errors.As(err, &f) {
			r.fault(at, "%v", err)
			continue
		}
		path := append(slices.Clone(at), f.Key)
		if !r.faulty(path) {
			r.fault(path, "%s", f.Reason)
		}
	}
}

// faulty tells whether path has a fault.
func (r *reader) faulty(path []string) bool {
	key := joinPath(path)
	return slices.ContainsFunc(r.faults, func(f Fault) bool { return f.Key == key })
}

type file struct {
	key  string
	path *string
}

// listenerFiles are the files that a listener reads.
func listenerFiles(l *listener.Config) []file {
	if !l.Proto.Secure() {
		return nil
	}
	fs := []file{{"certfile", &l.TLS.CertFile}, {"keyfile", &l.TLS.KeyFile}, {"cacertfile", &l.TLS.CACertFile}, {"ocsp_file", &l.TLS.OCSPFile}, {"ocsp_issuer_pem", &l.TLS.OCSPIssuer}}
	for i := range l.TLS.CRLFiles {
		fs = append(fs, file{"crlfile", &l.TLS.CRLFiles[i]})
	}
	return fs
}

// files looks for the files that l needs.
func (r *reader) files(at []string, l *listener.Config) {
	for _, f := range listenerFiles(l) {
		path := append(slices.Clone(at), f.key)
		if *f.path == "" {
			continue
		}
		if _, err := os.Stat(*f.path); err != nil {
			r.fault(path, "%v; `dunlin cert dev` makes a certificate for development", err)
		}
	}
}
