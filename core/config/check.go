package config

import (
	"net"
	"os"

	"github.com/dunlinmq/dunlin/core/listener"
)

// check looks at what no single key can tell. It changes nothing.
func (r *reader) check(c *Config) {
	bound := map[string]string{}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		at := []string{"listener", string(l.Proto), l.Name}
		if l.Bind == "" {
			r.fault(append(at, "bind"), "missing: the listener needs an address, for example \"0.0.0.0:1883\"")
		} else if other, taken := bound[l.Bind]; taken && !freePort(l.Bind) {
			r.fault(append(at, "bind"), "%s is taken by the listener %s", l.Bind, other)
		}
		bound[l.Bind] = l.ID()
		if _, ok := c.Zones[l.Zone]; !ok {
			r.noZone(append(at, "zone"), l.Zone, c)
		}
		r.files(at, l)
		if l.TLS.Verify == "verify_peer" && l.TLS.CACertFile == "" {
			r.fault(append(at, "verify"), "verify_peer needs cacertfile")
		}
		if l.TLS.FailIfNoPeerCert && l.TLS.Verify != "verify_peer" {
			r.fault(append(at, "fail_if_no_peer_cert"), "has no effect without verify = \"verify_peer\"")
		}
	}
	if len(c.Plugins.Dirs) == 0 {
		r.fault([]string{"plugins", "dirs"}, "no directory is left")
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

type file struct {
	key  string
	path *string
}

// listenerFiles are the files that a listener reads.
func listenerFiles(l *listener.Config) []file {
	if !l.Proto.Secure() {
		return nil
	}
	return []file{{"certfile", &l.TLS.CertFile}, {"keyfile", &l.TLS.KeyFile}, {"cacertfile", &l.TLS.CACertFile}}
}

// files looks for the files that l needs.
func (r *reader) files(at []string, l *listener.Config) {
	for _, f := range listenerFiles(l) {
		path := append(append([]string{}, at...), f.key)
		if *f.path == "" {
			if f.key != "cacertfile" {
				r.fault(path, "missing: an encrypted listener needs it")
			}
			continue
		}
		if _, err := os.Stat(*f.path); err != nil {
			r.fault(path, "%v; `dunlin cert dev` makes a certificate for development", err)
		}
	}
}
