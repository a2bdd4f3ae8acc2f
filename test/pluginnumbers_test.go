package test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/dunlinmq/dunlin/core/packet"
)

// What a plugin has been asked is below $SYS, hook by hook.
func TestNumbersOfPluginsBelowSYS(t *testing.T) {
	t.Parallel()
	b := start(t, setup{plugins: []string{"retainer"}, config: "sys.interval = \"1s\"\n", listeners: "[listener.tcp.external]\nbind = \"127.0.0.1:0\"\n"})
	c := b.dial(v5)
	c.connect("c")
	c.publishWith(&packet.Publish{Topic: "kept", Payload: []byte("x"), Retain: true})
	c.publishWith(&packet.Publish{Topic: "kept", Payload: []byte("y"), Retain: true})
	c.ping()
	c.subscribe("$SYS/brokers/+/plugins/retainer/hooks/retained_store/+", 0)
	b.eventually("both records are counted", func() bool { // and those of $SYS itself
		m := c.message()
		n, err := strconv.Atoi(string(m.Payload))
		return strings.HasSuffix(m.Topic, "/retained_store/records") && err == nil && n >= 2
	})
	other := b.dial(v5)
	other.connect("other")
	other.subscribe("$SYS/brokers/+/plugins/retainer/#", 0)
	for _, want := range []struct {
		name  string
		least int
	}{{"memory/bytes", 1}, {"compile/us", 1}, {"instantiate/us", 1}, {"host_calls/topicstore", 2}} {
		b.eventually(want.name+" is told", func() bool {
			m := other.message()
			n, err := strconv.Atoi(string(m.Payload))
			return strings.HasSuffix(m.Topic, "/plugins/retainer/"+want.name) && err == nil && n >= want.least
		})
	}
}
