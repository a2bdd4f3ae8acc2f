package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// asMain makes the test binary run as dunlin itself: `dunlin start` starts it.
const asMain = "DUNLIN_TEST_AS_MAIN"

// crashOn makes it panic when the file named comes up.
const crashOn = "DUNLIN_TEST_CRASH_ON"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		if file := os.Getenv(crashOn); file != "" {
			go func() {
				for range time.Tick(10 * time.Millisecond) {
					if exists(file) {
						panic("deliberate")
					}
				}
			}()
		}
		main()
	}
	os.Exit(m.Run())
}

// ctl is a `dunlin ctl` for the node of a home directory.
func ctl(t *testing.T, dir string, args ...string) result {
	t.Helper()
	return dunlin(t, append(append([]string{"ctl"}, args...), "--home", dir)...)
}

func connect(t *testing.T, address, id string) mqtt.Client {
	t.Helper()
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + address).SetClientID(id).SetUsername("u-" + id).SetAutoReconnect(false))
	finish(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

// Every verb of ctl against a node that runs.
func TestCtlOfANode(t *testing.T) {
	dir := home(t, oneListener)
	address := foreground(t, dir)
	one := connect(t, address, "one")
	connect(t, address, "two")
	finish(t, one.Subscribe("a/#", 1, nil))

	for _, c := range []struct {
		line string
		code int
		out  string
		err  string
	}{
		{"clients list", exitOK, "CLIENTID  USERNAME  PEERNAME", ""},
		{"clients list --prefix on", exitOK, "one       u-one", ""},
		{"clients list --prefix on -o wide", exitOK, "SUBSCRIPTIONS", ""},
		{"clients list --limit 1", exitOK, "", "--cursor"},
		{"clients list --limit 1 --all --username u-two", exitOK, "two", ""},
		{"clients list --address 127.0.0.0/8 --listener tcp:external --online", exitOK, "two", ""},
		{"clients list --address nowhere", exitUsage, "", "nowhere"},
		{"clients show one", exitOK, "subscriptions       : 1\n", ""},
		{"clients show nobody", exitNotFound, "", `client "nobody": not found`},
		{"subscriptions list", exitOK, "one       a/#    1\n", ""},
		{"subscriptions show one -o json", exitOK, `"topic": "a/#"`, ""},
		{"subscriptions show nobody", exitNotFound, "", "not found"},
		{"subscriptions add two $share/g/b/+ 2", exitOK, "ok\n", ""},
		{"subscriptions list -o wide", exitOK, "$share/g/b/+", ""},
		{"subscriptions add two c 3", exitUsage, "", "QoS should be 0, 1, 2"},
		{"subscriptions add two a/#/b 1", exitUsage, "", "#"},
		{"subscriptions add nobody c 1", exitNotFound, "", "not found"},
		{"routes list", exitOK, "a/#", ""},
		{"routes list --limit 1", exitOK, "a/#", "--cursor 'a/#'"},
		{"routes show b/+ -o wide", exitOK, "b/+", ""},
		{"routes show nothing", exitNotFound, "", "not found"},
		{"subscriptions del two $share/g/b/+", exitOK, "ok\n", ""},
		{"subscriptions del two $share/g/b/+", exitNotFound, "", "not found"},
		{"listeners", exitOK, "tcp:external  127.0.0.1:", ""},
		{"listeners list -o json", exitOK, `"current_conn": 2`, ""},
		{"listeners stop tcp:external", exitOK, "ok\n", ""},
		{"listeners", exitOK, "false    2", ""},
		{"listeners start mqtt:tcp:external", exitOK, "ok\n", ""},
		{"listeners restart tcp:external", exitOK, "ok\n", ""},
		{"listeners", exitOK, "true     2", ""},
		{"listeners stop tcp:nothing", exitNotFound, "", "not found"},
		{"config show listener.tcp.external.bind --origin", exitOK, "dunlin.toml:1", ""},
		{"config show -o json", exitOK, `"origin": "default"`, ""},
		{"config reload", exitOK, "ok\n", ""},
		{"broker", exitOK, "sysdescr            : Dunlin\n", ""},
		{"broker stats", exitOK, "connections.count             : 2\n", ""},
		{"broker metrics", exitOK, "packets.received              : 3\n", ""},
		{"broker metrics -o json", exitOK, `"packets.subscribe.received": 1`, ""},
		{"vm", exitOK, "process/goroutines", ""},
		{"vm gc -o json", exitOK, `"gc/cycles"`, ""},
		{"vm nonsense", exitUsage, "", "invalid argument"},
		{"store info", exitOK, "sessions                      : 2\n", ""},
		{"mnesia", exitOK, "retained/messages             : 0\n", ""},
		{"log set-level debug", exitOK, "debug\n", ""},
		{"log set-level error --logger channel", exitOK, "error\n", ""},
		{"log levels -o json", exitOK, `"channel"`, ""},
		{"log primary-level", exitOK, "debug\n", ""},
		{"log set-level loud", exitUsage, "", "invalid argument"},
		{"acl cache-clean all", exitOK, "ACL cache drain start OK\n", ""},
		{"acl cache-clean one", exitOK, "ACL cache drain start OK\n", ""},
		{"acl cache-clean nobody", exitNotFound, "", "not found"},
		{"alarms list", exitOK, "NAME  MESSAGE  ACTIVATED_AT\n", ""},
		{"alarms list --past -o json", exitOK, "[]\n", ""},
		{"banned add clientid three --reason noisy --for 10m", exitOK, "ok\n", ""},
		{"banned list", exitOK, "clientid  three  ctl  noisy", ""},
		{"banned add shoe three", exitUsage, "", "shoe"},
		{"banned del clientid three", exitOK, "ok\n", ""},
		{"banned del clientid three", exitNotFound, "", "not found"},
		{"banned list -o json", exitOK, "[]\n", ""},
		{"clients kick nobody", exitNotFound, "", "not found"},
	} {
		r := ctl(t, dir, strings.Fields(c.line)...)
		if r.code != c.code || !strings.Contains(r.out, c.out) || !strings.Contains(r.err, c.err) {
			t.Errorf("ctl %s: exit code %d, want %d\nstdout: %s\nwant: %s\nstderr: %s\nwant: %s", c.line, r.code, c.code, r.out, c.out, r.err, c.err)
		}
	}
}

// An added subscription gets messages, a kicked client is gone, a banned one too.
func TestCtlChangesClients(t *testing.T) {
	dir := home(t, oneListener)
	address := foreground(t, dir)
	heard, lost := make(chan string, 1), make(chan struct{}, 2)
	options := func(id string) *mqtt.ClientOptions {
		return mqtt.NewClientOptions().AddBroker("tcp://" + address).SetClientID(id).SetAutoReconnect(false).
			SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { heard <- m.Topic() }).
			SetConnectionLostHandler(func(mqtt.Client, error) { lost <- struct{}{} })
	}
	one := mqtt.NewClient(options("one"))
	finish(t, one.Connect())
	ctl(t, dir, "subscriptions", "add", "one", "x/+", "1").check(t, exitOK, "ok", "")
	finish(t, one.Publish("x/y", 1, false, "m"))
	if got := <-heard; got != "x/y" {
		t.Errorf("heard %q", got)
	}
	ctl(t, dir, "clients", "kick", "one").check(t, exitOK, "ok", "")
	<-lost
	two := mqtt.NewClient(options("two"))
	finish(t, two.Connect())
	ctl(t, dir, "banned", "add", "clientid", "two").check(t, exitOK, "ok", "")
	<-lost
	if token := mqtt.NewClient(options("two")).Connect(); token.Wait() && token.Error() == nil {
		t.Error("a banned client connects")
	}
}

