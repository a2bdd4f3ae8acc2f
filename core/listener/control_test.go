package listener

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// refused tells whether nobody listens at addr.
func refused(addr net.Addr) bool {
	nc, err := net.Dial(addr.Network(), addr.String())
	if err == nil {
		_ = nc.Close()
	}
	return err != nil
}

// Stopped and started, a listener keeps its clients, its address and its counts,
// and another one does not notice.
func TestStopAndStart(t *testing.T) {
	ca := newPKI(t)
	for _, proto := range []Proto{TCP, TLS, WS, WSS} {
		t.Run(string(proto), func(t *testing.T) {
			p, other := open(t, ca.config(proto)), open(t, Default(TCP, "other"))
			kept, beside := p.client(ca), other.dial()
			for range 3 {
				if err := errors.Join(p.Stop(), p.Stop()); err != nil {
					t.Fatal(err)
				}
				if !refused(p.Addr()) || p.Stats().Running {
					t.Error("stopped, and yet it listens")
				}
				echo(t, kept)
				echo(t, beside)
				cfg := p.Config()
				cfg.Bind = p.Addr().String() // the harness has asked for any port
				if err := p.Rebind(cfg); err != nil {
					t.Fatal(err)
				}
				if err := p.Start(); err != nil || !p.Stats().Running {
					t.Errorf("started: %v", err)
				}
				echo(t, p.client(ca))
				echo(t, kept)
			}
			if s := p.Stats(); s.HandedOut != 4 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestStartAfterStopIsTheSamePort(t *testing.T) {
	first := open(t, Default(TCP, "first"))
	cfg := Default(TCP, "test")
	cfg.Bind = first.Addr().String()
	_ = first.Stop()
	p := open(t, cfg)
	_ = p.Stop()
	if err := p.Start(); err != nil || p.Addr().String() != cfg.Bind {
		t.Fatalf("%v, %v", p.Addr(), err)
	}
	echo(t, p.dial())
	if err := p.Restart(); err != nil {
		t.Fatal(err)
	}
	echo(t, p.dial())
}

func TestClosedListenersStayClosed(t *testing.T) {
	p := open(t, Default(TCP, "test"))
	_ = p.Close()
	_ = p.Stop()
	if err := p.Start(); !errors.Is(err, ErrClosed) {
		t.Errorf("started: %v", err)
	}
}

// A listener that was never run can be stopped and started too.
func TestStopBeforeRun(t *testing.T) {
	cfg := Default(TCP, "test")
	cfg.Bind = "127.0.0.1:0"
	l, err := Open(cfg, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Stop(), l.Start(), l.Close()); err != nil {
		t.Error(err)
	}
}

func TestUpdateIsForConnectionsToCome(t *testing.T) {
	p := open(t, Default(WS, "test"))
	kept := p.client(nil)
	echo(t, kept)
	cfg := p.Config()
	cfg.Zone, cfg.MaxConnRate, cfg.MaxConnPerAddress, cfg.MaxHandshakes, cfg.Web.Paths = "internal", 7, 2, 9, []string{"/other"}
	if err := p.Update(cfg); err != nil {
		t.Fatal(err)
	}
	if nc, _, status := p.webDial("/mqtt", []string{"mqtt"}, nil); nc != nil || status != 404 {
		t.Errorf("the old path answers %d", status)
	}
	<-p.infos
	nc, _, _ := p.webDial("/other", []string{"mqtt"}, nil)
	if nc == nil {
		t.Fatal("the new path is refused")
	}
	if info := <-p.infos; info.Zone != "internal" {
		t.Errorf("%+v", info)
	}
	cfg.MaxConnections = 2
	cfg.Access = []string{"deny all"}
	if err := p.Update(cfg); err != nil {
		t.Fatal(err)
	}
	closes(t, p.dial())
	cfg.Access = []string{"allow all"}
	if err := p.Update(cfg); err != nil {
		t.Fatal(err)
	}
	closes(t, p.dial())
	eventually(t, "one of each", func() bool { s := p.Stats(); return s.Denied == 1 && s.Refused == 1 })
	echo(t, kept)
}

func TestUpdateIsAllOrNothing(t *testing.T) {
	ca := newPKI(t)
	p := open(t, ca.config(TLS))
	was := p.Config()
	for name, change := range map[string]func(*Config){
		"bad value":    func(c *Config) { c.Access = []string{"x"} },
		"no file":      func(c *Config) { c.TLS.CertFile = "nowhere.pem" },
		"the socket's": func(c *Config) { c.Bind, c.Backlog = "127.0.0.1:1", 7 },
	} {
		cfg := p.Config()
		cfg.Zone = "changed"
		change(&cfg)
		err := p.Update(cfg)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		var needs *NeedsRebind
		if errors.As(err, &needs) != (name == "the socket's") {
			t.Errorf("%s: %v", name, err)
		} else if needs != nil && (!slices.Equal(needs.Keys, []string{"backlog", "bind"}) || !strings.Contains(err.Error(), "restart the listener")) {
			t.Errorf("%v", err)
		}
		if p.Config().Zone != was.Zone {
			t.Errorf("%s: half done", name)
		}
		echo(t, p.client(ca))
	}
}

func TestRebindGoesBackWhenItFails(t *testing.T) {
	taken := open(t, Default(TCP, "taken"))
	p := open(t, Default(TCP, "test"))
	kept := p.dial()
	echo(t, kept) // accepted: what still waits in the kernel's queue goes with the port
	cfg := p.Config()
	cfg.Bind, cfg.Zone = taken.Addr().String(), "changed"
	if err := p.Rebind(cfg); err == nil {
		t.Fatal("two on one port")
	}
	if p.Config().Zone != "external" {
		t.Error("half done")
	}
	echo(t, p.dial())
	echo(t, kept)
	cfg.Name = "other"
	if err := p.Rebind(cfg); err == nil {
		t.Error("another listener's configuration is taken")
	}
	cfg.Name, cfg.Bind, cfg.NoDelay = "test", "127.0.0.1:0", false
	if err := p.Rebind(cfg); err != nil {
		t.Fatal(err)
	}
	echo(t, p.dial())
	echo(t, kept)
}

func TestSocketFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mqtt.sock")
	ca := newPKI(t)
	for _, proto := range []Proto{TCP, TLS, WS} {
		for _, bind := range []string{path, "unix:" + path} {
			cfg := ca.config(proto)
			cfg.Bind, cfg.Mode, cfg.MaxConnPerAddress, cfg.Access = bind, "0600", 1, []string{"deny all"}
			p := open(t, cfg)
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			echo(t, p.client(ca))
			echo(t, p.client(ca)) // addresses do not count here
			if info := <-p.infos; info.Peer != nowhere || info.Local != nowhere {
				t.Errorf("%+v", info)
			}
			if bare := <-p.bare; bare != (rawTCP && proto == TCP) {
				t.Errorf("%s: descriptor: %v", proto, bare)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file is left: %v", err)
			}
		}
	}
}

func TestSocketFileBehindAProxy(t *testing.T) {
	cfg := Default(TCP, "test")
	cfg.Bind, cfg.ProxyProtocol, cfg.MaxConnPerAddress = filepath.Join(t.TempDir(), "s"), true, 1
	p := open(t, cfg)
	p.preface = v2(1, 0x11, inet4)
	echo(t, p.dial())
	if info := <-p.infos; info.Peer.Addr().String() != "192.0.2.1" {
		t.Errorf("%+v", info)
	}
	closes(t, p.dial())
}

// A dead process's socket is replaced; a live one's and other files are not.
func TestStaleSocketFiles(t *testing.T) {
	dir := t.TempDir()
	stale, live, text := filepath.Join(dir, "stale"), filepath.Join(dir, "live"), filepath.Join(dir, "text")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	_ = ln.Close()
	cfg := Default(TCP, "test")
	cfg.Bind = stale
	echo(t, open(t, cfg).dial())

	other := Default(TCP, "other")
	other.Bind = live
	p := open(t, other)
	if err := os.WriteFile(text, []byte("keep me"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{live, text, filepath.Join(dir, "no", "such", "directory")} {
		cfg.Bind = path
		if l, err := Open(cfg, zap.NewNop()); err == nil {
			_ = l.Close()
			t.Errorf("%s was bound", path)
		}
	}
	echo(t, p.dial())
	if b, _ := os.ReadFile(text); string(b) != "keep me" {
		t.Error("a file was removed")
	}
	if err := p.Restart(); err != nil { // its own socket is in nobody's way
		t.Error(err)
	}
	echo(t, p.dial())
}

func TestSocketFileFaults(t *testing.T) {
	for key, change := range map[string]func(*Config){
		"bind":                   func(c *Config) { c.Bind = "unix:" },
		"mode":                   func(c *Config) { c.Mode = "0888" },
		"access":                 func(c *Config) { c.Access = []string{"allow"} },
		"proxy_protocol_timeout": func(c *Config) { c.ProxyProtocol, c.ProxyTimeout = true, -time.Second },
		"max_handshakes":         func(c *Config) { c.ProxyProtocol, c.MaxHandshakes = true, 0 },
		"peer_cert_as_username":  func(c *Config) { c.TLS.PeerCertAsUsername = CertCN },
		"peer_cert_as_clientid":  func(c *Config) { c.ProxyProtocol, c.TLS.PeerCertAsClientID = true, CertDN },
	} {
		cfg := Default(TCP, "test")
		cfg.Bind = "/run/x.sock"
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		var f *Fault
		if err := cfg.Validate(); !errors.As(err, &f) || f.Key != key {
			t.Errorf("%s: %v", key, err)
		}
	}
	long := Config{Proto: TCP, Bind: "/" + strings.Repeat("x", longestSocket)}
	if err := long.Validate(); err == nil || !strings.Contains(err.Error(), "at most 103 bytes") {
		t.Errorf("long path: %v", err)
	}
}
