package config

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/channel"
	"github.com/dunlinmq/dunlin/core/sys"
)

func TestProtectionDefaults(t *testing.T) {
	c := mustParse(t, plainTCP)
	z := c.Zones["external"]
	if !z.Access.EnableBan || z.FlapDetect || z.Limits != (channel.Limits{}) ||
		z.Flap != (access.FlapPolicy{Count: 30, Window: time.Minute, Ban: 5 * time.Minute}) {
		t.Errorf("zone external: %+v %+v", z.Flap, z.Limits)
	}
	if c.Zones["internal"].Access.EnableBan {
		t.Error("bans hold in the zone internal")
	}
	l := c.Access.Logins
	if c.Access.MaxBans != 65536 || l.Failures != 30 || l.Window != time.Minute || l.First != time.Second || l.Longest != 5*time.Minute {
		t.Errorf("access is %+v", c.Access)
	}
	if want := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}; !slices.Equal(l.Exempt, want) {
		t.Errorf("exempt %v", l.Exempt)
	}
	if want := (sys.MemoryConfig{High: sys.Level{Share: 0.8}, Low: sys.Level{Share: 0.7}, Every: time.Second}); c.Memory != want {
		t.Errorf("memory is %+v", c.Memory)
	}
	if want := (sys.AlarmsConfig{Node: c.Node.Name, Log: true, Publish: true, SizeLimit: 1000, Validity: 24 * time.Hour}); c.Alarms != want {
		t.Errorf("alarms are %+v", c.Alarms)
	}
}

func TestProtectionKeys(t *testing.T) {
	c := mustParse(t, plainTCP+`
flapping_detect_policy = "5, 10s, 1h"
[mqtt]
rate_limit.conn_messages_in = "100,10s"
[zone.external]
enable_flapping_detect = true
"rate_limit.conn_bytes_in" = "100KB,10s"
quota.conn_messages_routing = ["100", "1s"]
quota.overall_messages_routing = "200000,1s"
[zone.free]
enable_ban = false
rate_limit.conn_messages_in = "none"
[access]
login_backoff = "3, 10s, 2s, 1m"
login_backoff_exempt = ["192.0.2.7", "10.0.0.0/8"]
max_bans = 10
[memory]
high_watermark = "2GB"
low_watermark = "70%"
[alarm]
actions = "log"
`)
	z := c.Zones["external"]
	want := channel.Limits{
		MessagesIn: channel.Rate{Limit: 100, Per: 10 * time.Second}, BytesIn: channel.Rate{Limit: 100 << 10, Per: 10 * time.Second},
		Routing: channel.Rate{Limit: 100, Per: time.Second}, RoutingAll: channel.Rate{Limit: 200000, Per: time.Second},
	}
	if z.Limits != want || !z.FlapDetect || z.Flap != (access.FlapPolicy{Count: 5, Window: 10 * time.Second, Ban: time.Hour}) {
		t.Errorf("zone external: %+v %+v", z.Flap, z.Limits)
	}
	if z := c.Zones["free"]; z.Limits != (channel.Limits{}) || z.Access.EnableBan || z.FlapDetect || z.Flap.Count != 5 {
		t.Errorf("zone free: %+v %+v", z.Flap, z.Limits)
	}
	if l := c.Access.Logins; c.Access.MaxBans != 10 || l.Failures != 3 || l.Longest != time.Minute || len(l.Exempt) != 2 || !l.Exempt[0].IsSingleIP() {
		t.Errorf("access is %+v", c.Access)
	}
	if c.Memory.High != (sys.Level{Bytes: 2 << 30}) || !c.Alarms.Log || c.Alarms.Publish {
		t.Errorf("memory %+v, alarms %+v", c.Memory, c.Alarms)
	}
	if l := mustParse(t, plainTCP+"access.login_backoff = \"off\"").Access.Logins; l.Failures != 0 {
		t.Errorf("back-off is %+v", l)
	}
	if m := mustParse(t, plainTCP+"memory.high_watermark = 0").Memory; m.High != (sys.Level{}) {
		t.Errorf("memory is %+v", m)
	}
}

func TestProtectionFaults(t *testing.T) {
	for line, want := range map[string]string{
		`zone.external.rate_limit.conn_messages_in = "100"`:               "is not a rate",
		`zone.external.rate_limit.conn_messages_in = "0,10s"`:             "is not an amount",
		`zone.external.rate_limit.conn_messages_in = "1KB,10s"`:           "is not an amount",
		`zone.external.rate_limit.conn_bytes_in = "much,10s"`:             "is not an amount",
		`zone.external.rate_limit.conn_bytes_in = "1KB,10"`:               "is not a duration",
		`zone.external.quota.conn_messages_routing = "100,500ms"`:         "at least 1s",
		`zone.external.quota.overall_messages_routing = "100,1s,1s"`:      "is not a rate",
		`zone.external.rate_limit.conn_message_in = "100,1s"`:             "did you mean",
		`flapping_detect_policy = "30, 1m"`:                               "is not count, window, ban time",
		`flapping_detect_policy = "0, 1m, 1m"`:                            "is not a count",
		`flapping_detect_policy = "3, 0, 1m"`:                             "must be positive",
		`access.login_backoff = "30"`:                                     "is not failures",
		`access.login_backoff = "x, 1m, 1s, 5m"`:                          "is not a count",
		`access.login_backoff = "3, 1m, 1h, 5m"`:                          "longer than the longest",
		`access.login_backoff = "3, 1m, 1h, often"`:                       "is not a duration",
		`access.login_backoff_exempt = "example.org"`:                     "is neither an address nor a network",
		`access.max_bans = 0`:                                             "is not a number",
		`memory.high_watermark = "120%"`:                                  "is not a share",
		`memory.high_watermark = "lots"`:                                  "is not a size",
		`memory.low_watermark = "90%"`:                                    "not above memory.high_watermark",
		"memory.high_watermark = \"1GB\"\nmemory.low_watermark = 0":       "must be positive",
		"memory.high_watermark = \"1GB\"\nmemory.low_watermark = \"2GB\"": "not above",
		`alarm.actions = "shout"`:                                         "neither log nor publish",
		`os_mon.sysmem_high_watermark = "70%"`:                            "memory.high_watermark",
		`zone.external.force_shutdown_policy = "10000|64MB"`:              "max_mqueue_len",
		`zone.external.publish_limit = "10,1s"`:                           "rate_limit.conn_messages_in",
	} {
		_, err := parse(t, line+"\n"+plainTCP)
		var faults Faults
		if !errors.As(err, &faults) || len(faults) != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %q", line, err, want)
		}
	}
}
