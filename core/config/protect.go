package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/sys"
)

// Access bounds the banned list and says who is slowed after failed logins.
type Access struct {
	MaxBans int
	Logins  access.LoginPolicy
}

// Tables of the sections that protect the node.
var (
	accessKeys = table[Access]{
		{"max_bans", number(func(a *Access) *int { return &a.MaxBans }, 1, maxCount), "65536",
			"most bans, those of the flapping detector included"},
		{"login_backoff", setter[Access]{"failures, window, first, longest; or off", setLoginBackoff}, "30, 1m, 1s, 5m",
			"so many failed logins from one address within the window and it is refused (0x97; 3.x: 3) for the first time, twice as long after each further failure, never longer than the longest; who leaves before the answer has failed too; a success forgives; an IPv6 address counts as its /64"},
		{"login_backoff_exempt", setter[Access]{"list of addresses and networks", setLoginExempt}, "127.0.0.0/8,::1",
			"never refused: put a load balancer that hides its clients' addresses here"},
	}
	memoryKeys = table[sys.MemoryConfig]{
		{"high_watermark", level(func(m *sys.MemoryConfig) *sys.Level { return &m.High }), "80%",
			"memory of the process, in bytes or as a share of the machine's (or control group's), from which on new clients are refused (0x89; 3.x: 3) and an alarm is raised; 0: never"},
		{"low_watermark", level(func(m *sys.MemoryConfig) *sys.Level { return &m.Low }), "70%",
			"they are taken again when use has fallen below this"},
		{"check_interval", duration(func(m *sys.MemoryConfig) *time.Duration { return &m.Every }), "1s",
			"how often to look"},
	}
	alarmKeys = table[sys.AlarmsConfig]{
		{"actions", setter[sys.AlarmsConfig]{"list of log, publish", setAlarmActions}, "log,publish",
			"what an alarm does: a line in the log, a message on `$SYS/brokers/<node>/alarms/activate` and `.../deactivate`"},
		{"size_limit", number(func(a *sys.AlarmsConfig) *int { return &a.SizeLimit }, 1, 1<<20), "1000",
			"most active alarms, and most past ones that are remembered"},
		{"validity_period", duration(func(a *sys.AlarmsConfig) *time.Duration { return &a.Validity }), "24h",
			"how long past alarms are remembered; 0: until size_limit is reached"},
	}
)

// protectKeys are zone keys about bans, rates and quotas.
var protectKeys = table[zone]{
	{"enable_ban", toggle(func(z *zone) *bool { return &z.Access.EnableBan }), "on",
		"check the banned list at CONNECT (0x8A; 3.x: 5) and send connected clients away when they are banned (0x98)"},
	{"enable_flapping_detect", toggle(func(z *zone) *bool { return &z.FlapDetect }), "off",
		"ban client ids that come and go too often"},
	{"flapping_detect_policy", setter[zone]{"count, window, ban time", setFlapping}, "30, 1m, 5m",
		"so many disconnections within the window ban a client id for the time"},
	{"rate_limit.conn_messages_in", rate(func(z *zone) *channel.Rate { return &z.Limits.MessagesIn }, false), "",
		"PUBLISH packets of one connection: so many at once, and as many again in each period; what is over it is not read yet, and not lost"},
	{"rate_limit.conn_bytes_in", rate(func(z *zone) *channel.Rate { return &z.Limits.BytesIn }, true), "",
		"bytes of packets of one connection, likewise"},
	{"quota.conn_messages_routing", rate(func(z *zone) *channel.Rate { return &z.Limits.Routing }, false), "",
		"deliveries caused by one connection; over it QoS 0 is dropped, QoS 1 and 2 of 5.0 clients are refused (0x97), those of 3.x clients wait"},
	{"quota.overall_messages_routing", rate(func(z *zone) *channel.Rate { return &z.Limits.RoutingAll }, false), "",
		"deliveries caused by all connections of the zone on this node, likewise"},
}

// minPeriod is the shortest period of a rate: timers of connections are too
// coarse for less.
const minPeriod = time.Second

