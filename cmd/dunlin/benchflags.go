package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dunlinmq/dunlin/bench/load"
)

// benchOptions are the flags of the bench commands, named as emqtt_bench names
// its own.
type benchOptions struct {
	cfg load.Config

	version            string
	interval, msgEvery int // milliseconds
	ssl, ws, insecure  bool
	cacert, cert, key  string
	ifaddr             []string
	qos                int
	message            string
	keepalive          uint16
	clean              bool
}

// standard is what a command does when it is told nothing: count of clients and
// milliseconds between the messages of one (0: as fast as the window lets).
var standard = map[load.Kind]struct{ count, every int }{
	load.Conn: {200, 0}, load.Pub: {200, 1000}, load.Sub: {200, 0},
	load.P2P: {10, 0}, load.Fan: {100, 0}, load.Storm: {10, 0},
}

func (o *benchOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	// Here -h is the host and -c the count, as every user of emqtt_bench expects.
	f.Bool("help", false, "help for "+cmd.Name())
	f.String("config", "", "not used by bench")
	if err := f.MarkHidden("config"); err != nil {
		panic(err) // the flag is defined above
	}
	o.targetFlags(f)
	o.clientFlags(f)
	k := o.cfg.Kind
	flow := &o.cfg.Flow
	if k != load.Conn {
		f.StringVarP(&flow.Topic, "topic", "t", "", "topic or filter; %i is the client's number, %c its identifier, %u its user name")
		f.IntVarP(&o.qos, "qos", "q", 0, "quality of service: 0, 1 or 2")
		f.DurationVar(&o.cfg.Pace.Warm, "warm", time.Second, "how long the load runs before it is measured")
	}
	if k != load.Conn && k != load.Sub {
		f.IntVarP(&flow.Size, "size", "s", 256, "bytes of a payload")
	}
	if k == load.Pub || k == load.P2P || k == load.Fan {
		f.IntVarP(&o.msgEvery, "interval_of_msg", "I", standard[k].every, "milliseconds between the messages of one publisher; 0: as fast as the window lets")
		f.Float64Var(&flow.Rate, "rate", 0, "messages a second, of all publishers together; over -I")
		f.IntVarP(&flow.Window, "inflight", "F", 100, "messages that a publisher has under way at once")
		f.Uint64VarP(&flow.Limit, "limit", "L", 0, "end after so many messages; 0: after the duration")
	}
	if k == load.Pub {
		f.BoolVarP(&flow.Retain, "retain", "r", false, "publish retained messages")
		f.StringVarP(&o.message, "message", "m", "", "the payload, or template:// and the file that has it; over -s")
	}
	if k == load.Fan {
		f.BoolVar(&flow.In, "in", false, "many publishers to one subscriber instead of one to many")
	}
	f.DurationVarP(&o.cfg.Pace.Duration, "duration", "d", 10*time.Second, "how long to measure; Ctrl-C ends it early")
	f.DurationVar(&o.cfg.Pace.Timeout, "timeout", 10*time.Second, "how long a handshake may take")
	f.IntVar(&o.cfg.PID, "pid", 0, "process of the broker, whose processor time and memory to measure (Linux)")
	if k != load.Fan {
		f.IntVar(&o.cfg.Threads, "threads", 1, "threads that the clients are spread over")
	}
}

func (o *benchOptions) targetFlags(f *pflag.FlagSet) {
	t := &o.cfg.Target
	f.StringVarP(&t.Host, "host", "h", "localhost", "the broker's name or address")
	f.IntVarP(&t.Port, "port", "p", 0, "the broker's port (default 1883; 8883 with --ssl, 8083 with --ws, 8084 with both)")
	f.BoolVarP(&o.ssl, "ssl", "S", false, "connect by TLS")
	f.StringVar(&o.cacert, "cacertfile", "", "certificates to trust (default the system's)")
	f.StringVar(&o.cert, "certfile", "", "the clients' certificate")
	f.StringVar(&o.key, "keyfile", "", "the key of the clients' certificate")
	f.BoolVar(&o.insecure, "insecure", false, "trust any certificate of the broker")
	f.BoolVar(&o.ws, "ws", false, "connect by WebSocket")
	f.StringVar(&t.WebSocket, "ws-path", "/mqtt", "path of the WebSocket endpoint")
	f.StringSliceVar(&o.ifaddr, "ifaddr", nil, "addresses to connect from, in turn")
	f.BoolVar(&t.Own, "i-own-this-broker", false, "load a broker on another machine")
}

