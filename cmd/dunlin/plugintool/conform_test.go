package plugintool

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// failed lists the checks that a plugin does not pass.
func failed(t *testing.T, target *Target, s *Scenario) map[string]string {
	t.Helper()
	checks, err := target.Conform(t.Context(), s, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, c := range checks {
		if !c.OK {
			out[c.Name] = c.Detail
		}
		if c.Detail == "" {
			t.Errorf("%s says nothing", c.Name)
		}
	}
	return out
}

// The SDK of each language conforms, shown by its example, which also gives the
// verdicts of the scenario.
func TestSDKsConform(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	dir := workshop(t)
	for _, l := range Languages() {
		t.Run(l.Name, func(t *testing.T) {
			target := &Target{Path: made(t, dir, l.Name, "rewrite"), CacheDir: cache(t)}
			s, err := ReadScenario(filepath.Join(dir, l.Name+"-rewrite", "scenario.toml"))
			if err != nil {
				t.Fatal(err)
			}
			for name, detail := range failed(t, target, s) {
				t.Errorf("%s: %s", name, detail)
			}
			passes(t, target)
		})
	}
}

// Each fault of a plugin fails the check that is for it.
func TestFaultsAreFound(t *testing.T) {
	for name, c := range map[string]struct{ source, manifest, check, detail string }{
		"a slot taken on trust": {`void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) {
			const uint32_t *e = (const uint32_t *)((const uint8_t *)r + 32 + 4 * 8);
			if (*((volatile const uint8_t *)r + e[0]) == 1) dunlin_drop(v);
		}`, interceptPublish, "slots outside the record", "slot topic at"},
		"a leak": {`void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) { *(volatile char *)dunlin_alloc(2000) = 1; }`,
			interceptPublish, "flat memory", "it leaks"},
		"a verdict that depends on its place": {`static int n; void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) { if (n++ & 1) dunlin_drop(v); }`,
			interceptPublish, "1 to 64 records", "alone"},
		"work without end": {`void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) { for (volatile int i = 0; i < 90000; i++) {} }`,
			interceptPublish, "fuel", "a slower record would be stopped"},
		"a capability for nothing": {`void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) {}`,
			"capabilities = [\"kv\"]\n" + interceptPublish, "denied capability", "does not import: kv"},
		"a hook that is not there": {`void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) {}`,
			interceptPublish + "[[hook]]\nname = \"will\"\nclass = \"intercept\"\n", "loads", `names the hook "will"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := failed(t, guest(t, c.source, c.manifest), nil)
			if !strings.Contains(got[c.check], c.detail) {
				t.Errorf("%q; all: %v", got[c.check], got)
			}
		})
	}
}

// Every import of the generated header is one that the host has, with its type.
func TestImportsFitTheHost(t *testing.T) {
	target := guest(t, `void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) {
	dunlin_log(DUNLIN_LOG_INFO, "x"); dunlin_time_now(); dunlin_pub_publish(0, 0);
	dunlin_topicstore_put(0, 0); dunlin_topicstore_del(0); dunlin_topicstore_deliver(0, 0); dunlin_topicstore_count(0, 0);
	dunlin_metric_add(1, 0, 1); dunlin_metric_put(0, 0, 0, 1); dunlin_kv_get(0, 0, 0, 0); dunlin_kv_set(0, 0, 0, 0, 0); dunlin_kv_del(0, 0); dunlin_kv_incr(0, 0, 1);
	dunlin_kv_cas(0, 0, 0, 0, 0, 0);
}`, "capabilities = [\"publish\", \"topicstore\", \"metric\", \"kv\"]\n"+interceptPublish)
	run, err := target.Open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// A measurement has a row for each size of frame and counts fuel.
func TestBench(t *testing.T) {
	target := guest(t, `void dunlin_on_publish(const dunlin_record *r, dunlin_verdict *v) { dunlin_allow(v); }`, interceptPublish)
	costs, err := target.Bench(t.Context(), nil, 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if len(costs) != 3 || costs[0].Batch != 1 || costs[2].Batch != 64 || costs[0].Hook != "publish" {
		t.Fatalf("%+v", costs)
	}
	for _, c := range costs {
		if c.Nanos <= 0 || c.Fuel <= 0 || c.Megabytes <= 0 || c.Allocs > 0 {
			t.Errorf("%+v", c)
		}
	}
}
