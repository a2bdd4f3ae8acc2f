//go:build !wasip1

package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// config is the plugin's [config].
type config struct {
	Bridges map[string]*settings `json:"bridges"`
}

// span is a time span written as "30s".
type span time.Duration

// UnmarshalText reads the Go form of a duration.
func (s *span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not a time span such as 500ms or 30s", text)
	}
	*s = span(d)
	return nil
}

// settings are those of one bridge. Immutable once checked.
type settings struct {
	Address       string   `json:"address"`   // tcp://host:1883, ssl://host:8883
	Addresses     []string `json:"addresses"` // to fall back on
	RoundRobin    bool     `json:"round_robin"`
	Protocol      string   `json:"protocol"` // 3.1.1 or 5.0; "": 5.0
	ClientID      string   `json:"client_id"`
	Username      string   `json:"username"`
	Password      string   `json:"password"`
	Clean         bool     `json:"clean"`
	SessionExpiry span     `json:"session_expiry"` // 5.0; 0: a week
	KeepAlive     span     `json:"keepalive"`
	ReconnectMin  span     `json:"reconnect_min"`
	ReconnectMax  span     `json:"reconnect_max"`
	MaxInflight   int      `json:"max_inflight"`
	QueueBytes    int64    `json:"queue_bytes"`
	QueueFull     string   `json:"queue_full"` // wait or drop
	QueueQoS0     bool     `json:"queue_qos0"` // also while there is no connection
	Connections   int      `json:"connections"`
	Share         string   `json:"share"` // group of a shared subscription
	BridgeMode    *bool    `json:"bridge_mode"`
	MaxHops       int      `json:"max_hops"`
	Presence      string   `json:"presence"` // topic on the other broker
	Start         *bool    `json:"start"`
	CAFile        string   `json:"ca_file"`
	CertFile      string   `json:"cert_file"`
	KeyFile       string   `json:"key_file"`
	ServerName    string   `json:"server_name"`
	Insecure      bool     `json:"insecure"`
	Topics        []route  `json:"topics"`

	version packet.Version
	targets []target
	print   [sha256.Size]byte // of everything above and of the files: equal settings have equal ones
}

// target is a broker that a bridge may connect to.
type target struct {
	text    string // as the operator wrote it
	network string // host:port
	tls     *tls.Config
}

// Defaults and bounds.
const (
	defaultInflight   = 100
	defaultQueueBytes = 256 << 20
	defaultMaxHops    = 8
	maxConnections    = 64
	week              = 7 * 24 * time.Hour
)

// parse reads the configuration of all bridges; node names them at the other side,
// dir is where relative paths start.
func parse(text []byte, node, dir string) (map[string]*settings, error) {
	var c config
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Bridges)) {
		if err := c.Bridges[name].check(name, node, dir); err != nil {
			errs = append(errs, fmt.Errorf("bridges.%s: %w", name, err))
		}
	}
	return c.Bridges, errors.Join(errs...)
}

