package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// python is Debian's, which has the Paho package of Debian.
const python = "/usr/bin/python3"

// trip is one round trip that a client library does: connect, subscribe,
// publish, receive. It is also the JSON form that the scripts read.
type trip struct {
	Name      string         `json:"name"`
	Transport string         `json:"transport"` // a listener's protocol
	Host      string         `json:"host"`
	Port      int            `json:"port"`
	Version   packet.Version `json:"version"`
	QoS       byte           `json:"qos"`
	Username  string         `json:"username,omitempty"`
	Password  string         `json:"password,omitempty"`
	CA        string         `json:"ca,omitempty"`
	Payload   []byte         `json:"payload"`
	Timeout   int            `json:"timeout"` // seconds
}

// library is a client and what it speaks.
type library struct {
	name       string
	transports []string
	versions   []packet.Version
}

// trips are all the round trips of a library, with and without credentials,
// which an anonymous broker does not know and accepts.
func (l library) trips(b *broker) (all []trip) {
	payload := bytes.Repeat([]byte("0123456789abcde\x00"), 1<<10) // ends with a NUL, as collectd's do
	for _, transport := range l.transports {
		for _, version := range l.versions {
			for qos := range byte(3) {
				port, err := strconv.Atoi(b.port(transport + ":external"))
				if err != nil {
					b.t.Fatal(err)
				}
				t := trip{
					Transport: transport, Host: "127.0.0.1", Port: port, Version: version, QoS: qos,
					Payload: payload, Timeout: int(patience.Seconds()),
				}
				if transport == "ssl" || transport == "wss" {
					t.CA = b.ca()
				}
				// 3.1 has client ids of at most 23 characters.
				t.Name = fmt.Sprintf("%s-%s-%d-%d", l.name, transport, version, qos)
				all = append(all, t)
				t.Name, t.Username, t.Password = t.Name+"-pw", "nobody", "knows this"
				all = append(all, t)
			}
		}
	}
	return all
}

// ca is the certificate of the development authority.
func (b *broker) ca() string { return filepath.Join(b.home, "etc", "certs", "cacert.pem") }

// all is every transport and every version.
var (
	allTransports = []string{"tcp", "ssl", "ws", "wss"}
	allVersions   = []packet.Version{v31, v311, v5}
)

// script runs one of the scripts in clients with the trips as its input and
// reports each trip as a subtest.
func (b *broker) script(t *testing.T, l library, name string, args ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	trips := l.trips(b)
	input, err := json.Marshal(trips)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = filepath.Join(repo, "test", "clients")
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out, &stderr)
	}
	results := map[string]string{}
	for line := range strings.Lines(string(out)) {
		var r struct{ Name, Error string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s printed %q", name, line)
		}
		results[r.Name] = r.Error
	}
	for _, c := range trips {
		t.Run(c.Name, func(t *testing.T) {
			if failure, ran := results[c.Name]; !ran || failure != "" {
				t.Errorf("ran: %v, %s\n%s", ran, failure, &stderr)
			}
		})
	}
}

// MQTT.js, all four transports, all three versions, each QoS.
func TestMQTTJS(t *testing.T) {
	t.Parallel()
	b := start(t, setup{})
	b.script(t, library{"js", allTransports, allVersions}, "node", "roundtrips.js")
}

// Paho for Python, all four transports, all three versions, each QoS.
func TestPahoPython(t *testing.T) {
	t.Parallel()
	b := start(t, setup{})
	b.script(t, library{"py", allTransports, allVersions}, python, "roundtrips.py")
}

// The sample that the users of the broker begin with runs as it is; only the
// address is theirs. It answers a message that is published to it.
func TestPahoPythonSample(t *testing.T) {
	t.Parallel()
	b := start(t, setup{})
	text, err := os.ReadFile(filepath.Join("clients", "sample.py"))
	if err != nil {
		t.Fatal(err)
	}
	code := strings.NewReplacer("XXX.XXX.XXX.XXX", "127.0.0.1", "1883", b.port("tcp:external")).Replace(string(text))
	cmd := exec.Command(python, "-u", "-c", code)
	cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The sample runs until it is ended.
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	lines := bufio.NewScanner(out)
	until(t, lines, "连接成功")
	until(t, lines, "订阅成功")

	c := b.dial(v311)
	c.connect("tester")
	c.subscribe("/pub/product/1998/1222222222/set", 0)
	c.publish("/sub/product/1998/1222222222/set", `{"request_id": "r1", "name": "灯"}`, 1)
	p := c.message()
	var answer struct {
		RequestID string `json:"request_id"`
		ErrCode   int    `json:"errcode"`
		Data      struct{ OK string }
	}
	if err := json.Unmarshal(p.Payload, &answer); err != nil {
		t.Fatal(err)
	}
	if answer.RequestID != "r1" || answer.ErrCode != 2002 || answer.Data.OK != "success" {
		t.Errorf("the sample answered %s", p.Payload)
	}
	until(t, lines, "发送成功")
}

// until reads lines until one is what is waited for.
func until(t *testing.T, lines *bufio.Scanner, want string) {
	t.Helper()
	for lines.Scan() {
		if lines.Text() == want {
			return
		}
	}
	if err := lines.Err(); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	t.Fatalf("the output ended before %q", want)
}
