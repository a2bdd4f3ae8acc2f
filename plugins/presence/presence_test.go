//go:build !wasip1

package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/dunlinmq/dunlin/plugins/plugintest"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// both runs a test against the two forms of the plugin.
func both(t *testing.T, test func(t *testing.T, kind plugintest.Kind)) {
	for _, kind := range []plugintest.Kind{plugintest.WASM, plugintest.Process} {
		t.Run(string(kind), func(t *testing.T) { test(t, kind) })
	}
}

// client appends a record about a client.
func client(w *contract.Writer, k contract.Hook, id string, slots map[contract.Slot]string) {
	h := contract.Header{Hook: k, Conn: 7, Time: 1_700_000_000_123_456_789,
		Flags: contract.FlagCleanStart | contract.Flags(0).WithVersion(5), Aux: 60}
	if k == contract.HookDisconnected {
		h.Aux = 0x8D
	}
	w.Begin(h)
	w.String(contract.SlotClientID, id)
	w.String(contract.SlotPeer, "192.0.2.1:51000")
	w.String(contract.SlotLocal, "[2001:db8::1]:1883")
	w.String(contract.SlotProtocol, "MQTT")
	w.Uint32(contract.SlotSessionExpiry, 3600)
	w.Uint64(contract.SlotConnectedAt, 1_699_999_999_000_000_000)
	for s, v := range slots {
		w.String(s, v)
	}
	w.End()
}

func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestConnectedEvent(t *testing.T) {
	both(t, func(t *testing.T, kind plugintest.Kind) {
		p := plugintest.Open(t, kind, `{}`)
		w := p.Frame(contract.HookConnected)
		client(w, contract.HookConnected, "c1", map[contract.Slot]string{contract.SlotUsername: "al\"ice"})
		p.Call(t, contract.HookConnected, w, nil)
		m := p.Next(t)
		if m.Topic != "$SYS/brokers/"+plugintest.Node+"/clients/c1/connected" || m.QoS != 1 || m.Retain {
			t.Errorf("%+v", m)
		}
		sameJSON(t, m.Payload, `{"clientid":"c1","username":"al\"ice","ipaddress":"192.0.2.1","sockport":1883,"proto_name":"MQTT","proto_ver":5,
			"connected_at":1699999999000,"ts":1700000000123,"connack":0,"keepalive":60,"clean_start":true,"expiry_interval":3600}`)
	})
}

func TestDisconnectedEvent(t *testing.T) {
	both(t, func(t *testing.T, kind plugintest.Kind) {
		p := plugintest.Open(t, kind, `{"qos":0}`)
		w := p.Frame(contract.HookDisconnected)
		client(w, contract.HookDisconnected, "c/1", map[contract.Slot]string{contract.SlotDisconnectReason: "keepalive_timeout"})
		p.Call(t, contract.HookDisconnected, w, nil)
		m := p.Next(t)
		if m.Topic != "$SYS/brokers/"+plugintest.Node+"/clients/c/1/disconnected" || m.QoS != 0 {
			t.Errorf("%+v", m)
		}
		sameJSON(t, m.Payload, `{"clientid":"c/1","username":"undefined","ipaddress":"192.0.2.1","sockport":1883,"proto_name":"MQTT","proto_ver":5,
			"connected_at":1699999999000,"ts":1700000000123,"reason":"keepalive_timeout","disconnected_at":1700000000123}`)
	})
}

// A client id with a wildcard cannot be part of a topic: the event is lost, the
// plugin goes on.
func TestClientIDThatIsNoTopic(t *testing.T) {
	both(t, func(t *testing.T, kind plugintest.Kind) {
		p := plugintest.Open(t, kind, `{}`)
		w := p.Frame(contract.HookConnected)
		client(w, contract.HookConnected, "a#", nil)
		client(w, contract.HookConnected, "b", nil)
		p.Call(t, contract.HookConnected, w, nil)
		if m := p.Next(t); m.Topic != "$SYS/brokers/"+plugintest.Node+"/clients/b/connected" {
			t.Errorf("%+v", m)
		}
	})
}

// Events of one frame leave in the order in which they happened.
func TestEventsKeepTheirOrder(t *testing.T) {
	both(t, func(t *testing.T, kind plugintest.Kind) {
		p := plugintest.Open(t, kind, `{}`)
		for frame := range 20 {
			w := p.Frame(contract.HookConnected)
			for i := range 50 {
				client(w, contract.HookConnected, fmt.Sprintf("c%d", frame*50+i), nil)
			}
			p.Call(t, contract.HookConnected, w, nil)
		}
		for i := range 1000 {
			if m, want := p.Next(t), fmt.Sprintf("$SYS/brokers/%s/clients/c%d/connected", plugintest.Node, i); m.Topic != want {
				t.Fatalf("%s, want %s", m.Topic, want)
			}
		}
		if s := p.Status(); s.Faults != 0 || s.Restarts != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestConfigurationIsChecked(t *testing.T) {
	both(t, func(t *testing.T, kind plugintest.Kind) {
		for _, config := range []string{`{"qos":3}`, `{"qos":"1"}`, `{"qos":-1}`, `{"colour":"red"}`} {
			if _, err := plugintest.TryOpen(t, kind, config); err == nil {
				t.Errorf("%s is taken", config)
			}
		}
	})
}

func BenchmarkConnected(b *testing.B) {
	for _, kind := range []plugintest.Kind{plugintest.WASM, plugintest.Process} {
		b.Run(string(kind), func(b *testing.B) {
			p := plugintest.Open(b, kind, `{}`)
			w := p.Frame(contract.HookConnected)
			for range 64 {
				client(w, contract.HookConnected, "client-1", nil)
			}
			for b.Loop() {
				p.Call(b, contract.HookConnected, w, nil)
				for range 64 {
					p.Next(b)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/event")
		})
	}
}