// rate reads "100,10s" or, of bytes, "100KB,10s"; "none" is no limit.
func rate[T any](field func(*T) *channel.Rate, bytes bool) setter[T] {
	kind := "number, period; or none"
	if bytes {
		kind = "bytes, period; or none"
	}
	return setter[T]{kind, func(to *T, v value) error {
		if v.text == "none" || v.text == "" {
			*field(to) = channel.Rate{}
			return nil
		}
		e := v.elements()
		if len(e) != 2 {
			return fmt.Errorf("%q is not a rate: write for example \"100,10s\" or none", v.text)
		}
		n, err := strconv.ParseInt(e[0], 10, 64)
		if bytes {
			n, err = parseBytes(e[0])
		}
		if err != nil || n < 1 || n > 1<<40 {
			return fmt.Errorf("%q: %q is not an amount", v.text, e[0])
		}
		per, err := parseDuration(e[1])
		if err != nil {
			return err
		}
		if per < minPeriod {
			return fmt.Errorf("%q: the period must be at least %v", v.text, minPeriod)
		}
		*field(to) = channel.Rate{Limit: n, Per: per}
		return nil
	}}
}

// level reads "80%", "2GB" or 0.
func level[T any](field func(*T) *sys.Level) setter[T] {
	return setter[T]{"bytes or percentage", func(to *T, v value) error {
		if strings.HasSuffix(v.text, "%") {
			f, err := parseFraction(v.text)
			if err != nil || f <= 0 || f > 1 {
				return fmt.Errorf("%q is not a share from 1%% to 100%%", v.text)
			}
			*field(to) = sys.Level{Share: f}
			return nil
		}
		n, err := parseBytes(v.text)
		if err == nil {
			*field(to) = sys.Level{Bytes: n}
		}
		return err
	}}
}

func setFlapping(z *zone, v value) error {
	e := v.elements()
	if len(e) != 3 {
		return fmt.Errorf("%q is not count, window, ban time: write for example \"30, 1m, 5m\"", v.text)
	}
	n, err := strconv.Atoi(e[0])
	if err != nil || n < 1 || n > maxCount {
		return fmt.Errorf("%q: %q is not a count", v.text, e[0])
	}
	times, err := durations(e[1:])
	if err != nil {
		return err
	}
	z.Flap = access.FlapPolicy{Count: n, Window: times[0], Ban: times[1]}
	return nil
}

func setLoginBackoff(a *Access, v value) error {
	exempt := a.Logins.Exempt
	if v.text == "off" || v.text == "false" {
		a.Logins = access.LoginPolicy{Exempt: exempt}
		return nil
	}
	e := v.elements()
	if len(e) != 4 {
		return fmt.Errorf("%q is not failures, window, first, longest: write for example \"30, 1m, 1s, 5m\" or off", v.text)
	}
	n, err := strconv.Atoi(e[0])
	if err != nil || n < 1 || n > maxCount {
		return fmt.Errorf("%q: %q is not a count", v.text, e[0])
	}
	times, err := durations(e[1:])
	if err != nil {
		return err
	}
	if times[1] > times[2] {
		return fmt.Errorf("%q: the first time is longer than the longest", v.text)
	}
	a.Logins = access.LoginPolicy{Failures: n, Window: times[0], First: times[1], Longest: times[2], Exempt: exempt}
	return nil
}

// durations reads positive durations.
func durations(es []string) ([]time.Duration, error) {
	var out []time.Duration
	for _, e := range es {
		d, err := parseDuration(e)
		if err != nil {
			return nil, err
		}
		if d <= 0 {
			return nil, fmt.Errorf("%q: the time must be positive", e)
		}
		out = append(out, d)
	}
	return out, nil
}

func setLoginExempt(a *Access, v value) error {
	a.Logins.Exempt = nil
	for _, e := range v.elements() {
		p, err := netip.ParsePrefix(e)
		if err != nil {
			addr, bad := netip.ParseAddr(e)
			if bad != nil {
				return fmt.Errorf("%q is neither an address nor a network: write for example 192.0.2.7 or 192.0.2.0/24", e)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		a.Logins.Exempt = append(a.Logins.Exempt, p)
	}
	return nil
}

func setAlarmActions(a *sys.AlarmsConfig, v value) error {
	a.Log, a.Publish = false, false
	for _, e := range v.elements() {
		switch e {
		case "log":
			a.Log = true
		case "publish":
			a.Publish = true
		default:
			return fmt.Errorf("%q is neither log nor publish", e)
		}
	}
	return nil
}

// protects looks at levels that exclude each other.
func (r *reader) protects(c *Config) {
	h, l := c.Memory.High, c.Memory.Low
	off := h == sys.Level{}
	if !off && (h.Share > 0) == (l.Share > 0) && (l.Share > h.Share || l.Bytes > h.Bytes || l == sys.Level{}) {
		r.fault([]string{"memory", "low_watermark"}, "must be positive and not above memory.high_watermark")
	}
}
