//go:build !wasip1

package plugintest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/message"
	"github.com/dunlinmq/dunlin/core/packet"
	"github.com/dunlinmq/dunlin/core/plugin"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
)

const meterManifest = `name = "meter"
version = "0.1.0"
abi = 1
max_instances = 1

[[hook]]
name = "publish"
class = "intercept"
fields = ["client_id", "topic", "payload"]
`

// startMeter loads an artefact at the hook publish.
func startMeter(b *testing.B, kind Kind, code []byte) (*hook.Points, *plugin.Manager) {
	b.Helper()
	dir := b.TempDir()
	file := "plugins/meter/meter"
	if kind == WASM {
		file += ".wasm"
	}
	for name, text := range map[string][]byte{file: code, "plugins/meter/plugin.toml": []byte(meterManifest), "loaded_plugins": []byte("meter.\n")} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o755); err != nil {
			b.Fatal(err)
		}
	}
	points := &hook.Points{}
	m := plugin.New(plugin.Config{
		Loaded: filepath.Join(dir, "loaded_plugins"), Dirs: []string{filepath.Join(dir, "plugins")}, ConfigDir: filepath.Join(dir, "etc"),
		Trust: manifest.Trust{AllowUnpinned: true}, Node: Node, Hooks: points, WASM: transport(b, WASM), Process: transport(b, Process),
		Secrets: manifest.Secrets{Env: os.LookupEnv, Dir: dir}, Log: zap.NewNop(),
	})
	if err := m.StartAll(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := m.Close(); err != nil {
			b.Error(err)
		}
	})
	return points, m
}

// read is what one read of a socket brings: n messages of 64 bytes.
func read(n int) []hook.PublishEvent {
	c := &hook.Client{ID: "client-1234", Username: "alice", HasUsername: true, Conn: 7, Protocol: packet.V50}
	es := make([]hook.PublishEvent, n)
	var slab message.Slab
	for i := range es {
		es[i] = hook.PublishEvent{Client: c, Msg: slab.New("sensor/12/temperature", make([]byte, 64), nil)}
		es[i].Msg.QoS, es[i].Msg.Time = 1, time.Now().UnixNano()
	}
	return es
}

// publish measures the hook message.publish as the broker calls it.
func publish(b *testing.B, points *hook.Points, n int) {
	es := read(n)
	b.ReportAllocs()
	for b.Loop() {
		points.MessagePublish.Walk(nil, func(fold hook.InterceptMany[hook.PublishEvent]) bool { fold(es); return true })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/PUBLISH")
	for i := range es {
		if es[i].Verdict == hook.Deny {
			b.Fatal("a message was refused")
		}
	}
}

// BenchmarkPublish is what a PUBLISH costs by the plugin that intercepts it, and by
// how many come in one read.
func BenchmarkPublish(b *testing.B) {
	b.Run("plugin=none/read=1", func(b *testing.B) { publish(b, &hook.Points{}, 1) })
	c, err := os.ReadFile("../../core/plugin/wasm/testdata/cguest.wasm")
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range []struct {
		name string
		kind Kind
		code func(b *testing.B) []byte
	}{
		{"wasm-c", WASM, func(*testing.B) []byte { return c }},
		{"wasm-go", WASM, func(b *testing.B) []byte { return Source{Package: "./testdata/meter"}.build(b, WASM) }},
		{"process-go", Process, func(b *testing.B) []byte { return Source{Package: "./testdata/meter"}.build(b, Process) }},
	} {
		for _, n := range []int{1, 8, 32, 128} {
			b.Run(fmt.Sprintf("plugin=%s/read=%d", p.name, n), func(b *testing.B) {
				points, _ := startMeter(b, p.kind, p.code(b))
				publish(b, points, n)
			})
		}
	}
	b.Run("plugin=unloaded/read=1", func(b *testing.B) {
		points, m := startMeter(b, WASM, c)
		if err := m.Unload("meter"); err != nil {
			b.Fatal(err)
		}
		publish(b, points, 1)
	})
}