func TestCtlClientsJSON(t *testing.T) {
	dir := home(t, oneListener)
	address := foreground(t, dir)
	for _, id := range []string{"a", "b", "c"} {
		connect(t, address, id)
	}
	seen := map[string]bool{}
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		var page struct {
			Items []map[string]any `json:"items"`
			Next  string           `json:"next"`
		}
		r := ctl(t, dir, "clients", "list", "-o", "json", "--limit", "1", "--cursor", cursor)
		if err := json.Unmarshal([]byte(r.out), &page); err != nil || len(page.Items) != 1 || pages > 3 {
			t.Fatalf("page %d: %s (%v)", pages, r.out, err)
		}
		if page.Items[0]["subscriptions"] != 0.0 || page.Items[0]["connected"] != true {
			t.Errorf("item is %v", page.Items[0])
		}
		seen[page.Items[0]["clientid"].(string)] = true
		cursor = page.Next
	}
	if len(seen) != 3 {
		t.Errorf("seen %v", seen)
	}
}

// A client's words do not reach the terminal as control sequences.
func TestCellsAreHarmless(t *testing.T) {
	if got := cell("a\x1b[31mb\n"); strings.ContainsAny(got, "\x1b\n") {
		t.Errorf("cell is %q", got)
	}
}

func TestArguments(t *testing.T) {
	for argv, want := range map[string]string{"/usr/bin/dunlin_ctl vm": "ctl vm", "dunlin_ctl.exe vm": "ctl vm", "dunlin ping": "ping"} {
		if got := strings.Join(arguments(strings.Fields(argv)), " "); got != want {
			t.Errorf("%s is %q, want %q", argv, got, want)
		}
	}
}

