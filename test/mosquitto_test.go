package test

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/packet"
)

// mosquitto is one of the tools of mosquitto-clients, pointed at a listener.
type mosquitto struct {
	b       *broker
	tool    string // pub, sub or rr
	id      string // listener
	version packet.Version
}

// command adds the address to args.
func (m mosquitto) command(args ...string) *exec.Cmd {
	version := map[packet.Version]string{v31: "31", v311: "311", v5: "5"}[m.version]
	all := append([]string{"-V", version, "-h", "127.0.0.1", "-p", m.b.port(m.id)}, args...)
	if m.id == "ssl:external" {
		all = append(all, "--cafile", m.b.ca())
	}
	// The tools do not flush what they tell of themselves.
	return exec.Command("stdbuf", append([]string{"-oL", "mosquitto_" + m.tool}, all...)...)
}

// run runs the tool to its end.
func (m mosquitto) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := m.command(args...)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

// pub publishes with mosquitto_pub.
func (m mosquitto) pub(t *testing.T, args ...string) {
	t.Helper()
	m.tool = "pub"
	m.run(t, args...)
}

// listening is a mosquitto_sub that runs.
type listening struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

// sub starts mosquitto_sub and returns when it has subscribed. It ends with the
// test at the latest.
func (m mosquitto) sub(t *testing.T, args ...string) *listening {
	t.Helper()
	m.tool = "sub"
	cmd := m.command(append(args, "-d", "-F", "message %t %q %r %p")...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := &listening{t: t, cmd: cmd, lines: bufio.NewScanner(out)}
	deadline := time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		deadline.Stop()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	l.until("Subscribed ")
	return l
}

// until reads to a line that begins with prefix and returns the rest of it.
func (l *listening) until(prefix string) string {
	l.t.Helper()
	var seen []string
	for l.lines.Scan() {
		if rest, ok := strings.CutPrefix(l.lines.Text(), prefix); ok {
			return rest
		}
		seen = append(seen, l.lines.Text())
	}
	l.t.Fatalf("mosquitto_sub ended before %q:\n%s", prefix, strings.Join(seen, "\n"))
	return ""
}

// expect insists on the next message: topic, QoS, retain flag and payload.
func (l *listening) expect(want string) {
	l.t.Helper()
	if got := l.until("message "); got != want {
		l.t.Errorf("mosquitto_sub got %q, want %q", got, want)
	}
}

// eachMosquitto runs a subtest for tcp and ssl and each version.
func eachMosquitto(t *testing.T, b *broker, run func(*testing.T, mosquitto)) {
	for _, id := range []string{"tcp:external", "ssl:external"} {
		for _, v := range allVersions {
			t.Run(fmt.Sprintf("%s %v", id, v), func(t *testing.T) { run(t, mosquitto{b: b, id: id, version: v}) })
		}
	}
}

// What is received has the lower QoS of publish and subscription
// [MQTT-3.8.4-8], over every version and transport of the tools.
func TestMosquittoQoS(t *testing.T) {
	t.Parallel()
	b := start(t, setup{})
	eachMosquitto(t, b, func(t *testing.T, m mosquitto) {
		for subQoS := range 3 {
			topic := fmt.Sprintf("qos/%s/%d/%d", m.id, m.version, subQoS)
			sub := m.sub(t, "-t", topic, "-q", fmt.Sprint(subQoS), "-u", "nobody", "-P", "knows")
			for pubQoS := range 3 {
				payload := fmt.Sprintf("at %d", pubQoS)
				m.pub(t, "-t", topic, "-q", fmt.Sprint(pubQoS), "-m", payload)
				sub.expect(fmt.Sprintf("%s %d 0 %s", topic, min(subQoS, pubQoS), payload))
			}
		}
	})
}

// A retained message comes to a later subscriber with the flag set, and an empty
// one takes it away [MQTT-3.3.1-6].
func TestMosquittoRetained(t *testing.T) {
	t.Parallel()
	b := start(t, setup{plugins: []string{"retainer"}})
	eachMosquitto(t, b, func(t *testing.T, m mosquitto) {
		topic := fmt.Sprintf("retained/%s/%d", m.id, m.version)
		m.pub(t, "-t", topic, "-q", "1", "-r", "-m", "kept")
		sub := m.sub(t, "-t", topic, "-q", "1")
		sub.expect(topic + " 1 1 kept")
		m.pub(t, "-t", topic, "-q", "1", "-r", "-n")
		sub.expect(topic + " 1 0 ")
		late := m.sub(t, "-t", topic, "-q", "1")
		m.pub(t, "-t", topic, "-q", "1", "-m", "live")
		late.expect(topic + " 1 0 live")
	})
}

// The will of a client that is killed is published; that of one that says
// goodbye is not [MQTT-3.1.2-8], [MQTT-3.1.2-10].
func TestMosquittoWill(t *testing.T) {
	t.Parallel()
	b := start(t, setup{})
	eachMosquitto(t, b, func(t *testing.T, m mosquitto) {
		topic := fmt.Sprintf("will/%s/%d", m.id, m.version)
		watch := m.sub(t, "-t", topic+"/#", "-q", "2")
		polite := m
		polite.pub(t, "-t", topic+"/said", "-m", "hello", "-q", "1",
			"--will-topic", topic+"/gone", "--will-payload", "never", "--will-qos", "1")
		watch.expect(topic + "/said 1 0 hello")
		victim := m.sub(t, "-t", "nothing", "--will-topic", topic+"/gone", "--will-payload", "killed", "--will-qos", "2")
		if err := victim.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		watch.expect(topic + "/gone 2 0 killed")
	})
}

// A session without clean session keeps its subscriptions and the QoS 1 and 2
// messages that come while nobody is there.
func TestMosquittoSession(t *testing.T) {
	t.Parallel()
	b := start(t, setup{})
	eachMosquitto(t, b, func(t *testing.T, m mosquitto) {
		topic := fmt.Sprintf("session/%s/%d", m.id, m.version)
		args := []string{"-t", topic, "-q", "2", "-c", "-i", fmt.Sprintf("keeper-%.3s-%d", m.id, m.version)}
		if m.version == v5 {
			args = append(args, "-x", "600")
		}
		once := m
		once.tool = "sub"
		once.run(t, append(args, "-E")...)
		for qos := 1; qos <= 2; qos++ {
			m.pub(t, "-t", topic, "-q", fmt.Sprint(qos), "-m", fmt.Sprintf("waited %d", qos))
		}
		out := once.run(t, append(args, "-C", "2", "-F", "%q %p")...)
		if out != "1 waited 1\n2 waited 2\n" {
			t.Errorf("after the pause came %q", out)
		}
	})
}

// Request and response with mosquitto_rr: the response topic and the correlation
// data travel unchanged [MQTT-3.3.2-15], [MQTT-3.3.2-16].
func TestMosquittoRequestResponse(t *testing.T) {
	t.Parallel()
	b := start(t, setup{})
	for _, id := range []string{"tcp:external", "ssl:external"} {
		t.Run(id, func(t *testing.T) {
			answered := make(chan struct{})
			server := b.dial(v5)
			server.connect("server-" + id)
			server.subscribe("ask/"+id, 1)
			go func() {
				defer close(answered)
				q, err := server.tryMessage()
				if err != nil {
					t.Error(err)
					return
				}
				to, _ := q.Props.String(packet.PropResponseTopic)
				data, _ := q.Props.Bytes(packet.PropCorrelationData)
				if string(data) != "number 7" {
					t.Errorf("correlation data %q", data)
				}
				err = server.trySend(&packet.Publish{
					Topic: to, Payload: append([]byte("answer to "), q.Payload...),
					Props: packet.AppendBytesProp(nil, packet.PropCorrelationData, data),
				})
				if err != nil {
					t.Error(err)
				}
			}()
			rr := mosquitto{b: b, tool: "rr", id: id, version: v5}
			out := rr.run(t, "-t", "ask/"+id, "-e", "answers/"+id, "-q", "1", "-m", "question",
				"-D", "PUBLISH", "correlation-data", "number 7")
			<-answered
			if out != "answer to question\n" {
				t.Errorf("mosquitto_rr printed %q", out)
			}
		})
	}
}

// A listener that demands a certificate takes mosquitto_pub with one of the
// authority, names it by it, and refuses it without one.
func TestMosquittoClientCertificate(t *testing.T) {
	t.Parallel()
	b := start(t, setup{listeners: `[listener.tcp.external]
bind = "127.0.0.1:0"
[listener.ssl.external]
bind = "127.0.0.1:0"
certfile = "etc/certs/cert.pem"
keyfile = "etc/certs/key.pem"
cacertfile = "etc/certs/cacert.pem"
verify = "verify_peer"
fail_if_no_peer_cert = true
peer_cert_as_username = "cn"
`})
	m := mosquitto{b: b, id: "ssl:external", version: v311}
	certs := func(name string) string { return filepath.Join(b.home, "etc", "certs", name) }
	own := []string{"--cert", certs("client-cert.pem"), "--key", certs("client-key.pem")}
	c := b.dial(v5)
	c.connect("watcher")
	c.subscribe("#", 1)
	m.pub(t, append(own, "-t", "with/certificate", "-m", "m", "-q", "1")...)
	c.expect("with/certificate", "m")
	watch := m.sub(t, append(own, "-t", "x", "-i", "named")...)
	if out := b.ctl("clients", "show", "named", "-o", "json"); !strings.Contains(out, `"username": "dev-client"`) {
		t.Errorf("the client is %s", out)
	}
	if err := watch.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	m.tool = "pub"
	if out, err := m.command("-t", "without", "-m", "m", "-q", "1").CombinedOutput(); err == nil {
		t.Errorf("without a certificate: %s", out)
	}
	m.pub(t, append(own, "-t", "after", "-m", "m", "-q", "1")...)
	c.expect("after", "m")
}
