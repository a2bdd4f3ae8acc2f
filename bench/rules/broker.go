package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience bounds every wait.
const patience = 2 * time.Minute

// broker is a broker with the rule engine.
type broker struct {
	binary string
	home   string
	port   string
	cmd    *exec.Cmd
	said   *os.File
}

// start starts a broker in a directory of its own, with the rules.
func start(s setup) (*broker, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &broker{binary: s.binary, port: strconv.Itoa(l.Addr().(*net.TCPAddr).Port)}
	if err := l.Close(); err != nil {
		return nil, err
	}
	if b.home, err = os.MkdirTemp(s.dir, "b"); err != nil {
		return nil, err
	}
	plugins, err := filepath.Abs(s.plugins)
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"loaded_plugins":               "{rule_engine, true}.\n",
		"etc/plugins/rule_engine.toml": "[plugin]\ngrant = [\"publish\"]\n[config]\nrules_dir = \"../rules\"\n",
		"etc/rules/bench.toml":         rules(s),
		"etc/dunlin.toml": fmt.Sprintf("[mqtt]\nmax_mqueue_len = 0\n[sys]\ninterval = \"0\"\nheartbeat = \"0\"\n[plugins]\ndirs = [%q]\nallow_unpinned = true\n"+
			"[listener.tcp.external]\nbind = \"127.0.0.1:%s\"\nmax_conn_rate = 0\n", plugins, b.port),
	} {
		path := filepath.Join(b.home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if b.said, err = os.Create(filepath.Join(b.home, "said")); err != nil {
		return nil, err
	}
	b.cmd = exec.Command(b.binary, "foreground", "--home", b.home)
	b.cmd.Stdout, b.cmd.Stderr = b.said, b.said
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	if err := b.await("takes no connections", func() (bool, error) {
		c, err := net.Dial("tcp", "127.0.0.1:"+b.port)
		if err != nil {
			return false, nil
		}
		return true, c.Close()
	}); err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

// rules is the file of rules.
func rules(s setup) string {
	var t strings.Builder
	fmt.Fprintf(&t, "[rule.hot]\nsql = '''%s'''\n[[rule.hot.action]]\nname = \"republish\"\nparams = { target_topic = \"hot\", payload_tmpl = \"${t}\" }\n", statement)
	for i := range s.other {
		fmt.Fprintf(&t, "[rule.r%d]\nsql = '''SELECT payload FROM \"other/%d/+\"'''\n[[rule.r%d.action]]\nname = \"do_nothing\"\n", i, i, i)
	}
	return t.String()
}

// await waits until fn is true.
func (b *broker) await(what string, fn func() (bool, error)) error {
	for until := time.Now().Add(patience); ; {
		ok, err := fn()
		if ok || err != nil {
			return err
		}
		if time.Now().After(until) {
			text, _ := os.ReadFile(b.said.Name())
			return fmt.Errorf("the broker %s:\n%s", what, text)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (b *broker) stop() {
	_ = b.cmd.Process.Signal(syscall.SIGKILL)
	_ = b.cmd.Wait()
	_ = b.said.Close()
}

// ctl fills to with what a command of dunlin ctl answers.
func (b *broker) ctl(to any, args ...string) error {
	cmd := exec.Command(b.binary, append(append([]string{"ctl"}, args...), "-o", "json", "--home", b.home)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("ctl %s: %w: %s", strings.Join(args, " "), err, stderr.Bytes())
	}
	if err := json.Unmarshal(out, to); err != nil {
		return fmt.Errorf("ctl %s: %w in %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// plugin is the process of the rule engine.
func (b *broker) plugin() (pid int, err error) {
	p, err := b.state()
	return p.Cost.PID, err
}

// state is what the broker tells of the rule engine.
func (b *broker) state() (p pluginState, err error) {
	if err := b.ctl(&p, "plugins", "show", "rule_engine"); err != nil {
		return p, err
	}
	if p.Cost.PID == 0 {
		return p, errors.New("the rule engine does not run")
	}
	return p, nil
}

type pluginState struct {
	Cost struct {
		PID     int    `json:"pid"`
		Waiting uint64 `json:"log_waiting"`
	} `json:"cost"`
}

// settled waits until the rules have had all messages, and returns how many there
// were.
func (b *broker) settled() (matched uint64, err error) {
	err = b.await("does not get through the messages", func() (bool, error) {
		p, err := b.state()
		return p.Cost.Waiting == 0, err
	})
	if err != nil {
		return 0, err
	}
	var rule struct {
		Metrics struct {
			Matched uint64 `json:"matched"`
			Passed  uint64 `json:"passed"`
		} `json:"metrics"`
	}
	if err := b.ctl(&rule, "rules", "show", "hot"); err != nil {
		return 0, err
	}
	if m := rule.Metrics; m.Matched != m.Passed {
		return 0, fmt.Errorf("of %d messages %d passed", m.Matched, m.Passed)
	}
	return rule.Metrics.Matched, nil
}

// watcher is a client that gets what is republished.
type watcher struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

// watch subscribes and waits until that is done.
func (b *broker) watch() (*watcher, error) {
	w := &watcher{cmd: exec.Command(b.binary, "bench", "sub", "-h", "127.0.0.1", "-p", b.port, "-t", "hot", "-c", "1", "--warm", "0s", "-d", "1h", "-o", "json")}
	w.cmd.Stdout = &w.out
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	return w, b.await("has no subscription", func() (bool, error) {
		var list struct {
			Items []json.RawMessage `json:"items"`
		}
		err := b.ctl(&list, "subscriptions", "list")
		return len(list.Items) > 0, err
	})
}

// end ends it and tells how much has come.
func (w *watcher) end() (uint64, error) {
	if err := w.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return 0, err
	}
	if err := w.cmd.Wait(); err != nil {
		return 0, fmt.Errorf("the watching client: %w", err)
	}
	var res struct {
		Received uint64 `json:"received"`
		Foreign  uint64 `json:"foreign"` // rules leave no stamp in a payload
	}
	err := json.Unmarshal(w.out.Bytes(), &res)
	return res.Received + res.Foreign, err
}