// check fills the defaults in and refuses what cannot be.
func (s *settings) check(name, node, dir string) error {
	var errs []error
	no := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if name == "" || strings.ContainsAny(name, "/+#\x00") {
		no("the name of a bridge has no /, + or #")
	}
	if s.version = map[string]packet.Version{"": packet.V50, "5.0": packet.V50, "3.1.1": packet.V311}[s.Protocol]; s.version == 0 {
		no("protocol = %q: want 3.1.1 or 5.0", s.Protocol)
	}
	if err := s.checkAddresses(dir); err != nil {
		errs = append(errs, err)
	}
	s.ClientID = cmp.Or(s.ClientID, node+"."+name)
	s.SessionExpiry = cmp.Or(s.SessionExpiry, span(week))
	s.KeepAlive = cmp.Or(s.KeepAlive, span(time.Minute))
	s.ReconnectMin = cmp.Or(s.ReconnectMin, span(time.Second))
	s.ReconnectMax = cmp.Or(s.ReconnectMax, span(time.Minute))
	s.MaxInflight = cmp.Or(s.MaxInflight, defaultInflight)
	s.QueueBytes = cmp.Or(s.QueueBytes, defaultQueueBytes)
	s.QueueFull = cmp.Or(s.QueueFull, "wait")
	s.Connections = cmp.Or(s.Connections, 1)
	s.MaxHops = cmp.Or(s.MaxHops, defaultMaxHops)
	yes := true
	s.BridgeMode, s.Start = cmp.Or(s.BridgeMode, &yes), cmp.Or(s.Start, &yes)
	switch {
	case s.MaxInflight < 1 || s.MaxInflight > 65535:
		no("max_inflight = %d: want 1 to 65535", s.MaxInflight)
	case s.Connections < 1 || s.Connections > maxConnections:
		no("connections = %d: want 1 to %d", s.Connections, maxConnections)
	case s.Connections > 1 && s.Share == "":
		no("several connections need share, the group of their subscription")
	case strings.ContainsAny(s.Share, "/+#"):
		no("share = %q: a group has no /, + or #", s.Share)
	case s.QueueFull != "wait" && s.QueueFull != "drop":
		no("queue_full = %q: want wait or drop", s.QueueFull)
	case s.ReconnectMin > s.ReconnectMax:
		no("reconnect_min is above reconnect_max")
	case s.KeepAlive < span(time.Second) || s.KeepAlive > span(65535*time.Second):
		no("keepalive: want 1s to 65535s")
	case s.QueueBytes < 1<<10:
		no("queue_bytes = %d: want 1024 at least", s.QueueBytes)
	}
	if len(s.Topics) == 0 {
		no("topics is missing: nothing would go or come")
	}
	for i := range s.Topics {
		if err := s.Topics[i].check(); err != nil {
			no("topics[%d]: %w", i, err)
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return s.fingerprint(dir)
}

// fingerprint sets print.
func (s *settings) fingerprint(dir string) error {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(s); err != nil {
		return err
	}
	for _, path := range []string{s.CAFile, s.CertFile, s.KeyFile} {
		if path == "" {
			continue
		}
		text, err := os.ReadFile(within(dir, path))
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%d\n%s", len(text), text)
	}
	h.Sum(s.print[:0])
	return nil
}

// within is where a path of the configuration is.
func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// checkAddresses makes the targets.
func (s *settings) checkAddresses(dir string) error {
	var errs []error
	secure := false
	for i, text := range append([]string{s.Address}, s.Addresses...) {
		t, safe, err := parseAddress(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s = %q: %w", [...]string{"address", "addresses"}[min(i, 1)], text, err))
			continue
		}
		secure = secure || safe
		if safe {
			if t.tls, err = s.checkTLS(t.network, dir); err != nil {
				errs = append(errs, err)
			}
		}
		s.targets = append(s.targets, t)
	}
	if !secure && (s.CAFile+s.CertFile+s.KeyFile != "" || s.Insecure) {
		errs = append(errs, errors.New("certificates are for an address with ssl://"))
	}
	return errors.Join(errs...)
}

func parseAddress(text string) (t target, secure bool, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return t, false, errors.New("want tcp://host:1883 or ssl://host:8883")
	}
	port := map[string]string{"tcp": "1883", "mqtt": "1883", "ssl": "8883", "tls": "8883", "mqtts": "8883"}[u.Scheme]
	if port == "" {
		return t, false, errors.New("want tcp:// or ssl://")
	}
	return target{text: text, network: net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))}, port == "8883", nil
}

// checkTLS reads the files of a secure connection.
func (s *settings) checkTLS(network, dir string) (*tls.Config, error) {
	host, _, _ := net.SplitHostPort(network)
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cmp.Or(s.ServerName, host), InsecureSkipVerify: s.Insecure}
	if s.CAFile != "" {
		text, err := os.ReadFile(within(dir, s.CAFile))
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ca_file: %s holds no certificate", s.CAFile)
		}
	}
	if s.CertFile != "" || s.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(within(dir, s.CertFile), within(dir, s.KeyFile))
		if err != nil {
			return nil, fmt.Errorf("cert_file and key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
