package plugin

import (
	"testing"

	"go.uber.org/zap"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/core/plugin/manifest"
	"github.com/dunlinmq/dunlin/core/topicstore"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

// BenchmarkManager measures what the manager itself costs: a builtin plugin
// that takes the frame and answers Next.
func BenchmarkManager(b *testing.B) {
	block := make([]byte, 64*contract.VerdictSize)
	take := func(_ *builtinInstance, c *Call) error { return c.Take(0, c.N, block[:c.N*contract.VerdictSize]) }
	t := &builtin{plugins: map[string]*builtinPlugin{}}
	m := New(Config{Hooks: &hook.Points{}, Store: topicstore.New(topicstore.Config{}), Log: zap.NewNop()})
	pts := m.host.Hooks
	p := m.enlist("a", 1)
	prep := &prepared{transport: t, kind: "wasm", hooks: []manifest.Hook{{Name: "publish"}, {Name: "published", Filters: []string{"t/#"}}}}
	prep.parked, prep.desk = &parked{}, &desk{cancel: func() {}}
	prep.spec = &Spec{Name: "a", Manifest: &manifest.Manifest{}, Hooks: specs(prep.hooks)}
	t.plugins["a"] = &builtinPlugin{on: take}
	v, err := prep.open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	p.bind(v)
	es := make([]hook.PublishEvent, 32)
	for i := range es {
		es[i] = hook.PublishEvent{Client: testClient(), Msg: msg("t/a", "0123456789012345678901234567890123456789012345678901234567890123", 1)}
	}
	for _, n := range []int{1, 8, 32} {
		b.Run("publish/records="+string(rune('0'+n/10))+string(rune('0'+n%10)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				fold(&pts.MessagePublish, es[:n])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
		})
	}
	b.Run("observe", func(b *testing.B) {
		b.ReportAllocs()
		e := &hook.MessageEvent{Client: testClient(), Msg: es[0].Msg}
		chain := pts.MessagePublished.Chain()
		for b.Loop() {
			chain[0](e)
		}
	})
}
