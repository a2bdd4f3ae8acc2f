//go:build !wasip1

package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// block is a connection block of mosquitto.conf on its way to a bridge.
type block struct {
	name, version                     string
	addresses                         []string
	keys                              []string // lines of TOML
	topics                            []string
	secure                            bool
	notifications                     bool
	notificationTopic, clientID, user string
}

// fromMosquitto turns the connection blocks of a mosquitto.conf into this plugin's
// [config]. What is not understood is told in notes.
func fromMosquitto(text string) (toml string, notes []string, err error) {
	var blocks []*block
	var b *block
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, _ := strings.Cut(line, " ")
		if value = strings.TrimSpace(value); key == "connection" {
			b = &block{name: value, version: "3.1.1", notifications: true}
			blocks = append(blocks, b)
			continue
		}
		if slices.Contains(elsewhere, key) {
			b = nil // another kind of block
		}
		if b == nil {
			continue
		}
		note, err := b.line(key, value)
		if err != nil {
			return "", nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		if note != "" {
			notes = append(notes, fmt.Sprintf("line %d: %s", i+1, note))
		}
	}
	if len(blocks) == 0 {
		return "", nil, errors.New("there is no connection block")
	}
	var out strings.Builder
	for _, b := range blocks {
		if err := b.write(&out); err != nil {
			return "", nil, err
		}
	}
	return out.String(), notes, nil
}

// elsewhere are keys that end a connection block.
var elsewhere = []string{"listener", "port", "include_dir", "plugin", "auth_plugin"}

// left are the keys of a bridge that have no counterpart, and what becomes of them.
var left = map[string]string{
	"bridge_attempt_unsubscribe": "nothing is unsubscribed: a route that is taken away stays subscribed until the other broker's session ends",
	"bridge_outgoing_retain":     "RETAIN always goes along",
	"bridge_max_packet_size":     "what the other broker says in its CONNACK counts (5.0)",
	"bridge_bind_address":        "the system chooses the source address",
	"bridge_alpn":                "no ALPN is sent",
	"bridge_tls_version":         "TLS 1.2 and 1.3 are spoken",
	"bridge_require_ocsp":        "OCSP is not asked for: certificates are checked without it",
	"bridge_capath":              "a folder of authorities is not read: join them in one file as ca_file, or the system's are taken",
	"bridge_identity":            "there is no TLS with a shared key: the bridge needs certificates",
	"bridge_psk":                 "there is no TLS with a shared key: the bridge needs certificates",
	"local_clientid":             "a bridge is no client of this broker and needs no identifier here",
	"local_username":             "a bridge is no client of this broker and needs no name here",
	"local_password":             "a bridge is no client of this broker and needs no password here",
	"local_cleansession":         "the queue to the other broker is always kept",
	"idle_timeout":               "a bridge is started by ctl and stays connected",
	"threshold":                  "a bridge is started by ctl and stays connected",
	"notifications_local_only":   "this broker tells of its bridges by ctl and not by a topic",
}

// texts are keys whose values are taken over as texts, under other names.
var texts = map[string]string{
	"remote_password": "password", "password": "password", "bridge_cafile": "ca_file", "bridge_certfile": "cert_file", "bridge_keyfile": "key_file",
}

// line takes one line of a block.
func (b *block) line(key, value string) (note string, err error) {
	set := func(format string, args ...any) { b.keys = append(b.keys, fmt.Sprintf(format, args...)) }
	if name := texts[key]; name != "" {
		b.secure = b.secure || strings.HasPrefix(key, "bridge_")
		set("%s = %s", name, quote(value))
		return "", nil
	}
	switch key {
	case "address", "addresses":
		b.addresses = strings.Fields(value)
	case "round_robin":
		set("round_robin = %t", value == "true")
	case "topic":
		return b.topic(value)
	case "bridge_protocol_version":
		b.version = map[string]string{"mqttv50": "5.0", "mqttv311": "3.1.1", "mqttv31": "3.1.1"}[value]
		if b.version == "" {
			return "", fmt.Errorf("bridge_protocol_version %s", value)
		}
	case "remote_clientid", "clientid":
		b.clientID = value
	case "remote_username", "username":
		b.user = value
	case "cleansession":
		set("clean = %t", value == "true")
	case "keepalive_interval":
		return "", b.seconds("keepalive", value)
	case "restart_timeout":
		return "", b.restart(strings.Fields(value))
	case "start_type":
		set("start = %t", value == "automatic")
		if value == "lazy" || value == "once" {
			note = "start_type " + value + " becomes a bridge that ctl starts"
		}
	case "try_private":
		set("bridge_mode = %t", value == "true")
	case "notifications":
		b.notifications = value == "true"
	case "notification_topic":
		b.notificationTopic = value
	case "bridge_insecure":
		b.secure = true
		set("insecure = %t", value == "true")
	case "max_inflight_messages":
		set("max_inflight = %s", value)
	default:
		return b.leave(key, value), nil
	}
	return note, nil
}