func (o *benchOptions) clientFlags(f *pflag.FlagSet) {
	n := &o.cfg.Clients
	count := map[load.Kind]string{load.P2P: "pairs of clients", load.Fan: "subscribers (publishers with --in)", load.Storm: "clients at once"}[o.cfg.Kind]
	if count == "" {
		count = "clients"
	}
	f.IntVarP(&n.Count, "count", "c", standard[o.cfg.Kind].count, count)
	f.IntVarP(&n.Start, "startnumber", "n", 0, "number of the first client")
	f.StringVar(&n.Prefix, "prefix", "", "what client identifiers begin with (default bench- and a random number)")
	f.StringVarP(&o.version, "version", "V", "3.1.1", "protocol version: 3.1, 3.1.1 or 5.0 (also 3, 4, 5)")
	f.StringVarP(&n.Username, "username", "u", "", "user name; %i is the client's number")
	f.StringVarP(&n.Password, "password", "P", "", "password")
	f.Uint16VarP(&o.keepalive, "keepalive", "k", 300, "keep alive in seconds")
	f.BoolVarP(&o.clean, "clean", "C", true, "start with a clean session")
	if o.cfg.Kind != load.Storm {
		f.IntVarP(&o.interval, "interval", "i", 0, "milliseconds between connecting clients; 0: as fast as the broker answers")
		f.Float64VarP(&o.cfg.Pace.ConnRate, "connrate", "R", 0, "connections a second; over -i")
	}
}

// settle makes the configuration of what the flags say.
func (o *benchOptions) settle(f *pflag.FlagSet) error {
	c := &o.cfg
	var ok bool
	var faults []error
	if f.Changed("message") {
		c.Flow.Payload = []byte(o.message)
		if file, ok := strings.CutPrefix(o.message, "template://"); ok {
			var err error
			if c.Flow.Payload, err = os.ReadFile(file); err != nil {
				faults = append(faults, fmt.Errorf("--message: %w", err))
			}
		}
	}
	if c.Clients.Version, ok = load.Speaks(o.version); !ok {
		faults = append(faults, fmt.Errorf("-V %s is none of 3.1, 3.1.1, 5.0", o.version))
	}
	if o.qos < 0 || o.qos > 2 {
		faults = append(faults, fmt.Errorf("-q %d is none of 0, 1, 2", o.qos))
	}
	if o.interval < 0 || o.msgEvery < 0 {
		faults = append(faults, errors.New("an interval is negative"))
	}
	if c.Target.Port == 0 {
		c.Target.Port = map[[2]bool]int{{false, false}: 1883, {true, false}: 8883, {false, true}: 8083, {true, true}: 8084}[[2]bool{o.ssl, o.ws}]
	}
	if !o.ws {
		c.Target.WebSocket = ""
	}
	for _, s := range o.ifaddr {
		a, err := netip.ParseAddr(s)
		if err != nil {
			faults = append(faults, fmt.Errorf("--ifaddr %s: %w", s, err))
		}
		c.Target.Bind = append(c.Target.Bind, a)
	}
	c.Flow.QoS, c.Clients.KeepAlive, c.Clients.Persist = byte(max(o.qos, 0)), o.keepalive, !o.clean
	if c.Pace.ConnRate == 0 && o.interval > 0 {
		c.Pace.ConnRate = 1000 / float64(o.interval)
	}
	if c.Flow.Rate == 0 && o.msgEvery > 0 {
		n := c.Clients.Count
		if c.Kind == load.Fan && !c.Flow.In {
			n = 1
		}
		c.Flow.Rate = 1000 / float64(o.msgEvery) * float64(n)
	}
	if o.ssl {
		var err error
		if c.Target.TLS, err = o.tls(); err != nil {
			faults = append(faults, err)
		}
	} else {
		for _, name := range []string{"cacertfile", "certfile", "keyfile", "insecure"} {
			if f.Changed(name) {
				faults = append(faults, fmt.Errorf("--%s is for --ssl", name))
			}
		}
	}
	return errors.Join(faults...)
}

func (o *benchOptions) tls() (*tls.Config, error) {
	c := &tls.Config{InsecureSkipVerify: o.insecure, ClientSessionCache: nil}
	if o.cacert != "" {
		text, err := os.ReadFile(o.cacert)
		if err != nil {
			return nil, fmt.Errorf("--cacertfile: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--cacertfile %s has no certificate", o.cacert)
		}
	}
	if (o.cert == "") != (o.key == "") {
		return nil, errors.New("--certfile and --keyfile go together")
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, fmt.Errorf("--certfile: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
