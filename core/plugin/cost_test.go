package plugin

import (
	"testing"

	"github.com/dunlinmq/dunlin/core/hook"
	"github.com/dunlinmq/dunlin/pluginsdk/contract"
)

func TestHistogram(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("a quantile of nothing")
	}
	for v := range uint64(10000) {
		h.Add(v)
	}
	h.Add(1<<64 - 1)
	for q, want := range map[float64]uint64{0.1: 1000, 0.5: 5000, 0.99: 9900} {
		if got := h.Quantile(q); got < want*85/100 || got > want*115/100 {
			t.Errorf("quantile %v is %d, want about %d", q, got, want)
		}
	}
	for _, v := range []uint64{0, 1, 3, 4, 5, 1000, 1 << 40} {
		if m := middle(step(v)); m < v*3/4 || m > v*5/4 {
			t.Errorf("%d is counted as %d", v, m)
		}
	}
}

// The time of all calls is estimated by those that were timed.
func TestTook(t *testing.T) {
	if got := took(16, 2, 10); got != 80 {
		t.Errorf("%d ns", got)
	}
	if got := took(0, 0, 0); got != 0 {
		t.Errorf("of nothing: %d ns", got)
	}
}

// Each hook of a plugin has its own figures, which outlive a reload.
func TestCosts(t *testing.T) {
	f := newFixture(t)
	f.add("a", `hook = [ { name = "publish", class = "intercept" }, { name = "published", class = "observe" } ]`, each(func(r contract.Record, w *contract.VerdictWriter, i int) {
		switch string(r.Slot(contract.SlotPayload)) {
		case "deny":
			w.Set(i, contract.Deny, 0)
		case "bad":
			w.Set(i, contract.Continue, 0)
		}
	}))
	f.start("a.\n")
	publish := func(payloads ...string) {
		es := make([]hook.PublishEvent, len(payloads))
		for i, p := range payloads {
			es[i] = hook.PublishEvent{Client: testClient(), Msg: msg("t", p, 1)}
		}
		fold(&f.points.MessagePublish, es)
	}
	publish("a", "deny", "b")
	if err := f.Reload("a"); err != nil {
		t.Fatal(err)
	}
	publish("bad")
	tell(&f.points.MessagePublished, hook.MessageEvent{Msg: msg("t", "", 0)})
	eventually(t, "the observed record", func() bool { return f.List()[0].Costs[1].Records == 1 })
	c := f.List()[0].Costs
	if c[0].Hook != "publish" || c[0].Calls != 2 || c[0].Records != 4 || c[0].Faults != 1 || c[0].Verdicts["next"] != 2 || c[0].Verdicts["deny"] != 1 || len(c[0].Verdicts) != 2 {
		t.Errorf("%+v", c[0])
	}
	if c[0].P50 == 0 || c[1].Hook != "published" || c[1].Calls != 1 || c[1].Faults != 0 {
		t.Errorf("%+v", c)
	}
}