// leave is what is told of a key that is not taken over.
func (b *block) leave(key, value string) string {
	b.secure = b.secure || slices.Contains([]string{"bridge_capath", "bridge_identity", "bridge_psk", "bridge_tls_version", "bridge_alpn"}, key)
	if key == "notifications_local_only" && value == "true" {
		b.notifications = false
	}
	if why := left[key]; why != "" {
		return key + " is left out: " + why
	}
	return key + " is not known of a bridge and is left out"
}

// restart is "[base] cap" of the pauses between connections.
func (b *block) restart(words []string) error {
	if len(words) == 0 {
		return errors.New("restart_timeout has no value")
	}
	if len(words) > 1 {
		if err := b.seconds("reconnect_min", words[0]); err != nil {
			return err
		}
	}
	return b.seconds("reconnect_max", words[len(words)-1])
}

func (b *block) seconds(name, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return fmt.Errorf("%s: %q is not a number of seconds", name, value)
	}
	b.keys = append(b.keys, fmt.Sprintf("%s = \"%ds\"", name, max(n, 1)))
	return nil
}

// topic is "pattern [[[ out | in | both ] qos] local_prefix remote_prefix]".
func (b *block) topic(value string) (note string, err error) {
	w := strings.Fields(value)
	if len(w) == 0 || len(w) > 5 {
		return "", fmt.Errorf("topic %s: want pattern, direction, qos, local prefix, remote prefix", value)
	}
	for i := range w {
		if w[i] == `""` {
			w[i] = ""
		}
	}
	w = append(w, []string{"", "out", "0", "", ""}[len(w):]...)
	r := route{Filter: w[0], Direction: w[1], LocalPrefix: w[3], RemotePrefix: w[4]}
	q, err := strconv.ParseUint(w[2], 10, 8)
	if err != nil {
		return "", fmt.Errorf("topic %s: qos %s", value, w[2])
	}
	qos := byte(q)
	r.QoS = &qos
	if err := r.check(); err != nil {
		return "", fmt.Errorf("topic %s: %w", value, err)
	}
	b.topics = append(b.topics, fmt.Sprintf("{filter = %s, direction = %q, qos = %d, local_prefix = %s, remote_prefix = %s}",
		quote(r.Filter), r.Direction, qos, quote(r.LocalPrefix), quote(r.RemotePrefix)))
	return "", nil
}

// write appends the block as a table.
func (b *block) write(out *strings.Builder) error {
	if b.name == "" || len(b.addresses) == 0 {
		return fmt.Errorf("connection %q has no address", b.name)
	}
	if len(b.topics) == 0 {
		return fmt.Errorf("connection %q has no topic", b.name)
	}
	fmt.Fprintf(out, "[config.bridges.%s]\naddress = %s\n", quote(b.name), quote(b.url(b.addresses[0])))
	if more := b.addresses[1:]; len(more) > 0 {
		list := make([]string, len(more))
		for i, a := range more {
			list[i] = quote(b.url(a))
		}
		fmt.Fprintf(out, "addresses = [%s]\n", strings.Join(list, ", "))
	}
	fmt.Fprintf(out, "protocol = %q\n", b.version)
	if b.clientID != "" {
		fmt.Fprintf(out, "client_id = %s\n", quote(b.clientID))
	}
	if b.user != "" {
		fmt.Fprintf(out, "username = %s\n", quote(b.user))
	}
	if b.notifications {
		topic := b.notificationTopic
		if topic == "" {
			topic = "$SYS/broker/connection/" + b.name + "/state"
		}
		fmt.Fprintf(out, "presence = %s\n", quote(topic))
	}
	for _, k := range b.keys {
		fmt.Fprintln(out, k)
	}
	fmt.Fprintf(out, "topics = [\n  %s,\n]\n\n", strings.Join(b.topics, ",\n  "))
	return nil
}

// url is an address in this plugin's form.
func (b *block) url(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), map[bool]string{true: "8883", false: "1883"}[b.secure]
	}
	return map[bool]string{true: "ssl", false: "tcp"}[b.secure] + "://" + net.JoinHostPort(host, port)
}

// quote writes a TOML string.
func quote(s string) string {
	if !strings.ContainsAny(s, "'\n") {
		return "'" + s + "'"
	}
	return strconv.Quote(s)
}
