package plugintool

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// later is a guest that asks somebody else about a login, and decides it when the
// answer is there: with the user name timer, when its time has come.
const later = `
static uint64_t last;
static void put_off(dunlin_verdict *v) {
	dunlin_decide(v, DUNLIN_ACTION_PENDING);
	dunlin_put_u64(v, DUNLIN_EXT_PENDING, ++last);
	dunlin_put_u32(v, DUNLIN_EXT_PENDING, 5000);
}
static void resume(uint64_t token, int yes) {
	static uint8_t block[16];
	block[0] = yes ? DUNLIN_ACTION_ALLOW : DUNLIN_ACTION_DENY;
	block[1] = yes ? 0 : 0x87;
	dunlin_pending_resume((int64_t)token, (int32_t)(intptr_t)block, 16);
}
static const char ask[] = "GET http://a.example/who\nX-A: 1\n\nbody";
void dunlin_on_authenticate(const dunlin_record *r, dunlin_verdict *v) {
	if (dunlin_equal(dunlin_auth_username(r), dunlin_text("kick"))) {
		dunlin_session_kick((int32_t)(intptr_t)"old", 3);
		return;
	}
	put_off(v);
	if (dunlin_equal(dunlin_auth_username(r), dunlin_text("timer")))
		dunlin_timer_set((int32_t)last, 700);
	else if (dunlin_equal(dunlin_auth_username(r), dunlin_text("hash")))
		dunlin_hash_verify((int64_t)last, (int32_t)(intptr_t)"h", 1, (int32_t)(intptr_t)"p", 1);
	else
		dunlin_http_start((int64_t)last, (int32_t)(intptr_t)ask, sizeof ask - 1, 1000);
}
void dunlin_on_timer(const dunlin_record *r, dunlin_verdict *v) { resume(dunlin_aux(r), 1); }
void dunlin_on_hash_result(const dunlin_record *r, dunlin_verdict *v) { resume(dunlin_slot_u64(r, DUNLIN_SLOT_ID, 0), dunlin_aux(r)); }
void dunlin_on_http_response(const dunlin_record *r, dunlin_verdict *v) { resume(dunlin_slot_u64(r, DUNLIN_SLOT_ID, 0), dunlin_aux(r) == 200); }
`

// What a plugin asks for and what it decides later are as the file says, or differ.
func TestScenarioAnswers(t *testing.T) {
	t.Parallel()
	target := guest(t, later, "capabilities = [\"http\", \"hash\", \"timer\", \"session\"]\nstate = \"shared\"\n[[hook]]\nname = \"authenticate\"\nclass = \"intercept\"\n")
	const step = "\n[[step]]\nhook = \"authenticate\"\n"
	for _, tc := range []struct{ name, text, want string }{
		{"an answer", step + `record = [ { slots = { username = "a" }, later = true, want = { action = "allow" } } ]
call = [ { http = "GET http://a.example/who", headers = { x-a = "1" }, body = "body", timeout_ms = 1000, answer = { status = 200, body = "x", headers = { a = "b" } } } ]`, ""},
		{"another answer", step + `record = [ { slots = { username = "a" }, later = true, want = { action = "deny", reason = 0x87 } } ]
call = [ { http = "GET http://a.example/who", answer = { error = "down" } } ]`, ""},
		{"a comparison that is said", step + `record = [ { slots = { username = "hash" }, later = true, want = { action = "allow" } } ]
call = [ { hash = "h", password = "p", answer = { ok = true } } ]`, ""},
		{"a comparison that is made", step + `record = [ { slots = { username = "hash" }, later = true, want = { action = "deny", reason = 0x87 } } ]
call = [ { hash = "h", password = "p", answer = {} } ]`, ""},
		{"a timer", step + `record = [ { slots = { username = "timer" }, later = true, want = { action = "pending", within_ms = 5000 } } ]
call = [ { timer = 1, ms = 700 } ]
[[step]]
record = [ { want = { action = "allow" } } ]
call = [ { timer = 1, answer = {} } ]`, ""},
		{"nobody answers", step + `record = [ { slots = { username = "a" }, later = true, want = { action = "pending", within_ms = 5000 } } ]
call = [ { http = "GET http://a.example/who" } ]`, ""},
		{"a client that is there, and one that is not", step + `record = [ { slots = { username = "kick" } }, { slots = { username = "kick" } } ]
kicked = ["old", "old"]`, ""},
		{"another call", step + `record = [ { slots = { username = "a" }, later = true, want = { action = "allow" } } ]
call = [ { http = "GET http://b.example/who", answer = { status = 200 } } ]`, "call 1"},
		{"no call", step + `record = [ { slots = { username = "kick" } } ]
kicked = ["old"]
call = [ { timer = 1, answer = {} } ]`, "call 1"},
		{"a call that is not named", step + `record = [ { slots = { username = "a" }, later = true, want = { action = "pending", within_ms = 5000 } } ]`, "does not name"},
		{"not said to be later", step + `record = [ { slots = { username = "hash" }, want = { action = "allow" } } ]
call = [ { hash = "h", answer = { ok = true } } ]`, "later"},
		{"somebody is kicked", step + `record = [ { slots = { username = "kick" } } ]`, "kicked"},
	} {
		res, err := target.Test(t.Context(), scenario(t, tc.text))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if tc.want == "" && len(res.Failures) > 0 {
			t.Errorf("%s: %+v", tc.name, res.Failures)
		}
		if tc.want != "" && !slices.ContainsFunc(res.Failures, func(f Failure) bool { return strings.Contains(f.What, tc.want) }) {
			t.Errorf("%s: %+v, want %s", tc.name, res.Failures, tc.want)
		}
	}
	for _, tc := range []struct{ text, want string }{
		{step + "record = [ { slots = { username = \"a\" }, later = true } ]\ncall = [ { http = \"GET http://a.example/who\", answer = {} } ]", "neither status nor error"},
		{step + "record = [ { slots = { username = \"a\" }, later = true } ]\ncall = [ { http = \"GET http://a.example/who\", answer = { ok = true } } ]", "says nothing of"},
		{"\n[[step]]\nrecord = [ {} ]", "0 of earlier steps wait"},
		{"grant = [\"http\"]\n" + step + "record = []", "which servers may be asked"},
	} {
		if _, err := target.Test(t.Context(), scenario(t, tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.text, err, tc.want)
		}
	}
	denied := scenario(t, "grant = [\"http:http://b.example\"]\n"+step+"record = [ { slots = { username = \"a\" }, later = true, want = { action = \"pending\", within_ms = 5000 } } ]")
	if res, err := target.Test(t.Context(), denied); err != nil || len(res.Failures) > 0 {
		t.Errorf("an origin that is not granted was asked: %+v, %v", res, err)
	}
	checks, err := target.Conform(t.Context(), nil, 2_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		if !c.OK {
			t.Errorf("%s: %s", c.Name, c.Detail)
		}
	}
	if costs, err := target.Bench(t.Context(), nil, 70*time.Millisecond); err != nil || len(costs) == 0 {
		t.Errorf("%+v, %v", costs, err)
	}
}
