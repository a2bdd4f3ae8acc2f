package access_test

import (
	"testing"
	"time"

	"github.com/dunlinmq/dunlin/core/access"
	"github.com/dunlinmq/dunlin/core/hook"
)

// BenchmarkACL is what an acl question costs that no plugin is asked: the verdict
// is remembered, or the client has a permission list.
func BenchmarkACL(b *testing.B) {
	policy := &access.Policy{EnableACL: true}
	b.Run("cached", func(b *testing.B) {
		points := new(hook.Points)
		points.ClientCheckACL.Add(hook.Spec{}, func(es []hook.ACLEvent) {
			for i := range es {
				es[i].Verdict, es[i].CacheTTL = hook.Allow, time.Hour
			}
		})
		ask(b, access.New(points), policy, client("127.0.0.1:1"))
	})
	b.Run("list", func(b *testing.B) {
		c := client("127.0.0.1:1")
		c.Permissions = []hook.Permission{{Filter: "u/#", Action: hook.PubSub}, {Filter: "sensor/+/temperature", Action: hook.Publish, Allow: true, MaxQoS: 2}}
		ask(b, access.New(new(hook.Points)), policy, c)
	})
}

func ask(b *testing.B, a *access.Access, p *access.Policy, c *hook.Client) {
	cache := access.NewCache(32)
	es := make([]hook.ACLEvent, 1)
	b.ReportAllocs()
	for b.Loop() {
		es[0] = hook.ACLEvent{Client: c, Action: hook.Publish, Topic: "sensor/12/temperature", QoS: 1}
		a.Check(p, cache, 0, es)
	}
	if es[0].Verdict != hook.Allow {
		b.Fatal("refused")
	}
}
