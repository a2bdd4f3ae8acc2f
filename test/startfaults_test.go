package test

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// nobody is the user of the tests that must not be root.
const nobody = 65534

// asNobody is the command of b run by a user without rights, who owns the home.
func (b *broker) asNobody(args ...string) *exec.Cmd {
	b.t.Helper()
	cmd := b.dunlin(args...)
	if os.Getuid() != 0 {
		return cmd
	}
	text, err := os.ReadFile(binary)
	if err != nil {
		b.t.Fatal(err)
	}
	own := filepath.Join(b.home, "dunlin") // the other one is in a directory of root
	if err := os.WriteFile(own, text, 0o755); err != nil {
		b.t.Fatal(err)
	}
	err = filepath.WalkDir(b.home, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, nobody, nobody)
	})
	if err != nil {
		b.t.Fatal(err)
	}
	cmd.Args[0] = own
	to := fmt.Sprint(nobody)
	return exec.Command("setpriv", append([]string{"--reuid", to, "--regid", to, "--clear-groups"}, cmd.Args...)...)
}

// prepared makes a home directory with one listener and no plugins.
func prepared(t *testing.T, s setup) *broker {
	t.Helper()
	home, err := os.MkdirTemp("", "dl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	if s.listeners == "" {
		s.listeners = "[listener.tcp.external]\nbind = \"127.0.0.1:0\"\n"
	}
	b := &broker{t: t, home: home}
	b.write(s)
	return b
}

const oneSSL = "[listener.ssl.external]\nbind = \"127.0.0.1:0\"\ncertfile = \"etc/certs/cert.pem\"\nkeyfile = \"etc/certs/key.pem\"\n"

// TestStartSaysWhy: what stops `dunlin start` is said in one clear line, with
// exit code 1, and no node is left behind.
func TestStartSaysWhy(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	closed := func(path ...string) func(*broker) error {
		return func(b *broker) error { return os.Chmod(filepath.Join(append([]string{b.home}, path...)...), 0) }
	}
	for _, tt := range []struct {
		name    string
		s       setup
		prepare func(*broker) error
		want    []string
	}{
		{"port taken", setup{listeners: "[listener.tcp.external]\nbind = \"" + taken.Addr().String() + "\"\n"}, nil, []string{"tcp:external", taken.Addr().String(), "address already in use"}},
		{"bad certificate", setup{listeners: oneSSL}, func(b *broker) error {
			return os.WriteFile(filepath.Join(b.home, "etc", "certs", "cert.pem"), []byte("nonsense"), 0o644)
		}, []string{"ssl", "certfile", "PEM"}},
		{"another's key", setup{listeners: oneSSL}, func(b *broker) error {
			return os.Rename(filepath.Join(b.home, "etc", "certs", "client-key.pem"), filepath.Join(b.home, "etc", "certs", "key.pem"))
		}, []string{"ssl", "private key does not match"}},
		{"key closed", setup{listeners: oneSSL}, closed("etc", "certs", "key.pem"), []string{"key.pem", "permission denied"}},
		{"configuration closed", setup{}, closed("etc", "dunlin.toml"), []string{"dunlin.toml", "permission denied"}},
		{"part of conf.d closed", setup{etc: map[string]string{"etc/conf.d/10.toml": "log.level = \"info\"\n"}}, closed("etc", "conf.d", "10.toml"), []string{"10.toml", "permission denied"}},
		{"list of plugins closed", setup{}, closed("loaded_plugins"), []string{"loaded_plugins", "permission denied"}},
		{"data directory closed", setup{etc: map[string]string{"data/x": ""}}, closed("data"), []string{"data", "permission denied"}},
		{"log closed", setup{config: "log.to = \"file\"\n", etc: map[string]string{"log/dunlin.log": ""}}, closed("log", "dunlin.log"), []string{"dunlin.log", "permission denied"}},
		{"broken conf.d", setup{etc: map[string]string{"etc/conf.d/10.toml": "log.level = \n"}}, nil, []string{"conf.d/10.toml:1"}},
		{"unknown key in conf.d", setup{etc: map[string]string{"etc/conf.d/10.toml": "\nlog.levle = \"info\"\n"}}, nil, []string{"conf.d/10.toml:2", `did you mean "log.level"?`}},
		{"unknown key", setup{config: "alow_anonymous = true"}, nil, []string{"dunlin.toml:1", `did you mean "allow_anonymous"?`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := prepared(t, tt.s)
			if tt.prepare != nil {
				if err := tt.prepare(b); err != nil {
					t.Fatal(err)
				}
			}
			out, err := b.asNobody("start", "--set", "plugins.cache_dir=data/plugin-cache").CombinedOutput()
			text := strings.TrimPrefix(string(out), "error: the configuration has 1 fault\n")
			if err == nil || b.exitCode(err) != 1 || strings.Count(text, "\n") != 1 {
				t.Errorf("ended with %v:\n%s", err, out)
			}
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in:\n%s", want, out)
				}
			}
			if err := os.Chmod(filepath.Join(b.home, "data"), 0o755); err == nil {
				if _, err := os.Stat(filepath.Join(b.home, "data", "admin.sock")); err == nil {
					t.Error("the admin socket stayed behind")
				}
			}
		})
	}
}

// TestStartBesideANode: a data directory has one node.
func TestStartBesideANode(t *testing.T) {
	t.Parallel()
	b := start(t, setup{})
	out, err := b.dunlin("start").CombinedOutput()
	if err == nil || b.exitCode(err) != 1 || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), filepath.Join(b.home, "data")) {
		t.Errorf("the second start: %v\n%s", err, out)
	}
	b.alive()
}
