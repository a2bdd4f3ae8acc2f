package test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"testing"
)

// bridgeNow is what ctl says of one bridge.
type bridgeNow struct {
	Name, State string
	Sent        uint64
	Waiting     int
	Connections []struct{ Since string }
}

// bridges are all bridges by their names, and the process that has them.
func (b *broker) bridges() (all map[string]bridgeNow, pid int) {
	b.t.Helper()
	var list []bridgeNow
	if err := json.Unmarshal([]byte(b.ctl("plugins", "command", "bridge_mqtt", "bridges.list")), &list); err != nil {
		b.t.Fatal(err)
	}
	all = map[string]bridgeNow{}
	for _, x := range list {
		all[x.Name] = x
	}
	var p []struct{ Cost struct{ Pid int } }
	if err := json.Unmarshal([]byte(b.ctl("plugins", "list", "-o", "json")), &p); err != nil || len(p) != 1 {
		b.t.Fatalf("%d plugins, %v", len(p), err)
	}
	return all, p[0].Cost.Pid
}

// TestBridgeReloadOfOne: a reload changes the bridges whose configuration has changed,
// adds and removes others, and leaves the rest alone: they keep their connections,
// what was stopped stays stopped, and no message is lost. A configuration that is
// refused changes nothing.
func TestBridgeReloadOfOne(t *testing.T) {
	t.Parallel()
	far := start(t, setup{config: "mqtt.max_mqueue_len = 100000\n"})
	addr := far.addr("tcp:external")
	bridge := func(name, topics string) string {
		return fmt.Sprintf("[config.bridges.%s]\naddress = \"tcp://%s\"\nreconnect_min = \"50ms\"\nreconnect_max = \"500ms\"\ntopics = [%s]\n", name, addr, topics)
	}
	out := func(topic string) string { return fmt.Sprintf("{filter = %q}", topic) }
	const head = "[plugin]\ngrant = [\"publish\"]\n"
	still, stopped := bridge("still", out("still/#")), bridge("stopped", out("stopped/#"))
	s := module("bridge_mqtt", head+still+stopped+bridge("moved", out("moved/#"))+bridge("gone", out("gone/#")))
	s.listeners = fixedTCP(freePort(t))
	near := start(t, s)
	up := func(names ...string) {
		t.Helper()
		near.eventually("the bridges are connected", func() bool {
			all, _ := near.bridges()
			for _, name := range names {
				if all[name].State != "connected" {
					return false
				}
			}
			return true
		})
	}
	up("still", "stopped", "moved", "gone")
	near.ctl("bridges", "stop", "stopped")
	before, pid := near.bridges()
	reader := far.dial(v5)
	reader.resume("reader")
	reader.subscribe("#", 1)
	reader.close()

	const n = 3000
	var publishing sync.WaitGroup
	half := make(chan struct{})
	publishing.Go(func() {
		numbers(t, near.addr("tcp:external"), "still/n", n, func(acked int) {
			if acked == n/3 {
				close(half)
			}
		})
	})
	<-half
	changed := head + still + stopped + bridge("moved", out("moved/#")+", "+out("also/#")) + bridge("added", out("added/#"))
	if text, err := near.reconfigure("bridge_mqtt", changed); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	near.refused("bridge_mqtt", head+still+bridge("bad", `{filter = "a#"}`), "not a topic filter")
	up("still", "moved", "added")
	all, now := near.bridges()
	if now != pid || len(all) != 4 {
		t.Errorf("process %d, was %d; bridges %v", now, pid, all)
	}
	if all["still"].Connections[0] != before["still"].Connections[0] {
		t.Error("the bridge that was left as it is has another connection")
	}
	if all["stopped"].State != "stopped" {
		t.Errorf("the bridge that was stopped is %s", all["stopped"].State)
	}
	if all["moved"].Connections[0] == before["moved"].Connections[0] {
		t.Error("the bridge that was changed has the connection of before")
	}
	publishing.Wait()
	collect(t, addr, "reader", n)

	watch := far.dial(v5)
	watch.connect("watch")
	watch.subscribe("#", 1)
	here := near.dial(v5)
	here.connect("here")
	for _, topic := range []string{"also/x", "moved/x", "added/x"} {
		here.publish(topic, "1", 1)
		watch.expect(topic, "1")
	}
	here.publish("gone/x", "1", 1)
	// What waits for a bridge outlives its absence.
	near.eventually("nothing waits", func() bool { all, _ := near.bridges(); return all["added"].Waiting == 0 })
	far.kill()
	for i := range 10 {
		here.publish("added/n", strconv.Itoa(i), 1)
	}
	if err := here.await(10); err != nil {
		t.Fatal(err)
	}
	near.eventually("it waits", func() bool { all, _ := near.bridges(); return all["added"].Waiting == 10 })
	for _, text := range []string{head + still, head + still + bridge("added", out("other/#"))} {
		if text, err := near.reconfigure("bridge_mqtt", text); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	if all, _ := near.bridges(); len(all) != 2 || all["added"].Waiting != 10 {
		t.Errorf("bridges %v", all)
	}
}
