package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/dunlinmq/dunlin/core/config"
)

// readme is the block of the README in the language given that contains text.
func readme(t *testing.T, lang, text string) string {
	t.Helper()
	doc, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```"+lang+"\n(.*?)```").FindAllSubmatch(doc, -1) {
		if strings.Contains(string(m[1]), text) {
			return string(m[1])
		}
	}
	t.Fatalf("the README has no %s block with %q", lang, text)
	return ""
}

func write(t *testing.T, text string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// buildWASM builds a plugin of one file as the Makefile does.
func buildWASM(t *testing.T, source, out string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, source)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
}

// foreground runs `dunlin foreground` with dir as its home until the test ends,
// and returns the address of its first listener.
func foreground(t *testing.T, dir string) string {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"foreground", "--home", dir}, &out, &errs) }()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("foreground ended with %d:\n%s", code, &errs)
		}
	})
	var st statusView
	limit, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := until(limit, "the node does not answer", func() (bool, error) {
		select {
		case code := <-ended:
			ended <- code
			t.Fatalf("foreground ended with %d:\n%s", code, &errs)
		default:
		}
		r := dunlin(t, "ctl", "status", "-o", "json", "--home", dir)
		return r.code == exitOK && json.Unmarshal([]byte(r.out), &st) == nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return st.Listeners[0].Address
}

// The plugin in ten lines does what the README says, and can be changed while a
// client stays connected.
func TestReadmePlugin(t *testing.T) {
	dir := home(t, oneListener+"plugins.allow_unpinned = true\nsys.names = \"emqx\"\n")
	write(t, readme(t, "go", "type hush"), dir, "src", "main.go")
	write(t, readme(t, "toml", `name = "hush"`), dir, "plugins", "hush", "plugin.toml")
	buildWASM(t, filepath.Join(dir, "src", "main.go"), filepath.Join(dir, "plugins", "hush", "hush.wasm"))
	address := foreground(t, dir)

	heard := make(chan string, 10)
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + address).SetAutoReconnect(false).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { heard <- m.Topic() }))
	finish(t, client.Connect())
	defer client.Disconnect(0)
	finish(t, client.Subscribe("#", 1, nil))
	// hears publishes to a secret topic and to an open one, and says which came
	// first: order is kept, so the open one shows that the other did not come.
	hears := func() string {
		for _, topic := range []string{"secret/x", "open/x"} {
			finish(t, client.Publish(topic, 1, false, "m"))
		}
		first := <-heard
		if first != "open/x" {
			<-heard
		}
		return first
	}
	if got := hears(); got != "secret/x" {
		t.Errorf("without the plugin %s came first", got)
	}
	dunlin(t, "ctl", "plugins", "load", "hush", "--home", dir).check(t, exitOK, "Plugin hush loaded successfully.", "")
	if got := hears(); got != "open/x" {
		t.Errorf("with the plugin %s came first", got)
	}
	dunlin(t, "ctl", "plugins", "unload", "hush", "--home", dir).check(t, exitOK, "Plugin hush unloaded successfully.", "")
	if got := hears(); got != "secret/x" {
		t.Errorf("after the plugin %s came first", got)
	}
	if !client.IsConnected() {
		t.Error("the client was disconnected")
	}
}

func finish(t *testing.T, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(10 * time.Second) {
		t.Fatal("no answer in time")
	}
	if err := token.Error(); err != nil {
		t.Fatal(err)
	}
}

// The ports that the README names are those of the standard listeners.
func TestReadmePorts(t *testing.T) {
	dir := home(t, "")
	dunlin(t, "cert", "dev", "--home", dir).check(t, exitOK, "", "")
	c, err := config.Load(filepath.Join(dir, "etc", "dunlin.toml"), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range c.Listeners {
		_, port, err := net.SplitHostPort(l.Bind)
		if err != nil || !strings.Contains(string(doc), "| "+port+" |") {
			t.Errorf("the README does not name port %s of %s (%v)", port, l.ID(), err)
		}
	}
}