func TestBackground(t *testing.T) {
	t.Setenv(asMain, "1")
	dir := home(t, oneListener)
	at := func(args ...string) result { return dunlin(t, append(args, "--home", dir)...) }
	at("start").check(t, exitOK, "is started successfully!\n", "")
	at("start").check(t, exitError, "", "already running")
	at("status").check(t, exitOK, "is started\n", "")
	at("restart").check(t, exitOK, "is started successfully!\n", "")
	at("ping").check(t, exitOK, "pong\n", "")
	at("stop").check(t, exitOK, "ok\n", "")
	at("ping").check(t, exitUnreachable, "", "no node answers")
	if _, err := os.Stat(filepath.Join(dir, "log", "crash.dump")); !os.IsNotExist(err) {
		t.Errorf("an empty crash dump stays: %v", err)
	}
}

// What stops a start is said in one line by `dunlin start`.
func TestStartFailures(t *testing.T) {
	t.Setenv(asMain, "1")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tls := "listener.ssl.external.bind = \"127.0.0.1:0\"\nlistener.ssl.external.certfile = \"etc/c.pem\"\nlistener.ssl.external.keyfile = \"etc/k.pem\"\n"
	for _, c := range []struct {
		name, doc, want string
		prepare         func(dir string)
	}{
		{"port taken", "listener.tcp.external.bind = \"" + taken.Addr().String() + "\"\n", "address already in use", nil},
		{"no certificate", tls, "c.pem", nil},
		{"bad certificate", tls, "certfile, keyfile: tls", func(dir string) {
			write(t, "nonsense", dir, "etc", "c.pem")
			write(t, "nonsense", dir, "etc", "k.pem")
		}},
		{"unreadable list of plugins", oneListener, "loaded_plugins", func(dir string) {
			if err := os.Mkdir(filepath.Join(dir, "loaded_plugins"), 0o755); err != nil {
				t.Fatal(err)
			}
		}},
		{"a data directory that is none", oneListener, "data", func(dir string) { write(t, "", dir, "data") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := home(t, c.doc)
			if c.prepare != nil {
				c.prepare(dir)
			}
			r := dunlin(t, "start", "--home", dir)
			r.check(t, exitError, "", c.want)
			if n := strings.Count(r.err, "\n"); n != 1 && !strings.Contains(r.err, "the configuration has") {
				t.Errorf("%d lines: %s", n, r.err)
			}
		})
	}
}
